"""Hooks that come in batches, into a log that is new, or one that is checkpointed all the time."""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec

from tests.faults.deeds.deed import Ack, Acked, Begin, due, insisted, left_open, opened, verified
from tests.making import NOW_MS
from tests.store.history import captured, refunded, told
from webhookd.core.event import Event
from webhookd.core.identifier import KeyMint, event_id
from webhookd.store.sql.store import SqlStore

BODY_BYTES_MIN, BODY_BYTES_MAX = 32, 6_000
"""So long that no two are alike, and so long that some take several pages."""
Sent = Mapping[str, Event]
"""By the provider's id."""


def body_of(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randrange(BODY_BYTES_MIN, BODY_BYTES_MAX))


def hook(dice: random.Random, number: int) -> Event:
    """One of a payment, of a refund, of nothing in particular, or one with another id that is bound to its body."""
    body = body_of(dice)
    payment = f"pay_{number // 2}"
    match number % 4:
        case 0:
            return captured(payment, body=body)
        case 1:
            return refunded(payment, f"re_{number}", body=body)
        case 2:
            return told(body=body)
        case _:
            return told(body=body, alias=f"checksum {number}")


def hooks(dice: random.Random, batches: int) -> list[list[Event]]:
    """In each batch some that are new, and one that was sent before: of another size in each."""
    numbers = iter(range(10_000))
    made: list[list[Event]] = []
    for size in dice.sample(range(1, batches + 1), batches):
        again = [dice.choice(dice.choice(made))] if made else []
        made.append([hook(dice, next(numbers)) for _ in range(size)] + again)
    return made


def by_id(batches: Iterable[Sequence[Event]]) -> Sent:
    return {each.provider_event_id: each for batch in batches for each in batch}


async def take_in(store: SqlStore, batches: Iterable[Sequence[Event]], ack: Ack) -> None:
    """Each batch is sent at once, and is answered before the next one; keys go on where the log ends."""
    mint = KeyMint(await insisted(store.last_key))
    for batch in batches:
        sent = [msgspec.structs.replace(each, key=mint.next(NOW_MS)) for each in batch]
        answers = await asyncio.gather(*(insisted(partial(store.append, each)) for each in sent))
        for each, answer in zip(sent, answers, strict=True):
            ack("hook", each.provider_event_id, answer.event_id)


def answered(acked: Acked) -> list[tuple[str, str]]:
    """The provider's id of each hook that was acked, and the id it was acked as."""
    return [(each[1], each[2]) for each in acked if each[0] == "hook"]


async def lost(store: SqlStore, sent: Sent, acked: Acked) -> list[str]:
    """What was acked and is not in the log as it was sent, under its id, and due; and what nobody sent."""
    broken = []
    rows = await store._history_reader.query("SELECT provider_event_id, key, salt, sha256 FROM event")
    log = {provider_id: (key, event_id(key, salt), sha256) for provider_id, key, salt, sha256 in rows}
    for provider_id, (_, _, sha256) in log.items():
        if provider_id not in sent or sent[provider_id].sha256 != sha256:
            broken.append(f"{provider_id} is in the log and was not sent so")
    for provider_id, public_id in answered(acked):
        if provider_id not in log or log[provider_id][1] != public_id:
            broken.append(f"{provider_id} was acked as {public_id} and is not in the log")
    owed = {key for key, _, _ in log.values()}
    # A number that a dead one had drawn PostgreSQL does not draw again.
    for (endpoint,) in await store._history_reader.query("SELECT number FROM endpoint"):
        if (found := await due(store, endpoint)) != owed:
            broken.append(f"{len(owed)} are owed to endpoint {endpoint} and {len(found)} are due")
    return broken


class Receive:
    """Into a directory in which there was nothing."""

    def __init__(self, dice: random.Random) -> None:
        self._batches = hooks(dice, 6)
        self._sent = by_id(self._batches)

    async def prepare(self, data: Path, ack: Ack) -> None:
        pass

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        begin()
        async with opened(data) as store:
            await take_in(store, self._batches, ack)

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        async with opened(data) as store:
            broken = await lost(store, self._sent, acked)
        if over and (missing := self._sent.keys() - dict(answered(acked)).keys()):
            broken.append(f"never acked: {missing}")
        return broken + await verified(data)


class Checkpoint(Receive):
    """What comes is moved from the WAL into the database every few pages, and the WAL is begun anew in between."""

    pages = 12

    def __init__(self, dice: random.Random) -> None:
        self._before, self._after = hooks(dice, 3), [[hook(dice, number)] for number in range(100, 112)]
        self._sent = by_id([*self._before, *self._after])

    async def prepare(self, data: Path, ack: Ack) -> None:
        await take_in(await left_open(data), self._before, ack)

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        begin()
        async with opened(data) as store:
            await store._writer.query(f"PRAGMA wal_autocheckpoint = {self.pages}")
            half = len(self._after) // 2
            await take_in(store, self._after[:half], ack)
            await store._writer.query("PRAGMA wal_checkpoint(RESTART)")
            await take_in(store, self._after[half:], ack)
