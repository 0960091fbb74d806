"""Operational events: what webhookd itself has to say, as events of the source `webhookd`.

The body is the payload that Standard Webhooks recommends: `type`, `timestamp`, `data`. A crash before it is committed
leaves neither it nor the change that it tells of.
"""

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from webhookd.clock import Clock
from webhookd.core.event import OPERATIONAL, Event
from webhookd.core.identifier import KeyMint, event_id
from webhookd.core.units import time_text

_encode = msgspec.json.Encoder().encode


class Notice:
    """`salt` gives the random half of an event's id."""

    def __init__(self, clock: Clock, mint: KeyMint, salt: Callable[[], int]) -> None:
        self._clock = clock
        self._mint = mint
        self._salt = salt

    def in_order(self, event: Event) -> Event:
        """The same with the next key, if others were given since its own: the log's order is that of its keys.

        Its id at its source stays, so that it is in the log once, whichever of its keys it is committed under.
        """
        if event.key == self._mint.last:
            return event
        return msgspec.structs.replace(event, key=self._mint.next(event.received_at))

    def __call__(self, kind: str, data: Mapping[str, object]) -> Event:
        now_ms = self._clock.now_ms()
        key, salt = self._mint.next(now_ms), self._salt()
        body = _encode({"type": kind, "timestamp": time_text(now_ms), "data": data})
        return Event(
            key=key,
            salt=salt,
            source=OPERATIONAL,
            provider=OPERATIONAL,
            provider_event_id=event_id(key, salt),
            type=kind,
            state="accepted",
            received_at=now_ms,
            occurred_at=now_ms,
            payment_id=None,
            fact=None,
            alias=None,
            headers=[("content-type", "application/json")],
            sha256=hashlib.sha256(body).digest(),
            size=len(body),
            body=body,
        )
