"""Puts on record what attempts found, and insists on it."""

from collections.abc import Callable
from typing import Protocol

from webhookd.clock import Clock
from webhookd.core.delivery import Due, Settlement
from webhookd.core.endpoint import EndpointState, Why
from webhookd.dispatch.judge import Judge
from webhookd.dispatch.lane import Lane
from webhookd.dispatch.report import Report
from webhookd.store.protocol.errors import FencedError, StoreBrokenError, StoreUnavailableError
from webhookd.store.protocol.log import Outbox

STORE_RETRY_MS = 500


class Stand(Protocol):
    def __call__(self, lane: Lane, state: EndpointState, why: Why | None = None, /) -> None: ...


class Recorder:
    """`stand` is told how an endpoint stands from now on, `lost` of a claim that is another process's."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        report: Report,
        judge: Judge,
        stand: Stand,
        lost: Callable[[Lane, int], None],
    ) -> None:
        self._outbox, self._clock, self._report, self._judge = outbox, clock, report, judge
        self._stand, self._lost = stand, lost
        self.is_broken = False
        """Nothing is on record any more: the process stops, and after the restart the delivery is due again."""

    async def record(self, lane: Lane, due: Due, settlement: Settlement) -> bool:
        """Insist: an attempt that was made and is not recorded would be made again. False when it cannot be."""
        if settlement.state == "dead":
            lane.notices += self._report.dead(lane.endpoint, due, settlement)
        while True:
            aftermath, life = lane.take_aftermath()
            try:
                await self._outbox.settle(self._report.told_with(settlement, aftermath))
            except StoreUnavailableError:
                lane.put_back(aftermath, life)
                lane.doubt(due.event.key)
                await self._clock.sleep(STORE_RETRY_MS / 1_000)
            except FencedError:
                self._lost(lane, settlement.fence)  # whoever has it now attempts it again
                return False
            except StoreBrokenError:
                self.is_broken = True
                return False
            else:
                if (standing := self._judge.hear_again(lane, settlement.outcome, aftermath)) is not None:
                    self._stand(lane, *standing)
                return True
