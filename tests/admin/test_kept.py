"""A reading that takes long is made once for all who ask, and not all the time."""

import asyncio

import pytest

from webhookd.admin.kept import REST, Kept
from webhookd.store.protocol.errors import StoreUnavailableError


class World:
    """A reading takes `takes` seconds by a clock that passes with it, and waits for `go`."""

    def __init__(self, rest_s: float = 0.0) -> None:
        self.now, self.takes, self.read = 100.0, 1.0, 0
        self.is_busy, self.go = False, asyncio.Event()
        self.go.set()
        self.kept: Kept[int] = Kept(self._read, lambda: self.now, 0, rest_s)

    async def _read(self) -> int:
        await self.go.wait()
        self.now += self.takes
        if self.is_busy:
            raise StoreUnavailableError
        self.read += 1
        return self.read


async def test_it_is_as_old_as_it_takes_long():
    world = World()
    assert await world.kept.value() == 1
    world.now += REST * world.takes - 0.01
    assert await world.kept.value() == 1
    world.now += 0.02
    assert await world.kept.value() == 2


async def test_it_is_kept_for_a_while_at_least():
    world = World(rest_s=10)
    world.takes = 0
    await world.kept.value()
    world.now += 9.9
    assert await world.kept.value() == 1
    world.now += 0.2
    assert await world.kept.value() == 2


async def test_who_asks_does_not_wait_for_one_that_takes_long_and_all_get_the_same():
    world = World()
    world.go.clear()
    assert await asyncio.gather(world.kept.value(), world.kept.value()) == [0, 0]
    world.go.set()
    assert await asyncio.gather(world.kept.value(), world.kept.value()) == [1, 1]


async def test_a_store_that_is_busy_leaves_the_last_one_standing():
    world = World()
    await world.kept.value()
    world.is_busy = True
    world.now += 2 * REST
    assert await world.kept.value() == 1


async def test_a_fault_of_ours_is_not_hidden():
    world = World()
    world.takes = "long"  # type: ignore[assignment]
    with pytest.raises(TypeError):
        await world.kept.value()
