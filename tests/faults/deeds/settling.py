"""Attempts are recorded, a few in each commit, until every delivery is delivered, dead, or waits for its next one."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.faults.deeds.deed import NAMES, Ack, Acked, Begin, due, insisted, left_open, opened, verified
from tests.making import NOW_MS, event
from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, DeliveryKey, DeliveryState, Outcome, Settlement
from webhookd.store.sql.store import SqlStore

EVENTS = 5
TOGETHER_MAX = 4
WAYS: Sequence[Sequence[DeliveryState]] = (
    ("delivered",),
    ("pending", "delivered"),
    ("pending", "pending", "dead"),
    ("dead",),
    ("pending",),
    (),
)
"""What a delivery is after each of its attempts."""


class Settle:
    def __init__(self, dice: random.Random) -> None:
        self._events = [event(body=dice.randbytes(100)) for _ in range(EVENTS)]
        keys = [DeliveryKey(each.key, number) for each in self._events for number, _name in enumerate(NAMES, 1)]
        self._planned = {
            key: [_settlement(dice, key, *each) for each in enumerate(dice.choice(WAYS), 1)] for key in keys
        }
        self._turns: list[list[Settlement]] = []
        for number in range(3):
            due_now = [planned[number] for planned in self._planned.values() if len(planned) > number]
            dice.shuffle(due_now)
            while due_now:
                size = dice.randint(1, TOGETHER_MAX)
                self._turns.append(due_now[:size])
                del due_now[:size]

    async def prepare(self, data: Path, ack: Ack) -> None:
        store = await left_open(data)
        await asyncio.gather(*map(store.append, self._events))

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        begin()
        async with opened(data) as store:
            recorded = await insisted(partial(_recorded, store))
            for turn in self._turns:
                settled = [each for each in turn if each.number > len(recorded[each.key])]
                await asyncio.gather(*(insisted(partial(store.settle, each)) for each in settled))
                for each in settled:
                    ack("attempt", *each.key, each.number)

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        broken = []
        told = {(DeliveryKey(*key), number) for _, *key, number in acked}
        async with opened(data) as store:
            recorded = await _recorded(store)
            log = {each for (each,) in await store._history_reader.query("SELECT key FROM event")}
            are_due = {number: await due(store, number) for number, _name in enumerate(NAMES, 1)}
            for key, planned in self._planned.items():
                numbers = recorded[key]
                if numbers != list(range(1, len(numbers) + 1)) or (over and len(numbers) < len(planned)):
                    broken.append(f"{key.id} has the attempts {numbers} of {len(planned)}")
                if missing := [number for of, number in told if of == key and number not in numbers]:
                    broken.append(f"{key.id}: attempts {missing} were acked and are not on record")
                row = await store.delivery(*key)
                is_now = (
                    ("pending", NOW_MS)
                    if not numbers
                    else (planned[len(numbers) - 1].state, planned[len(numbers) - 1].due_at)
                )
                if row is None or (row.state, row.due_at, row.attempts) != (*is_now, len(numbers)):
                    broken.append(f"{key.id} is {row} after its attempts {numbers}")
                if (key.event in are_due[key.endpoint]) != (is_now[0] == "pending"):
                    broken.append(f"{key.id} is {is_now[0]}, and due or not as it should not be")
                for each in planned:
                    notices = each.aftermath.notices if each.aftermath is not None else ()
                    if any((notice.key in log) != (each.number in numbers) for notice in notices):
                        broken.append(f"{key.id}: attempt {each.number} and its notice are not both there or both not")
        return broken + await verified(data)


def _settlement(dice: random.Random, key: DeliveryKey, number: int, state: DeliveryState) -> Settlement:
    failed = state != "delivered"
    answer = dice.randbytes(dice.randrange(2_000))
    outcome = Outcome(NOW_MS + number, 5, 500 if failed else 200, "status" if failed else None, answer)
    due_at = NOW_MS + 60_000 * number if state == "pending" else None
    aftermath = None
    if dice.random() < 0.3:
        notice = event(source="webhookd", provider="webhookd", type="webhookd.endpoint.failing")
        aftermath = Aftermath(Health("open", NOW_MS + 1_000, number, NOW_MS), notices=(notice,))
    return Settlement(key, number, outcome, False, state, due_at, number + 1, aftermath)


async def _recorded(store: SqlStore) -> dict[DeliveryKey, list[int]]:
    recorded: dict[DeliveryKey, list[int]] = defaultdict(list)
    for each, endpoint, number in await store._history_reader.query(
        "SELECT event, endpoint, number FROM attempt ORDER BY number"
    ):
        recorded[DeliveryKey(each, endpoint)].append(number)
    return recorded
