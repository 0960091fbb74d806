"""Which outboxes are taken from follows the configuration, from the opening to the end."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from tests.relay.relaying import Log, relay_of
from webhookd.relay.relay import Relay
from webhookd.relay.relays import Relays
from webhookd.relay.table import Row


class Empty:
    """A table that nothing comes into. Fits `table.Table`."""

    def __init__(self, name: str, said: list[str]) -> None:
        self._name, self._said = name, said

    async def open(self) -> None:
        self._said.append(f"{self._name} opened")

    async def waiting(self, known: Collection[Any], body_bytes_max: int) -> list[Row]:
        return []

    async def backlog(self) -> tuple[int, int | None]:
        return 0, None

    async def take(self, keys: Collection[Any], refused: Mapping[Any, str]) -> Collection[Any]:
        return ()

    async def changed(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self._said.append(f"{self._name} closed")


async def test_those_that_are_new_begin_those_that_changed_begin_again_and_the_others_go_on():
    said: list[str] = []

    def make(name: str, settings: str) -> Relay:
        return relay_of(Empty(f"{name} of {settings}", said), Log())

    relays = Relays(make)
    await relays.adopt({"a": "one", "b": "one"})
    assert relays.standings == {"a": None, "b": None}
    assert said == []
    await relays.open()
    await asyncio.sleep(0)
    assert said == ["a of one opened", "b of one opened"]
    said.clear()
    before = relays.standings["a"]
    await relays.adopt({"a": "one", "b": "two", "c": "one"})
    await asyncio.sleep(0)
    assert said == ["b of one closed", "b of two opened", "c of one opened"]
    assert relays.standings["a"] is before
    said.clear()
    await relays.adopt({"c": "one"})
    assert sorted(said) == ["a of one closed", "b of two closed"]
    said.clear()
    await relays.close()
    assert said == ["c of one closed"]
    await relays.adopt({"c": "two"})
    assert relays.standings == {"c": None}, "it is over"
