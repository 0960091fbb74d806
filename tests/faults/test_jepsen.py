"""Everything at once, and an auditor that believes nobody: kills, pauses, disk, clock, lines, reloads and restarts."""

import os
from pathlib import Path

import pytest

from tests.faults.jepsen.invariants import summary
from tests.faults.jepsen.nemesis import HASTY, IN_PROCESS, ON_LINES, STEADY, plan
from tests.faults.jepsen.run import run
from tests.faults.jepsen.surroundings import missing, missing_tools
from tests.faults.jepsen.world import Load

SMALL_RATE, RATE = 30.0, 120.0
TORTURE_S = 300.0
PARTS = 2
"""Of torture: a run for each, with a seed of its own."""
SHORT = ("kill in a slow sync", "merchant: loses answers")
"""Faults under which each of the deliberate mistakes shows."""
AGAIN = "python -m tests.faults.jepsen --seed"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "part" in metafunc.fixturenames:
        metafunc.parametrize("part", range(PARTS if metafunc.config.getoption("torture") else 1))


@pytest.fixture
def all_tools() -> None:
    if lacking := missing():
        assert not missing_tools() or "CI" not in os.environ, f"missing: {lacking}"
        pytest.skip(f"missing: {lacking}")


@pytest.mark.fault(54)
@pytest.mark.usefixtures("all_tools")
async def test_under_all_faults_at_once_every_invariant_holds_and_all_is_delivered(
    tmp_path: Path, seed: int, part: int, torture: bool, record_property
):
    seed += part
    seconds, load, tempo = (TORTURE_S, Load(RATE), STEADY) if torture else (0, Load(SMALL_RATE), HASTY)
    report = await run(tmp_path, seed, seconds, load, tempo)
    record_property("kills", report.kills)
    record_property("faults", sum(report.faults.values()))
    record_property("requests", report.requests)
    record_property("acks", report.acked)
    assert not report.broken, "\n".join([*summary(report.broken), f"{AGAIN} {seed}"])
    assert report.enough, f"{report}\n{AGAIN} {seed}"
    assert set(report.faults) == {*IN_PROCESS, *ON_LINES}


@pytest.mark.usefixtures("all_tools")
async def test_an_ack_before_the_commit_is_found_out(tmp_path: Path, seed: int):
    report = await run(tmp_path, seed, 0, Load(SMALL_RATE), HASTY, only=SHORT, sabotage="ack-before-commit")
    assert report.lost > 0, f"{AGAIN} {seed}"
    assert "acknowledged and not in the log" in {each.rule for each in report.broken}


@pytest.mark.usefixtures("all_tools")
async def test_an_id_that_changes_between_attempts_is_found_out(tmp_path: Path, seed: int):
    report = await run(tmp_path, seed, 0, Load(SMALL_RATE), HASTY, only=SHORT, sabotage="new-id-each-attempt")
    assert report.doubled > 0, f"{AGAIN} {seed}"
    assert "not the id, or not the body, of the log" in {each.rule for each in report.broken}


def test_the_same_seed_is_the_same_plan_and_another_one_is_not(seed: int):
    assert plan(seed, 60, STEADY) == plan(seed, 60, STEADY)
    assert plan(seed, 60, STEADY) != plan(seed + 1, 60, STEADY)
    assert {each.kind for each in plan(seed, 0, HASTY).in_process} == {*IN_PROCESS}
