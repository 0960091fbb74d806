"""Something that is done to a data directory, and what is promised of it to whoever comes after its death."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tests.making import NOW_MS, SEAL, spec
from tests.running import PATIENCE_S
from tests.store.history import reread
from webhookd.core.delivery import PRIORITIES
from webhookd.store.postgres.audit import audit as audit_postgres
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.errors import StoreUnavailableError
from webhookd.store.sql.store import SqlStore
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.store import SqliteStore

DATABASE = "webhookd.db"
URL = "url"
"""A file that says where the store is, if it is in PostgreSQL."""
NAMES = ("shop", "books")
FAR_MS = NOW_MS + 10**10
"""When all that is pending has come due."""
ROOMS = dict.fromkeys(PRIORITIES, 1_000)
NO_BOUND = 2**62
AGAIN_S = 0.02
Begin = Callable[[], None]
Ack = Callable[..., None]
"""Told what was promised, right after it was: by strings and numbers, the first of which says what it is about."""
Acked = Sequence[Sequence[Any]]
T = TypeVar("T")


class Deed(Protocol):
    """Made once, of a seed, and then done by processes that are forked: its events are the same in all of them."""

    async def prepare(self, data: Path, ack: Ack) -> None:
        """What has been there before. Whoever does it is gone at the end of it, and closes nothing."""
        ...

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        """Do it, or what a process that died has left of it; after `begin` each call counts."""
        ...

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        """Promises that were not kept, by what is there, once it is `over` or before. It may change what is there."""
        ...


class AtOnce(ThreadPoolExecutor):
    """Does what it is given where it stands: the calls of a deed are those of one thread, in one order."""

    def submit(self, function: Callable[..., T], /, *arguments: Any, **named: Any) -> "Future[T]":
        future: Future[T] = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as error:  # noqa: BLE001 - it is the waiter's
            future.set_exception(error)
        return future


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[SqlStore]:
    """The store as the daemon opens it, with two endpoints that want all; closed only if all went well."""
    store = await left_open(data)
    yield store
    await store.close()


async def left_open(data: Path) -> SqlStore:
    url = data / URL
    store = PostgresStore(url.read_text()) if url.exists() else SqliteStore(data / DATABASE)
    await insisted(store.open)
    await insisted(lambda: store.unlock(SEAL))
    await insisted(lambda: store.adopt([spec(name) for name in NAMES], NOW_MS - 1))
    return store


async def insisted(ask: Callable[[], Awaitable[T]]) -> T:
    """As providers and the dispatcher do it: again, while the store says that it cannot for now."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(StoreUnavailableError):
                return await ask()
            await asyncio.sleep(AGAIN_S)


async def due(store: SqlStore, endpoint: int) -> set[int]:
    """The events that the dispatcher would find for it, sooner or later."""
    found = await insisted(lambda: store.due(endpoint, FAR_MS, [], ROOMS, NO_BOUND))
    return {each.event.key for each in found.due}


async def verified(data: Path) -> list[str]:
    """What `verify` finds, the integrity of the database and its references first."""
    if (url := data / URL).exists():
        findings = await insisted(lambda: audit_postgres(url.read_text(), reread))
    else:
        findings = await asyncio.to_thread(lambda: list(audit(data / DATABASE, reread)))
    return [f"verify: {finding}" for finding in findings]
