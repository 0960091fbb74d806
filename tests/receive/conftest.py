"""One daemon for all that only talk to it."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import pytest
import pytest_asyncio

from tests.running import STANDARD_SECRET, STRIPE_SECRET, RunningDaemon, configuration, daemon

NEXT_SECRET = "whsec_test_stripe_next"
OTHER_SECRET = "whsec_test_other"
SOURCES = f"""
    [sources.stripe]
    provider = "stripe"
    secrets = ["{STRIPE_SECRET}"]
    [sources.rotating]
    provider = "stripe"
    secrets = ["{STRIPE_SECRET}", "{NEXT_SECRET}"]
    [sources.other]
    provider = "stripe"
    secrets = ["{OTHER_SECRET}"]
    [sources.standard]
    provider = "standard"
    secrets = ["{STANDARD_SECRET}"]
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningDaemon]:
    """A running daemon that must not have complained once, and must stop cleanly, after all that was sent to it."""
    async with daemon(tmp_path_factory.mktemp("receiver"), configuration(SOURCES)) as running:
        yield running
        assert await running.stop() == 0
        assert_quiet(running.log)


def assert_quiet(log: Iterable[Mapping[str, Any]]) -> None:
    """Bad input is worth a line a minute in words of our own: no traceback, no error, no line for each."""
    lines = list(log)
    assert {line.get("event") for line in lines} <= {"ready", "stopping", "stopped", "hooks_refused", "hooks_odd"}, (
        lines
    )
    said = [
        (line["event"], line["source"], line.get("reason", line.get("what")))
        for line in lines
        if "hooks" in line and "source" in line
    ]
    assert len(said) <= 10 * len(set(said)), "the same complaint came again and again"
