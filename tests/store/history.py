"""A store whose events are old and finished, for tests of what retention takes."""

from collections.abc import Sequence
from typing import Any

from tests.making import NOW_MS, event, spec
from tests.store.raw import read
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, DeliveryState, Outcome, Settlement
from webhookd.core.event import Event, Hook, Reading
from webhookd.core.identifier import key_floor
from webhookd.core.ledger import Fact
from webhookd.core.money import Money
from webhookd.store.protocol.retention import Extent, Tally

DAY_MS = 86_400_000
LATER_MS = NOW_MS + 40 * DAY_MS
USD = Money(1000, "USD", 2)
ALL = Extent(key_floor(LATER_MS), LATER_MS)
BODIES = Extent(key_floor(LATER_MS), LATER_MS, bodies_only=True)
_readings: dict[bytes, Reading] = {}


def reread(_provider: str, hook: Hook) -> Reading | None:
    """What each body says, for a reader that needs no provider."""
    return _readings.get(hook.body)


def told(fact: Fact | None = None, payment: str | None = None, **fields: Any) -> Event:
    """An event that says this, also when it is read again."""
    body = fields.pop("body", f"body {len(_readings)}".encode())
    made = event(fact=fact, payment_id=payment, occurred_at=NOW_MS, body=body, **fields)
    _readings[body] = Reading(made.provider_event_id, made.type, NOW_MS, payment, fact)
    return made


def captured(payment: str = "pay_1", **fields: Any) -> Event:
    return told(Fact("payment", payment, "captured", money=USD, reference=f"order of {payment}"), payment, **fields)


def refunded(payment: str = "pay_1", refund: str = "re_1", **fields: Any) -> Event:
    return told(Fact("refund", refund, "succeeded", money=Money(100, "USD", 2)), payment, **fields)


async def settle(
    store: Store, each: Event, endpoint: int, state: DeliveryState = "delivered", at_ms: int = NOW_MS
) -> None:
    due_at = at_ms + 60_000 if state == "pending" else None
    outcome = Outcome(at_ms, 5, 200 if state == "delivered" else 500)
    await store.settle(Settlement(DeliveryKey(each.key, endpoint), 1, outcome, False, state, due_at, 2))


async def finished(store: Store, *events: Event, endpoints: Sequence[str] = ("shop",)) -> None:
    """Take them in, and deliver all that is owed of them."""
    await store.adopt([spec(name) for name in endpoints], NOW_MS - 1)
    for each in events:
        await store.append(each)
        for owed in await store.deliveries_of(each.key):
            await settle(store, each, owed.endpoint)


async def take(store: Store, extent: Extent = ALL) -> Tally:
    """All that may go."""
    total, after = Tally(), 0
    while True:
        look = await store.retention.look(extent, after, counted=False)
        keys = [each.key for each in look.found if each.stays is None]
        for tally in (await store.retention.take(extent, keys, LATER_MS)).tallies.values():
            total.add(tally)
        if look.over:
            return total
        after = look.then


async def why_kept(store: Store, extent: Extent = ALL) -> list[str | None]:
    return [each.stays for each in (await store.retention.look(extent, 0, counted=False)).found]


async def rows(store: Store, table: str, columns: str = "*", rest: str = "") -> list[Any]:
    return await read(store, f"SELECT {columns} FROM {table} {rest}")


async def counts(store: Store, *tables: str) -> dict[str, int]:
    return {table: (await rows(store, table, "count(*)"))[0][0] for table in tables}


async def books(store: Store) -> list[Any]:
    """The ledger, and what its payments can be found by."""
    return [
        *await rows(store, "ledger", rest="ORDER BY provider, kind, id"),
        *await rows(store, "reference", rest="ORDER BY name, provider, payment_id"),
    ]
