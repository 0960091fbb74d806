"""A relay between a real table and a log that is a list, which does what a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.relay.shop import Shop, SqliteShop
from tests.running import PATIENCE_S
from webhookd.clock import SystemClock
from webhookd.core.event import Appended, Hook
from webhookd.core.identifier import event_id
from webhookd.providers.outbox import Outbox
from webhookd.relay.postgres import PostgresTable
from webhookd.relay.relay import Relay
from webhookd.relay.sqlite import SqliteTable
from webhookd.relay.table import Table

BODY_BYTES_MAX = 2**20


class Log:
    """Knows ids as a store does. `before` is awaited before anything is kept."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        """Bodies by the id of their row, in the order of the log."""
        self.offered: list[str] = []
        self.before: Callable[[], Awaitable[None]] | None = None
        self.unready: str | None = None
        self.most_at_once = 0
        self._at_once = 0
        self._news = asyncio.Condition()

    async def append(self, hook: Hook) -> Appended:
        name = Outbox.read(hook).provider_event_id
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if self.before is not None:
                await self.before()
        finally:
            self._at_once -= 1
        async with self._news:
            self.offered.append(name)
            known = self.kept.setdefault(name, hook.body)
            self._news.notify_all()
        status = "accepted" if self.offered.count(name) == 1 else "duplicate"
        return Appended(event_id(1, 1), status, conflict=known != hook.body)

    async def has(self, count: int) -> list[str]:
        """Wait until it holds so many; their ids."""
        async with asyncio.timeout(2 * PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.kept) >= count)
        return [*self.kept]

    @property
    def payments(self) -> list[str]:
        """In the order of the log."""
        return [body.decode().rpartition(': "')[2].partition('"')[0] for body in self.kept.values()]


class Counts:
    def __init__(self) -> None:
        self.results: list[str] = []

    def hook(self, source: str, result: str, seconds: float) -> None:
        self.results.append(result)


def table_of(shop: Shop, *, is_marked: bool = False, own: Path | None = None, name: str = "webhookd_outbox") -> Table:
    if isinstance(shop, SqliteShop):
        return SqliteTable(str(shop.file), name, is_marked=is_marked, own=own)
    return PostgresTable(shop.url, name, is_marked=is_marked)


def relay_of(table: Table, log: Log, counts: Counts | None = None) -> Relay:
    return Relay(
        "shop",
        table,
        log.append,
        SystemClock(),
        counts or Counts(),
        body_bytes_max=BODY_BYTES_MAX,
        unready=lambda: log.unready,
    )


@asynccontextmanager
async def relaying(
    shop: Shop, log: Log, counts: Counts | None = None, *, is_marked: bool = False
) -> AsyncIterator[Relay]:
    relay = relay_of(table_of(shop, is_marked=is_marked), log, counts)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def left(shop: Shop, condition: str = "true") -> int:
    [(count,)] = await shop.ask(f"SELECT count(*) FROM webhookd_outbox WHERE {condition}")
    return int(count)


async def until(shop: Shop, count: int, condition: str = "true") -> None:
    """Wait until the table holds so many rows of which this is so: nothing announces it."""
    async with asyncio.timeout(2 * PATIENCE_S):
        while await left(shop, condition) != count:
            await asyncio.sleep(0.01)


async def stands(relay: Relay, state: str, why: str = "") -> str:
    """Wait until it stands so, and says this; what it says."""
    async with asyncio.timeout(2 * PATIENCE_S):
        while relay.standing.state != state or why not in (relay.standing.why or ""):
            await asyncio.sleep(0.01)
    return relay.standing.why or ""
