"""Every store is held against the model, in stories that hypothesis makes. Another needs a `Site`, and no more."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.making import NOW_MS
from tests.postgres import Server
from tests.store.machine_people import People
from tests.store.machine_traffic import Traffic
from tests.store.moving_site import MovingSite, in_small_stretches
from tests.store.postgres_site import PostgresSite
from tests.store.site import Site
from tests.store.sqlite_site import SqliteSite


class AStore(Traffic, People):
    """All that can happen."""


@pytest.mark.fault(55)
def test_whatever_sqlite_is_asked_it_answers_as_the_model_does(
    torture: bool, seed: int, record_property: Callable[[str, int], None]
):
    with tempfile.TemporaryDirectory() as directory:
        counted = tell_stories(lambda: SqliteSite(Path(tempfile.mkdtemp(dir=directory))), seed, 200 if torture else 16)
    for name, count in counted.items():
        record_property(name, count)


@pytest.mark.fault(55)
def test_whatever_postgresql_is_asked_it_answers_as_the_model_does(
    torture: bool, seed: int, record_property: Callable[[str, int], None], postgres: Server
):
    counted = tell_stories(lambda: PostgresSite(postgres.url(), NOW_MS), seed, 30 if torture else 8)
    for name, count in counted.items():
        record_property(name, count)


@pytest.mark.fault(55)
def test_a_log_that_moves_from_the_one_to_the_other_goes_on_as_if_it_had_not(
    torture: bool, seed: int, monkeypatch: pytest.MonkeyPatch, postgres: Server
):
    in_small_stretches(monkeypatch)
    sites: list[MovingSite] = []
    with tempfile.TemporaryDirectory() as directory:

        def site() -> MovingSite:
            sites.append(MovingSite(Path(tempfile.mkdtemp(dir=directory)), postgres.url()))
            return sites[-1]

        tell_stories(site, seed, 60 if torture else 8)
    assert sum(each.has_moved for each in sites) > len(sites) // 4


def tell_stories(site: Callable[[], Site], seed: int, stories: int) -> Counter[str]:
    counted: Counter[str] = Counter()
    run_state_machine_as_test(
        hypothesis.seed(seed)(lambda: AStore(site(), counted)),  # type: ignore[arg-type]
        settings=settings(
            max_examples=stories,
            stateful_step_count=80 if stories > 16 else 50,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return counted
