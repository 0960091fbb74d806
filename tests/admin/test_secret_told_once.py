"""A secret that was generated is told in one answer only: so that answer is given, whatever the disk does just then."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.admin.parts import served
from tests.admin.test_registry import Served
from tests.fake_clock import FakeClock
from tests.making import NOW_MS, SEAL, spec
from webhookd.admin.door.pages import Pages
from webhookd.admin.endpoints import EndpointsApi
from webhookd.admin.registry import Registry
from webhookd.core.delivery import Outcome
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.store.protocol.endpoints import EndpointRow
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sqlite.store import SqliteStore

pytestmark = pytest.mark.fault(53)


class World:
    """`readable` is how many more reads of an endpoint the store allows; None: all."""

    def __init__(self, store: SqliteStore, url: str, session: aiohttp.ClientSession) -> None:
        self._store, self._url, self._session = store, url, session
        self.readable: int | None = None

    async def read(self, name: str) -> EndpointRow | None:
        if self.readable == 0:
            raise StoreUnavailableError
        if self.readable is not None:
            self.readable -= 1
        return await self._store.endpoint(name)

    async def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        async with self._session.post(f"{self._url}/api/v1/endpoints{path}", json=body) as response:
            return response.status, await response.json(content_type=None)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async def anywhere(_spec: EndpointSpec) -> None: ...

    async def nowhere(_endpoint: Endpoint) -> Outcome:
        raise AssertionError

    store, clock = SqliteStore(tmp_path / "webhookd.db"), FakeClock(NOW_MS)
    await store.open()
    await store.unlock(SEAL)
    traffic: Any = Served()
    registry = Registry(store, traffic, clock, anywhere)
    await registry.adopt([], lambda name, settings: spec(name, url=settings["url"]), strict=True)
    seen: Any = _Seen(store)
    async with (
        served(EndpointsApi(seen, registry, traffic, clock, nowhere, Pages("x"))) as url,
        aiohttp.ClientSession() as session,
    ):
        seen.world = World(store, url, session)
        yield seen.world
    await store.close()


class _Seen:
    """The store as the API sees it."""

    world: World

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    async def endpoint(self, name: str) -> EndpointRow | None:
        return await self.world.read(name)


ADDED = {"name": "shop", "url": "https://shop.example/"}


async def test_who_adds_an_endpoint_is_told_its_secret_even_if_it_cannot_be_read_again(world: World):
    world.readable = 1  # whether there was one of this name
    status, found = await world.post("", ADDED)
    assert (status, found["name"], found["state"], found["backlog"]) == (201, "shop", "active", 0)
    assert found["secret"].startswith("whsec_")


async def test_who_rotates_a_secret_is_told_the_new_one_even_if_the_endpoint_cannot_be_read_again(world: World):
    _, added = await world.post("", ADDED)
    world.readable = 1
    status, found = await world.post("/shop/rotate-secret", {})
    assert (status, found["created_at"]) == (200, added["created_at"])
    assert found["secret"].startswith("whsec_")
    assert found["secret"] != added["secret"]
    assert len(found["secrets"]) == 2


async def test_what_can_be_asked_for_again_is_503_when_it_cannot_be_read(world: World):
    await world.post("", ADDED)
    world.readable = 0
    status, _ = await world.post("/shop/pause", {})
    assert status == 503
