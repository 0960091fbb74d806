"""What counts as the first delivery after a kill, and what of it is judged and refused."""

import asyncio
import random
from types import SimpleNamespace

import pytest

from bench import recovery
from bench.recovery import Kill, Shop, measure, promise
from bench.rig import hooks


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(recovery, "ANSWER_S", 0)


def connection(opened_at: float, *, is_open: bool = True) -> SimpleNamespace:
    return SimpleNamespace(opened_at=opened_at, is_open=is_open, answer=lambda: None)


def body(number: int) -> bytes:
    return hooks.body(number, "test", 0)


async def test_only_requests_of_the_next_daemon_are_deliveries_after_the_kill():
    shop = Shop()
    shop.wait_for([1], since=100.0)
    shop.take(connection(99.0), b"", body(1))
    assert shop.came_at == []
    shop.take(connection(101.0), b"", body(1))
    assert len(shop.came_at) == 1
    await shop.has_all()


async def test_an_event_that_was_not_owed_at_the_kill_does_not_count():
    shop = Shop()
    shop.wait_for([1], since=100.0)
    shop.take(connection(101.0), b"", body(2))
    assert shop.came_at == []


async def test_an_event_counts_the_first_time_it_comes():
    shop = Shop()
    shop.wait_for([1, 2], since=100.0)
    for _ in range(2):
        shop.take(connection(101.0), b"", body(1))
    assert len(shop.came_at) == 1


async def test_who_is_dead_is_not_answered_and_so_still_owes():
    shop = Shop()
    shop.take(connection(0.0, is_open=False), b"", body(1))
    shop.take(connection(0.0), b"", body(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert shop.answered == {2}


async def test_an_event_that_never_comes_is_no_measurement(monkeypatch):
    monkeypatch.setattr(recovery, "_ARRIVAL_S_MAX", 0)
    shop = Shop()
    shop.wait_for([1, 2], since=100.0)
    with pytest.raises(SystemExit, match="refused to report: 2 events"):
        await shop.has_all()


@pytest.mark.parametrize(("first_s", "is_kept"), [(0.8, True), (0.95, False)])
def test_each_kill_is_judged_from_the_kill_on(first_s, is_kept):
    others = [kill(0.3)] * 9
    assert promise(others).kept
    assert promise([*others, kill(first_s)]).kept is is_kept


@pytest.mark.crash
async def test_what_was_under_way_at_a_kill_is_delivered_after_it(monkeypatch):
    monkeypatch.setattr(recovery, "ANSWER_S", 0.2)
    monkeypatch.setattr(recovery, "MODULES", "pass")
    [found] = await measure(1, 100, random.Random(1))
    assert found.owed > 0
    assert 0 < found.first_s <= found.all_s


def kill(first_s: float) -> Kill:
    return Kill(owed=1, started_s=0.1, ready_s=0.3, first_s=first_s, all_s=2.0, interpreter_s=0.02, modules_s=0.2)
