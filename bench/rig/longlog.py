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
from collections.abc import Awaitable, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import msgspec
from rich.progress import Progress

from bench.rig import hooks
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials, Request
from webhookd.receive.intake import Intake, Source
from webhookd.store.sql.values import event_values
from webhookd.store.sqlite.connection import open_alone
from webhookd.store.sqlite.statements import insert

DAYS = 14
"""Over which the events of a log are spread, up to now."""
TOGETHER = 1024
"""Events in one statement: SQLite is then busy for so long that who takes in the next ones is not disturbed."""
_CACHE_SHARE = 0.25
"""Of the machine's memory: with scattered ids all of an index is written to all the time."""
_SETTLE = """
    INSERT INTO attempt (event, endpoint, number, started_at, duration_ms, status, response, replay, state, step)
    SELECT event, endpoint, 1, created_at, 20, 200, CAST('ok' AS BLOB), 0, 'delivered', 1
    FROM delivery WHERE event BETWEEN ? AND ?
"""

Ids = Literal["dated", "scattered"]
"""`dated` ones begin with the time they were made at; `scattered` ones are in no order."""


class Recipe(msgspec.Struct, frozen=True):
    """What a log is made of."""

    source: str
    count: int
    ids: Ids
    until_ms: int
    """When the last event came, Unix milliseconds."""
    delivered: bool
    """In one attempt each, to whom the routes say; or nobody has been sent one yet."""

    def hook(self, number: int) -> Hook:
        """As it came at its time; number 0 is the oldest."""
        at_ms = self.until_ms - DAYS * 86_400_000 * (self.count - number) // self.count
        body = hooks.body(number, run_of(number, "log", at_ms // 1_000, self.ids), at_ms // 1_000)
        headers = {"content-type": "application/json", "stripe-signature": hooks.signature(body, at_ms // 1_000)}
        return Hook(headers, body, at_ms)


def run_of(number: int, run: str, at_s: int, ids: Ids) -> str:
    """What stands in an id before the number. Ids of either kind are of the same length."""
    place = f"{at_s:08x}" if ids == "dated" else blake2b(f"{run} {number}".encode(), digest_size=4).hexdigest()
    return place + run


async def make(database: Path, recipe: Recipe, progress: Progress) -> None:
    """Put all events into a log that is empty and that nobody has open. The endpoints and their routes are there."""
    bar = progress.add_task(f"making a log of {recipe.count:,}", total=recipe.count)
    mint, taken = KeyMint(), 0
    with closing(_open(database)) as connection:
        connection.execute("BEGIN")
        coming = _take_in(recipe, taken, mint)
        while events := await coming:
            taken += len(events)
            coming = _take_in(recipe, taken, mint)
            await asyncio.to_thread(_write, connection, events, delivered=recipe.delivered)
            progress.update(bar, completed=taken)
        progress.update(bar, description="writing it to the disk")
        await asyncio.to_thread(connection.execute, "COMMIT")
    await asyncio.to_thread(os.sync)
    progress.remove_task(bar)


def _open(database: Path) -> sqlite3.Connection:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return open_alone(
        database,
        journal_mode="off",
        synchronous="off",
        locking_mode="exclusive",
        foreign_keys="on",
        cache_size=-int(memory * _CACHE_SHARE) // 1024,
    )


class _Taken:
    """The log that an intake is given: it keeps events for whoever writes them."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def append(self, event: Event) -> Appended:
        self.events.append(event)
        return Appended(event.id, "accepted")


def _take_in(recipe: Recipe, first: int, mint: KeyMint) -> Awaitable[Sequence[Event]]:
    """The next ones, from now on and on a thread of its own; none at the end."""

    async def take_in() -> Sequence[Event]:
        taken = _Taken()
        intake = Intake(taken, mint, lambda: random.getrandbits(SALT_BITS), _nothing)
        source = Source(recipe.source, PROVIDERS["stripe"](Credentials(secrets=(Secret(hooks.SECRET),))))
        for number in range(first, min(first + TOGETHER, recipe.count)):
            answer = await intake.take_in(source, recipe.hook(number))
            if not isinstance(answer, Appended):
                raise SystemExit(f"refused to report: a hook of the log was not taken in: {answer}")
        return taken.events

    return asyncio.ensure_future(asyncio.to_thread(asyncio.run, take_in()))


def _write(connection: sqlite3.Connection, events: Sequence[Event], *, delivered: bool) -> None:
    connection.execute(insert("event", len(events)), [value for event in events for value in event_values(event)])
    if delivered:
        connection.execute(_SETTLE, (events[0].key, events[-1].key))


async def _nothing(request: Request) -> bytes:
    raise AssertionError(f"Stripe needs no evidence, but asks for {request}")
