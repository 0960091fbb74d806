"""What holds for every test."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.faults.report import Report
from tests.postgres import Server, server

SEED = 20261122
"""Of a run that is not told another one: what CI does is the same each time."""
_ALIKE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
# No deadline and no complaint about slowness: a busy machine must not fail a test.
settings.register_profile("webhookd", **_ALIKE)
settings.register_profile("torture", max_examples=5_000, **_ALIKE)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--torture", action="store_true", help="faults in earnest: hundreds of seeds, kills and inputs")
    group.addoption("--seed", type=int, default=SEED, help="of every random choice that a test makes")
    group.addoption("--report", type=Path, metavar="FILE", help="what of faults was survived, as FILE.md and FILE.json")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("torture" if config.getoption("torture") else "webhookd")
    file = config.getoption("report")
    if file is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(file, config.getoption("seed")))


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Many tests wait for processes of theirs, so that one for each processor would leave a fifth of them idle."""
    return None if config.getoption("torture") else len(os.sched_getaffinity(0)) + 1


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed {config.getoption('seed')}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        rows = {row for marker in item.iter_markers("fault") for row in marker.args}
        item.user_properties += [("fault", row) for row in sorted(rows)]


@pytest.fixture
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether it is done in earnest: `make torture`."""
    return bool(request.config.getoption("torture"))


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """What every choice of a test is to follow from; `--seed N` repeats it."""
    return int(request.config.getoption("seed"))


@pytest.fixture
def dice(request: pytest.FixtureRequest, seed: int) -> random.Random:
    """The test's own: its choices do not depend on which other tests run."""
    return random.Random(f"{seed}:{request.node.nodeid}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server for all tests of this process: what a test writes goes into a schema of its own."""
    with server() as one:
        yield one
