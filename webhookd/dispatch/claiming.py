"""Claims for the dispatcher: renewed in time, taken when they are free, and given back when others have too few."""

from contextlib import suppress

from webhookd.clock import Clock
from webhookd.dispatch.dispatcher import Dispatcher
from webhookd.dispatch.tenure import Tenure
from webhookd.store.protocol.claims import LEASE_S, Claims
from webhookd.store.protocol.errors import StoreUnavailableError

RENEW_S = LEASE_S / 4
MARGIN_S = LEASE_S / 12
"""By so much sooner than others this node thinks that its lease has run out: clocks do not run alike."""
LOOK_S = 5.0
OVERDUE_MS = 2_000


class Claiming:
    def __init__(self, claims: Claims, dispatcher: Dispatcher, tenure: Tenure, clock: Clock) -> None:
        self._claims, self._dispatcher, self._tenure, self._clock = claims, dispatcher, tenure, clock

    async def renew(self) -> None:
        """Once every RENEW_S. When the store does not answer, attempts go on until the lease has run out."""
        asked_at = self._clock.monotonic()
        lanes = self._dispatcher.lanes
        given_up = [each for each in self._tenure.ending if all(lane.is_idle for lane in lanes.of([each]))]
        try:
            renewed = await self._claims.renew(given_up, lanes.by_number.keys())
        except StoreUnavailableError:
            return
        self._dispatcher.hold(renewed, asked_at + LEASE_S - MARGIN_S)

    async def look(self) -> None:
        """Once every LOOK_S, for what nobody has called."""
        now_ms = self._clock.now_ms()
        with suppress(StoreUnavailableError):
            self._dispatcher.hear_of(await self._claims.overdue(self._tenure.held, now_ms - OVERDUE_MS))

    async def leave(self) -> None:
        """Once no attempt is under way any more."""
        with suppress(StoreUnavailableError):  # the lease runs out by itself
            await self._claims.leave()
