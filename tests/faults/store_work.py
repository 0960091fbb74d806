"""What a store is asked for in one life, in an order that follows from a seed, and what it has promised by then."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

from tests.faults.short_life import Tell
from tests.making import NOW_MS, event, spec
from tests.store.history import ALL, LATER_MS
from webhookd.admin.door.token import ensure_token
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.event import Event, Hook
from webhookd.core.identifier import KeyMint
from webhookd.core.signature import new_secret
from webhookd.providers import PROVIDERS
from webhookd.store.data_dir import DataDir
from webhookd.store.seal import KEY_FILE, seal_for
from webhookd.store.sqlite import durable
from webhookd.store.sqlite.backup import remove_drafts
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import nobody

SHOPS = ("books", "shop")


async def work(
    tell: Tell,
    data_dir: Path,
    life: int,
    dice: random.Random,
    turns: int,
    *,
    frames: int = 1_000,
    hooks_only: bool = False,
    sabotage: Callable[[], None] | None = None,
) -> None:
    """Open the store in this directory as the daemon does, use it, and close it or leave it as it is.

    The WAL is moved into the database when it has so many `frames`. With `hooks_only` nothing else is done, by which
    more could be synced. Only for a process of its own: `sabotage` may change the code that it runs.
    """
    if sabotage is not None:
        sabotage()
    durable.CHECKPOINT_FRAMES = frames
    with DataDir(data_dir):
        remove_drafts(data_dir)
        store = SqliteStore(data_dir / "webhookd.db")
        await store.open()
        is_first = not await store.holds_secrets()
        await store.unlock(seal_for(data_dir, None, (), is_first=is_first))
        shops = [each.number for each in await store.adopt([spec(name) for name in SHOPS], NOW_MS)]
        tell("key", (data_dir / KEY_FILE).read_text())
        tell("token", ensure_token(data_dir))
        worker = _Worker(tell, store, life, dice, shops)
        if hooks_only:
            for _ in range(turns):
                await worker.append_and_settle()
            return
        for turn in range(turns):
            await worker.turn(turn)
        if dice.random() < 0.5:
            await store.close()


class _Worker:
    def __init__(self, tell: Tell, store: SqliteStore, life: int, dice: random.Random, shops: list[int]) -> None:
        self._tell, self._store, self._life, self._dice, self._shops = tell, store, life, dice, shops
        self._mint = KeyMint()
        self._mine: list[Event] = []
        self._finished: list[Event] = []

    async def turn(self, number: int) -> None:
        """Some things at once: they share commits as they come."""
        moves = [self.append, self.append_and_settle, self.append_and_finish, self.append_and_fail, self.repeat]
        doing = [self._dice.choice(moves)() for _ in range(self._dice.randint(1, 6))]
        if self._dice.random() < 0.2:
            doing.append(self.add_endpoint(f"made-{self._life}-{number}"))
        if self._dice.random() < 0.1:
            doing.append(self.back_up(f"{self._life}-{number}.db"))
        if self._dice.random() < 0.2:
            doing.append(self.prune())
        await asyncio.gather(*doing)

    async def append(self) -> Event:
        made = payment(self._mint.next(NOW_MS + self._life), self._dice)
        self._tell("sent", made.key, made.salt, made.sha256.hex())
        appended = await self._store.append(made)
        self._tell("appended", made.key)
        assert (appended.event_id, appended.status) == (made.id, "accepted")
        self._mine.append(made)
        return made

    async def append_and_settle(self) -> None:
        made = await self.append()
        await self._settle(DeliveryKey(made.key, self._dice.choice(self._shops)), Outcome(NOW_MS, 5, 200))

    async def append_and_finish(self) -> None:
        made = await self.append()
        keys = [DeliveryKey(made.key, shop) for shop in self._shops]
        await asyncio.gather(*(self._settle(key, Outcome(NOW_MS, 5, 200)) for key in keys))
        self._finished.append(made)

    async def append_and_fail(self) -> None:
        made = await self.append()
        await self._settle(DeliveryKey(made.key, self._dice.choice(self._shops)), Outcome(NOW_MS, 5, 500, "status"))

    async def _settle(self, key: DeliveryKey, outcome: Outcome) -> None:
        state, due_at = ("delivered", None) if outcome.succeeded else ("pending", NOW_MS + 60_000)
        await self._store.settle(Settlement(key, 1, outcome, False, state, due_at, 2))
        self._tell("settled", *key, state)

    async def repeat(self) -> None:
        """What was acked is sent again, as providers do: it has the id that it had."""
        if not self._mine:
            return
        first = self._dice.choice(self._mine)
        again = event(
            key=self._mint.next(NOW_MS + self._life),
            body=first.body,
            provider_event_id=first.provider_event_id,
            type=first.type,
        )
        appended = await self._store.append(again)
        assert (appended.event_id, appended.status) == (first.id, "duplicate")

    async def prune(self) -> None:
        """What is finished goes, but for its line in the books, and the file becomes shorter."""
        keys = [each.key for each in self._finished]
        self._finished.clear()
        self._tell("pruning", keys)
        taken = await self._store.retention.take(ALL, keys, LATER_MS)
        self._tell("pruned", keys)
        assert sum(each.events for each in taken.tallies.values()) == len(keys)
        await self._store.retention.give_back(1_000, 0.0)

    async def add_endpoint(self, name: str) -> None:
        """It has a secret that is kept nowhere else; and it asks for no event."""
        secret = new_secret(self._dice.randbytes(32))
        await self._store.add_endpoint(spec(name, sources=("none",)), b"{}", secret, NOW_MS)
        self._tell("endpoint", name)

    async def back_up(self, name: str) -> None:
        self._tell("copying", name)
        made = await self._store.backups(0).make(name, nobody)
        self._tell("backup", name, made.path)


def payment(key: int, dice: random.Random) -> Event:
    """An event that moves the ledger; most are small, some take many pages."""
    padding = dice.choice((200, 200, 200, 2_000, 20_000))
    subject = {
        "id": f"pi_{key}",
        "object": "payment_intent",
        "amount": 1_000,
        "amount_received": 1_000,
        "currency": "usd",
        "metadata": {"order_id": str(key), "note": "x" * padding},
        "status": "succeeded",
    }
    body = json.dumps(
        {
            "id": f"evt_{key}",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": NOW_MS // 1_000,
            "data": {"object": subject},
        }
    ).encode()
    reading = PROVIDERS["stripe"].read(Hook({"content-type": "application/json"}, body, NOW_MS))
    return event(
        key=key,
        salt=dice.getrandbits(62),
        body=body,
        provider_event_id=reading.provider_event_id,
        type=reading.type,
        occurred_at=reading.occurred_at,
        payment_id=reading.payment_id,
        fact=reading.fact,
        alias=reading.alias,
    )
