"""What the dispatcher counts and shows: retries, and what waits for the endpoint alone."""

import asyncio
from typing import Any

import pytest

from tests.dispatch.conftest import NoMeter, World
from tests.making import spec
from webhookd.core.rate_limit import RateLimit


async def test_each_attempt_after_a_failed_one_is_a_retry(world: World, monkeypatch: pytest.MonkeyPatch):
    retried: list[str] = []
    monkeypatch.setattr(NoMeter, "retried", lambda _self, name: retried.append(name), raising=True)
    world.answers = lambda due: world.failing() if due.attempts < 2 else None
    await world.serve(spec("shop", waits_ms=(0, 1_000, 1_000)), spec("books", waits_ms=(0,)))
    await world.append()
    await world.run_dry()
    assert [name for _, name, _, _ in world.attempts].count("shop") == 3
    assert retried == ["shop", "shop"]


def paced(world: World) -> tuple[int, int]:
    view: Any = world.dispatcher.view("shop")
    return view.window, view.paced


async def test_what_waits_for_a_rate_is_shown(world: World):
    await world.serve(spec("shop", rate_limit=RateLimit(1, 60_000), max_in_flight=50))
    await world.quiet()
    await world.append(5)
    await world.quiet()
    assert paced(world) == (4, 4)
    await world.run_dry()
    assert paced(world) == (0, 0)


async def test_what_waits_for_the_pace_is_shown_and_what_waits_for_its_turn_among_all_is_not(world: World):
    world.new_dispatcher(max_in_flight=1)
    world.hold = hold = asyncio.Event()
    await world.serve(spec("other"), spec("shop"))
    await world.quiet()
    await world.append(3)
    windows = {name: world.dispatcher.view(name) for name in ("other", "shop")}
    busy = next(name for name, view in windows.items() if view.in_flight)
    [idle] = windows.keys() - {busy}
    assert windows[busy].paced == windows[busy].window == 2  # one at a time, to begin with
    assert (windows[idle].window, windows[idle].paced) == (3, 0)
    hold.set()
    await world.run_dry()
