"""What an attempt's outcome means for its endpoint, beside the delivery: stop, slow down, or it is well again."""

from collections.abc import Callable

from webhookd.clock import Clock
from webhookd.core.delivery import Aftermath, Outcome
from webhookd.core.endpoint import EndpointState, Why
from webhookd.dispatch.lane import Lane
from webhookd.dispatch.report import Report

OURS = frozenset({"internal", "unsigned"})
"""Errors that are no endpoint's fault."""
GONE: tuple[EndpointState, Why] = ("paused", "gone")
FAILING: tuple[EndpointState, Why] = ("disabled", "failing")


class Judge:
    """`look_at_clock` has everybody's memory moved along if the wall clock was set."""

    def __init__(self, report: Report, clock: Clock, look_at_clock: Callable[[], None]) -> None:
        self._report = report
        self._clock = clock
        self._look_at_clock = look_at_clock

    def hear(self, lane: Lane, outcome: Outcome) -> tuple[EndpointState, Why] | None:
        """How the lane is to stand from now on, if not as it does. The store does the same with the settlement."""
        if lane.endpoint.state != "active" or outcome.error in OURS:
            return None
        if outcome.status == 410:
            lane.notices += self._report.gone(lane.endpoint)
            return GONE
        was_down = lane.was_down or lane.gate.breaker.health.retry_at is not None
        if lane.gate.heed(outcome):
            lane.notices += self._report.tripped(lane.endpoint, lane.gate.breaker.health, outcome)
        elif was_down and outcome.succeeded:
            lane.was_down = False
            lane.notices += self._report.recovered(lane.endpoint)
        if self._has_failed_for_too_long(lane):
            lane.gives_up = True
            lane.notices += self._report.given_up(lane.endpoint, lane.gate.breaker.health)
            return FAILING
        return None

    def hear_again(self, lane: Lane, outcome: Outcome, aftermath: Aftermath | None) -> tuple[EndpointState, Why] | None:
        """The settlement is on disk: a person may have made the endpoint active while it was being committed."""
        if lane.endpoint.state != "active":
            return None
        if outcome.status == 410:
            return GONE
        return FAILING if aftermath is not None and aftermath.gives_up else None

    def _has_failed_for_too_long(self, lane: Lane) -> bool:
        if not lane.has_failed_for_too_long(self._clock.now_ms()):
            return False
        self._look_at_clock()  # or was it only set?
        return lane.has_failed_for_too_long(self._clock.now_ms())
