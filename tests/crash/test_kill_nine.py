"""What `make crash` does a hundred times, done often enough here to meet every named step twice."""

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from tests.crash.grounds import StoreName, ground
from tests.crash.harness import crash

SEED = 20261121


@pytest.mark.fault(1, 31, 40)
@pytest.mark.parametrize("store", get_args(StoreName))
async def test_kill_nine_at_every_step_loses_nothing_and_doubles_nothing(
    tmp_path: Path, store: StoreName, seed: int, torture: bool, record_property: Callable[[str, object], None]
):
    with ground(store) as own:
        report = await crash(tmp_path, 100 if torture else 2 * len(own.moments), seed, ground=own)
    assert report.broken == [], f"seed {seed}"
    assert (report.lost, report.duplicated) == (0, 0), f"seed {seed}"
    assert report.enough, report
    assert set(report.kills) == set(own.moments)
    assert report.repeated_requests > 0, "no delivery was cut short: the kills came too late to mean anything"
    record_property("kills", sum(report.kills.values()))
    record_property("acks", report.acked)
    record_property("requests", report.requests)


@pytest.mark.parametrize("store", get_args(StoreName))
async def test_an_ack_before_the_commit_is_found_out(tmp_path: Path, store: StoreName):
    with ground(store) as own:
        report = await crash(tmp_path, 6, SEED, sabotage="ack-before-commit", ground=own)
    assert [line for line in report.broken if line.startswith("lost: ")]
    assert report.lost > 0


async def test_an_id_that_changes_between_attempts_is_found_out(tmp_path: Path):
    # One kill may come before anything was sent.
    report = await crash(tmp_path, 6, SEED, sabotage="new-id-each-attempt")
    assert [line for line in report.broken if "is not the log's" in line]
    assert report.duplicated > 0


pytestmark = pytest.mark.crash
