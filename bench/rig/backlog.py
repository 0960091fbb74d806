"""A log full of events: those that nobody has been sent yet, as after an outage, and those that are done with."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.progress import Progress

from bench.rig import hooks
from bench.rig.daemon import ask, daemon, database_of
from webhookd.core.endpoint import EndpointState
from webhookd.core.event import Appended, Hook
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials, Request
from webhookd.receive.intake import Intake, Source
from webhookd.store.sqlite.store import SqliteStore

_SETTLED_TOGETHER = 5_000
_TOGETHER = 2048
"""Handed to the store at once: less than its queue takes."""


async def fill(
    config: Path, sources: Sequence[str], count: int, run: str, progress: Progress, *, age_s: int = 0
) -> None:
    """Take in so many hooks, from each source in turn, as a daemon would that sends nothing: verified, read, committed.

    A daemon is started before, and stopped, so that the endpoints are there. Hook n is of source n modulo their number,
    and came `age_s` seconds ago.
    """
    async with daemon(config):
        pass
    bar = progress.add_task("taking in the backlog", total=count)
    store = SqliteStore(database_of(config))
    await store.open()
    try:
        intake = Intake(store, KeyMint(await store.last_key()), lambda: random.getrandbits(SALT_BITS), _nothing)
        stripe = PROVIDERS["stripe"](Credentials(secrets=(Secret(hooks.SECRET),)))
        taken = [Source(name, stripe) for name in sources]
        for first in range(0, count, _TOGETHER):
            numbers = range(first, min(first + _TOGETHER, count))
            answers = await asyncio.gather(
                *(intake.take_in(taken[number % len(taken)], _hook(number, run, age_s)) for number in numbers)
            )
            if not all(isinstance(answer, Appended) and answer.status == "accepted" for answer in answers):
                raise SystemExit("refused to report: not all of the backlog was taken in")
            progress.advance(bar, len(numbers))
    finally:
        await store.close()
        progress.remove_task(bar)
    os.sync()  # or the disk is still busy with this while the daemon is measured


async def set_state(config: Path, state: EndpointState, *names: str) -> None:
    """Of these endpoints, while no daemon runs."""
    store = SqliteStore(database_of(config))
    await store.open()
    try:
        for name in names:
            await store.set_endpoint_state(name, state)
    finally:
        await store.close()


async def settle(config: Path, endpoint: str, state: Literal["delivered", "dead"], progress: Progress) -> None:
    """Record the attempt that made this of each delivery that the endpoint is owed."""
    ((owed,),) = await ask(config, f"SELECT count(*) FROM delivery WHERE state = 'pending' AND {_OF}'{endpoint}')")
    bar = progress.add_task(state, total=owed)
    store = SqliteStore(database_of(config))
    await store.open()
    status, said = (200, b"ok") if state == "delivered" else (500, b"no")

    def settle(connection: sqlite3.Connection) -> int:
        return connection.execute(_SETTLE, (status, said, state, endpoint, _SETTLED_TOGETHER)).rowcount

    try:
        while count := await store._change_file(settle):  # noqa: SLF001 - a shortcut past a million settlements
            progress.advance(bar, count)
    finally:
        await store.close()
        progress.remove_task(bar)


_OF = "endpoint = (SELECT number FROM endpoint WHERE name = "
_SETTLE = f"""
    INSERT INTO attempt (event, endpoint, number, started_at, duration_ms, status, response, replay, state, step)
    SELECT event, endpoint, 1, created_at, 20, ?, ?, 0, ?, 1 FROM delivery
    WHERE {_OF}?) AND state = 'pending' AND held = 0 LIMIT ?
"""


def _hook(number: int, run: str, age_s: int) -> Hook:
    now_ms = time.time_ns() // 1_000_000 - age_s * 1_000
    body = hooks.body(number, run, now_ms // 1_000)
    headers = {"content-type": "application/json", "stripe-signature": hooks.signature(body, now_ms // 1_000)}
    return Hook(headers, body, now_ms)


async def _nothing(request: Request) -> bytes:
    raise AssertionError(f"Stripe needs no evidence, but asks for {request}")
