"""The merchant of the comparison: answers everything 200 at once, and notes what came when, and how often."""

import asyncio
import base64
import hmac
import time
from collections import Counter
from contextlib import suppress

from bench.peers.peer import MERCHANT_SECRET
from bench.rig.hooks import id_of
from bench.rig.merchant import Connection, header

_KEPT_EVERY = 200


class Tally:
    """Events are told apart by the provider's id in the body (`bench.rig.hooks.body`), whatever a peer calls them.

    Times are those of `time.perf_counter`.
    """

    def __init__(self) -> None:
        self.times: Counter[bytes] = Counter()
        """How often each event came."""
        self.first_at: dict[bytes, float] = {}
        self._taken = 0
        self._wanted = 0
        self._reached = asyncio.Event()
        self._samples: list[tuple[bytes, bytes]] = []

    def take(self, connection: Connection, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        connection.answer()
        event = id_of(body)
        self.times[event] += 1
        if self._taken % _KEPT_EVERY == 0:
            self._samples.append((head, body))
        self._taken += 1
        if event not in self.first_at:
            self.first_at[event] = now
            if len(self.first_at) >= self._wanted:
                self._reached.set()

    async def reached(self, events: int, patience_s: float) -> bool:
        """Wait until so many different events have come, or nothing came for so long: whether they have."""
        self._wanted = events
        self._reached.clear()
        before = -1
        while len(self.first_at) < events and self._taken > before:
            before = self._taken
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reached.wait(), patience_s)
        return len(self.first_at) >= events

    async def silence(self, seconds: float) -> None:
        """Wait until nothing has come for so long."""
        before = -1
        while self._taken > before:
            before = self._taken
            await asyncio.sleep(seconds)

    def judge(self, peer: str) -> None:
        """Raises SystemExit when one of those that were kept (one of 200) is not signed as it should be."""
        if not all(is_signed(head, body) for head, body in self._samples):
            raise SystemExit(f"refused to report: what {peer} posts is not signed as Standard Webhooks are")


def is_signed(head: bytes, body: bytes) -> bool:
    """With `MERCHANT_SECRET`. As `head` is in lower case, so is what it is compared with."""
    try:
        event_id, timestamp, given = (
            header(head, name) for name in (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
        )
    except ValueError:
        return False
    key = base64.b64decode(MERCHANT_SECRET.removeprefix("whsec_"))
    digest = hmac.digest(key, b"%b.%b.%b" % (event_id, timestamp, body), "sha256")
    return b"v1," + base64.b64encode(digest).lower() in given.split()
