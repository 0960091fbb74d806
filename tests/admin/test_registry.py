"""The registry and the store agree on the endpoints, whatever the disk does meanwhile."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fake_clock import FakeClock
from tests.making import NOW_MS, SEAL, event, spec
from webhookd.admin.registry import Registry
from webhookd.core.endpoint import Endpoint, EndpointSpec, EndpointState
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sqlite.store import SqliteStore


class Served:
    """What the dispatcher was told to deliver to."""

    in_flight = 0

    def __init__(self) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self.states: dict[str, EndpointState] = {}

    def view(self, name: str) -> None: ...

    def serve(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = {each.spec.name: each for each in endpoints}

    def put(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.spec.name] = endpoint

    def take_out(self, name: str) -> None:
        del self.endpoints[name]

    def set_state(self, name: str, state: EndpointState) -> None:
        self.states[name] = state


class World:
    def __init__(self, store: SqliteStore) -> None:
        self.store, self.traffic = store, Served()
        self.registry = Registry(store, self.traffic, FakeClock(NOW_MS), self._anywhere)

    async def _anywhere(self, _spec: EndpointSpec) -> None: ...

    async def adopt(self, *configured: EndpointSpec) -> None:
        await self.registry.adopt(
            configured, lambda name, settings: spec(name, url=f"https://{settings['at']}/"), strict=True
        )

    @asynccontextmanager
    async def stalling(self) -> AsyncIterator[None]:
        """What is committed hangs, at the end for longer than anybody waits who can do without knowing how it ends."""
        go_on = threading.Event()
        hanging = asyncio.create_task(self.store._writer.run(lambda _connection: go_on.wait()))
        await asyncio.sleep(0)
        try:
            with pytest.MonkeyPatch.context() as soon:
                soon.setattr("webhookd.store.group_commit.COMMIT_S_MAX", 0.01)
                yield
                while not self.store.stalled:
                    await asyncio.sleep(0)
        finally:
            go_on.set()
            await hanging


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    made = World(store)
    await made.adopt(spec("configured"))
    await made.registry.add("shop", {"at": "old.example"}, "hmac")
    yield made
    await store.close()


def in_short(endpoints: Mapping[str, Endpoint]) -> dict[str, tuple[str, str]]:
    return {name: (each.spec.url, each.signature("m", NOW_MS, b"")) for name, each in endpoints.items()}


CHANGES: dict[str, Callable[[World], Any]] = {
    "add": lambda world: world.registry.add("other", {"at": "shop.example"}, "hmac"),
    "change": lambda world: world.registry.change("shop", {"at": "new.example"}),
    "remove": lambda world: world.registry.remove("shop"),
    "pause": lambda world: world.registry.set_state("shop", "paused"),
    "rotate": lambda world: world.registry.rotate("shop", None, "hmac", 0),
    "reload": lambda world: world.adopt(spec("configured", url="https://new.example/"), spec("another")),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_that_takes_too_long_to_commit_is_told_its_real_end(world: World, change: str):
    async with world.stalling():
        changing = asyncio.create_task(CHANGES[change](world))
    secret = await changing
    assert (secret is not None) == (change in ("add", "rotate")), "a secret that was made reaches who is to have it"
    served = dict(world.traffic.endpoints)
    states = {row.name: row.state for row in await world.store.endpoints(removed=False)}
    assert states.keys() == served.keys()
    assert states.get("shop") == (None if change == "remove" else world.traffic.states.get("shop", "active"))
    await world.adopt(*(each.spec for each in served.values() if each.managed_by == "config"))
    assert in_short(world.traffic.endpoints) == in_short(served), "as the store has them"


async def test_a_change_that_has_only_queued_when_the_disk_hangs_is_refused_and_not_made(world: World):
    before = dict(world.traffic.endpoints)
    async with world.stalling():
        appending = asyncio.ensure_future(world.store.append(event()))
        await asyncio.sleep(0)
        changing = asyncio.create_task(world.registry.remove("shop"))
        for refused in (appending, changing):
            with pytest.raises(StoreUnavailableError):
                await refused
    assert world.traffic.endpoints == before
    while world.store.stalled:
        await asyncio.sleep(0)
    assert len(await world.store.kept_endpoints()) == 1
