"""Keeps the log as long as the configuration says: a pass every hour, in the background."""

from collections.abc import Callable

import structlog

from webhookd.admin.broom import Broom, Sweep
from webhookd.clock import Clock
from webhookd.core.fault import place
from webhookd.core.identifier import key_floor
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.retention import Extent, Limits

PASS_S = 3600.0
WHOLE_PASS_S = 86400.0
"""A pass looks only at what has come of age since the last one; so often at all that is old, undelivered or not."""
DOUBTED_MS = 30 * 86_400_000
"""A clock so far ahead of the log's last event is not believed at once: it may be wrong, or nobody sent anything."""
_log = structlog.get_logger("webhookd.admin")


class Pruner:
    """`limits` gives what is configured now."""

    def __init__(self, broom: Broom, clock: Clock, limits: Callable[[], Limits]) -> None:
        self._broom = broom
        self._clock = clock
        self._limits = limits
        self._whole_at: float | None = None
        self._as_of: tuple[int, float] | None = None
        self._seen_events = self._seen_bodies = 0

    def begin(self, log_ends_ms: int) -> None:
        """When the last event came, Unix milliseconds, as this process starts; 0 where there is none."""
        now_ms = self._clock.now_ms()
        if log_ends_ms and now_ms - log_ends_ms > DOUBTED_MS:
            self._as_of = log_ends_ms, self._clock.monotonic()
            days = (now_ms - log_ends_ms) // 86_400_000
            what = "history goes slower than configured until time has caught up; `webhookd cleanup` does not wait"
            _log.warning("clock_far_ahead_of_log", days=days, what=what)

    async def turn(self) -> None:
        """A pass, then its pause. What fails is told in the log, and the next pass finds what is left."""
        try:
            await self.run()
        except StoreError as error:
            _log.error("prune_failed", kind=type(error).__name__, reason=str(error)[:200])
        except Exception as error:  # noqa: BLE001 - hooks are still to be taken in
            _log.error("prune_failed", kind=type(error).__name__, at=place(error))
        await self._clock.sleep(PASS_S)

    def _trusted_ms(self) -> int:
        """What time it is; but one that was set forward, or was at the start, is followed at twice the speed of time.

        Whoever sets it by mistake has so long to set it back before history goes for it.
        """
        now_ms, steady = self._clock.now_ms(), self._clock.monotonic()
        if self._as_of is not None:
            was_ms, was_steady = self._as_of
            now_ms = min(now_ms, was_ms + int(2_000 * (steady - was_steady)))
        self._as_of = now_ms, steady
        return now_ms

    async def run(self) -> None:
        """One pass."""
        now_ms, limits, started = self._trusted_ms(), self._limits(), self._clock.monotonic()
        if self._whole_at is None or started - self._whole_at >= WHOLE_PASS_S:
            self._whole_at = started
            self._seen_events = self._seen_bodies = 0
        events = Sweep(_extent(now_ms - limits.events_ms, self._seen_events, may_wait=True))
        await self._broom.sweep(events)
        self._seen_events = events.extent.below - 1
        bodies = Sweep(_extent(now_ms - limits.bodies_ms, self._seen_bodies, bodies_only=True))
        if limits.bodies_ms < limits.events_ms:
            await self._broom.sweep(bodies)
            self._seen_bodies = bodies.extent.below - 1
        bodies.begun_at = events.begun_at
        await self._broom.forget(key_floor(now_ms - max(limits.dedupe_ms, limits.events_ms)), bodies)
        await self._broom.forget_trail(now_ms - limits.audit_ms, bodies)
        await self._broom.give_back(bodies)
        gone, emptied = events.total, bodies.total
        if gone.events or emptied.events:
            _log.info(
                "pruned",
                events=gone.events,
                deliveries=gone.deliveries,
                attempts=gone.attempts,
                bodies=emptied.events,
                bytes=gone.bytes + emptied.bytes,
                undelivered=events.stay.get("undelivered", 0),
                shorter_by=bodies.given_back,
                seconds=round(self._clock.monotonic() - started, 1),
            )


def _extent(before_ms: int, above: int, *, bodies_only: bool = False, may_wait: bool = False) -> Extent:
    return Extent(key_floor(before_ms), before_ms, above, bodies_only=bodies_only, may_wait=may_wait)
