"""Makes the nouns that tests need, with everything that does not matter filled in."""

import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any

from webhookd.core.delivery import PRIORITIES, Priority
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.event import Event
from webhookd.core.identifier import KeyMint
from webhookd.core.retry import RetryPolicy
from webhookd.core.secret import Secret
from webhookd.store.seal import Seal

NOW_MS = 1_800_000_000_000
TEN_OF_EACH: dict[Priority, int] = dict.fromkeys(PRIORITIES, 10)
"""Room enough for what a test has due."""
SEAL = Seal(Secret("a key for tests, and long enough to be one"))
_numbers = count(1)
MINT = KeyMint()
"""One for all: two would give the same key at the same time."""


def event(**fields: Any) -> Event:
    body = fields.pop("body", b'{"id":"evt_1","type":"payment_intent.succeeded"}')
    number = next(_numbers)
    given: dict[str, Any] = {
        "key": MINT.next(NOW_MS),
        "salt": number,
        "source": "stripe",
        "provider": "stripe",
        "provider_event_id": f"evt_provider_{number}",
        "type": "payment_intent.succeeded",
        "state": "accepted",
        "received_at": NOW_MS,
        "occurred_at": None,
        "payment_id": None,
        "fact": None,
        "alias": None,
        "headers": [("content-type", "application/json")],
        "sha256": hashlib.sha256(body).digest(),
        "size": len(body),
        "body": body,
        **fields,
    }
    return Event(**given)


def spec(name: str = "shop", **fields: Any) -> EndpointSpec:
    waits_ms = fields.pop("waits_ms", None)
    if waits_ms is not None:
        fields["retry"] = RetryPolicy(tuple(waits_ms))
    return EndpointSpec(name, fields.pop("url", "https://shop.example/hooks"), **fields)


def without_sync(last: Callable[[], Any]) -> Any:
    """Ends a batch in a database that is in memory alone."""
    return last()
