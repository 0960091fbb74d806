"""A real daemon on a bad line, with bad name servers, and with hosts that go without a word."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.daemon.test_end_to_end import stripe_event
from tests.faults.namespace import inside, must_be_possible


@pytest.fixture(autouse=True)
def a_network_of_our_own() -> None:
    must_be_possible()


def _audited(found: dict[str, Any], acks: int) -> None:
    assert (found["lost"], found["duplicated"], found["broken"]) == ([], [], [])
    assert found["acked"] >= acks
    assert found["arrived_meanwhile"] > 0, "there was no progress until the line was good again"


@pytest.mark.fault(34)
async def test_where_packets_are_lost_all_arrives_and_nothing_twice_under_two_ids(
    tmp_path: Path, dice: Random, torture: bool, record_property: Any
):
    for per_cent, acks in ((5, 300), (20, 120), (40, 30)) if torture else ((20, 20),):
        directory = tmp_path / str(per_cent)
        directory.mkdir()
        seed = dice.randrange(2**31)
        found = await inside("tests.faults.lossy_line", str(directory), str(seed), str(acks), str(per_cent))
        _audited(found, acks)
        record_property("acks", found["acked"])
        record_property("requests", found["requests"])


@pytest.mark.fault(34)
async def test_on_a_line_of_64_kbit_a_second_all_arrives(
    tmp_path: Path, dice: Random, torture: bool, record_property: Any
):
    acks = 15 if torture else 4
    found = await inside("tests.faults.lossy_line", str(tmp_path), str(dice.randrange(2**31)), str(acks), "64000b")
    _audited(found, acks)
    record_property("acks", found["acked"])
    record_property("requests", found["requests"])


@pytest.mark.fault(26)
async def test_a_name_that_is_bad_costs_an_attempt_and_leads_nowhere_it_should_not(tmp_path: Path):
    found = await inside("tests.faults.bad_names", str(tmp_path))
    errors = found["errors"]
    assert errors["crowded"] == [None]
    for name in ("fails", "hangs"):
        assert (set(errors[name][:-1]), errors[name][-1]) == ({"dns"}, None)
    assert errors["rebinds"] == errors["private"] == ["blocked"] * 4
    assert all(each.startswith("127.") for each in found["dialled"]), "whoever listens elsewhere is let alone"
    assert len(found["ids"]) == 1


@pytest.mark.fault(27)
async def test_a_host_that_goes_without_a_word_costs_the_time_of_an_attempt(tmp_path: Path):
    found = await inside("tests.faults.half_open", str(tmp_path))
    assert (found["word"], found["state"]) == ("timeout", "delivered")
    first, *others = found["bodies"]
    assert (first, set(others)) == (stripe_event("evt_1").decode(), {stripe_event("evt_2").decode()})
