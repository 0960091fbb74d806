"""A log of millions of events, made without waiting for the disk and otherwise as a daemon makes it.

Each hook is signed, verified and read by the code that takes in hooks (`receive/intake.py`), and goes into the same
schema by the same statements: what is in the database is there because the same triggers put it there, in the same
order. Left out are HTTP and safety. All is one transaction without a journal, so that what is left of one that was
interrupted is no database; and while SQLite writes some thousand events, the next ones are taken in.
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Awaitable, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Literal

from rich.progress import Progress

from bench.rig import hooks
from bench.rig.daemon import daemon, database_of
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials, Request
from webhookd.receive.intake import Intake, Source
from webhookd.store.batch import event_values
from webhookd.store.connection import open_alone
from webhookd.store.queries import insert_events

DAYS = 14
"""Over which the events of a log are spread, up to now."""
TOGETHER = 1024
"""Events in one statement: SQLite is then busy for so long that who takes in the next ones is not disturbed."""
_CACHE_SHARE = 0.25
"""Of the machine's memory: with scattered ids all of an index is written to all the time."""

Ids = Literal["dated", "scattered"]
"""`dated` ones begin with the time they were made at, as Stripe's do; `scattered` ones are in no order."""


class _Taken:
    """The log that an intake is given: it keeps events for whoever writes them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def append(self, event: Event) -> Appended:
        self.events.append(event)
        return Appended(event.id, "accepted")


async def make(config: Path, source: str, count: int, ids: Ids, progress: Progress, *, delivered: bool) -> None:
    """Put so many events of the source into the fresh database of this configuration, oldest first.

    They are owed to whom the configuration says, and nobody has been sent one; or each was `delivered`, in one attempt.
    A daemon is started before, and stopped, so that the endpoints are there.
    """
    async with daemon(config):
        pass
    bar = progress.add_task(f"making a log of {count:,}", total=count)
    cache_kib = int(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * _CACHE_SHARE) // 1024
    until_ms = time.time_ns() // 1_000_000
    mint = KeyMint()
    coming = _taken(source, range(min(count, TOGETHER)), count, until_ms, ids, mint)
    with closing(
        open_alone(
            database_of(config),
            journal_mode="off",
            synchronous="off",
            cache_size=-cache_kib,
            foreign_keys="on",
            locking_mode="exclusive",
        )
    ) as connection:
        connection.execute("BEGIN")
        for first in range(0, count, TOGETHER):
            events = await coming
            following = range(first + len(events), min(first + len(events) + TOGETHER, count))
            coming = _taken(source, following, count, until_ms, ids, mint)
            await asyncio.to_thread(_write, connection, events, delivered=delivered)
            progress.advance(bar, len(events))
        await coming
        progress.update(bar, description="writing it to the disk")
        await asyncio.to_thread(connection.execute, "COMMIT")
    await asyncio.to_thread(os.sync)
    progress.remove_task(bar)


def _taken(
    source: str, numbers: range, count: int, until_ms: int, ids: Ids, mint: KeyMint
) -> Awaitable[Sequence[Event]]:
    """Taken in on a thread of its own, from now on."""

    async def take_in() -> Sequence[Event]:
        taken = _Taken()
        intake = Intake(taken, mint, lambda: random.getrandbits(SALT_BITS), _nothing)
        stripe = Source(source, PROVIDERS["stripe"](Credentials(secrets=(Secret(hooks.SECRET),))))
        for number in numbers:
            answer = await intake.take_in(stripe, hook(number, count, until_ms, ids))
            if not isinstance(answer, Appended):
                raise SystemExit(f"refused to report: a hook of the log was not taken in: {answer}")
        return taken.events

    return asyncio.ensure_future(asyncio.to_thread(asyncio.run, take_in()))


def hook(number: int, count: int, until_ms: int, ids: Ids) -> Hook:
    """Number n of so many, as it came at its time."""
    at_ms = until_ms - DAYS * 86_400_000 * (count - number) // count
    body = hooks.body(number, run_of(number, "log", at_ms // 1_000, ids), at_ms // 1_000)
    headers = {"content-type": "application/json", "stripe-signature": hooks.signature(body, at_ms // 1_000)}
    return Hook(headers, body, at_ms)


def run_of(number: int, run: str, at_s: int, ids: Ids) -> str:
    """What stands in an id before the number. Ids of either kind are of the same length."""
    place = f"{at_s:08x}" if ids == "dated" else blake2b(f"{run} {number}".encode(), digest_size=4).hexdigest()
    return place + run


def _write(connection: sqlite3.Connection, events: Sequence[Event], *, delivered: bool) -> None:
    connection.execute(insert_events(len(events)), [value for event in events for value in event_values(event)])
    if delivered:
        connection.execute(_SETTLE, (200, b"ok", "delivered", events[0].key, events[-1].key))


_SETTLE = """
    INSERT INTO attempt (event, endpoint, number, started_at, duration_ms, status, response, replay, state, step)
    SELECT event, endpoint, 1, created_at, 20, ?, ?, 0, ?, 1 FROM delivery WHERE event BETWEEN ? AND ?
"""


async def _nothing(request: Request) -> bytes:
    raise AssertionError(f"Stripe needs no evidence, but asks for {request}")
