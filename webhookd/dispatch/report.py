"""What the dispatcher says of its work: log lines, counts, and operational events to endpoints that ask for them.

An operational event is one of webhookd's own, of the source `webhookd`: it goes into the log with the settlement that
gave rise to it, in the same transaction, and is delivered like any other.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol

import structlog
from msgspec.structs import replace

from webhookd.core.breaker import Health
from webhookd.core.delivery import Aftermath, Due, Outcome, Settlement
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.event import OPERATIONAL, Event
from webhookd.core.units import time_text
from webhookd.dispatch.notice import Notice

_log = structlog.get_logger("webhookd.dispatch")


class Meter(Protocol):
    """What the dispatcher counts."""

    def settled(self, endpoint: str, state: str) -> None: ...

    def delivered(self, seconds_since_received: float) -> None: ...

    def retried(self, endpoint: str) -> None: ...

    def tripped(self, endpoint: str) -> None: ...

    def stood_down(self, endpoint: str, why: str) -> None: ...


class Report:
    def __init__(self, meter: Meter, notice: Notice) -> None:
        self._meter = meter
        self._notice = notice
        self._wanted: set[str] = set()

    def heard_by(self, listeners: Sequence[EndpointSpec]) -> None:
        """Which endpoints there are to hear of something; what none of them asks for is not made."""
        self._wanted = {glob for spec in listeners for glob in spec.events if glob.startswith(f"{OPERATIONAL}.")}

    def told_with(self, settlement: Settlement, aftermath: Aftermath | None) -> Settlement:
        """What the store is to be told now. A notice that had to wait for the store comes behind what did not."""
        if aftermath is None:
            return settlement
        notices = tuple(map(self._notice.in_order, aftermath.notices))
        return replace(settlement, aftermath=replace(aftermath, notices=notices))

    def settled(self, endpoint: Endpoint, due: Due, settlement: Settlement) -> None:
        name, outcome = endpoint.spec.name, settlement.outcome
        if due.step > 1:
            self._meter.retried(name)
        if settlement.state == "delivered":
            self._meter.settled(name, "delivered")
            if not due.replay:  # the time since the event was a person's to choose
                self._meter.delivered((outcome.started_at + outcome.duration_ms - due.event.received_at) / 1_000)
            return
        facts = {
            "endpoint": name,
            "event_id": due.event.id,
            "delivery_id": due.key.id,
            "attempt": settlement.number,
            "error": outcome.error,
            "status": outcome.status,
        }
        if settlement.state == "dead":
            self._meter.settled(name, "dead")
            _log.warning("delivery_dead", **facts)
        else:
            _log.info("attempt_failed", **facts, next_attempt_at=time_text(settlement.due_at))

    def dead(self, endpoint: Endpoint, due: Due, settlement: Settlement) -> list[Event]:
        if due.event.source == OPERATIONAL:
            return []  # or a listener that is down would be told so for ever
        return self._tell(
            "delivery.dead",
            endpoint,
            event_id=due.event.id,
            event_type=due.event.type,
            delivery_id=due.key.id,
            attempts=settlement.number,
            last_status=settlement.outcome.status,
            last_error=settlement.outcome.error,
        )

    def tripped(self, endpoint: Endpoint, health: Health, outcome: Outcome) -> list[Event]:
        facts = {"error": outcome.error, "status": outcome.status, "retry_at": time_text(health.retry_at)}
        self._meter.tripped(endpoint.spec.name)
        _log.warning("breaker_opened", endpoint=endpoint.spec.name, **facts)
        return self._tell("endpoint.failing", endpoint, **facts) if health.trips == 1 else []

    def recovered(self, endpoint: Endpoint) -> list[Event]:
        _log.info("breaker_closed", endpoint=endpoint.spec.name)
        return self._tell("endpoint.recovered", endpoint)

    def gone(self, endpoint: Endpoint) -> list[Event]:
        self._meter.stood_down(endpoint.spec.name, "gone")
        _log.warning("endpoint_paused", endpoint=endpoint.spec.name, reason="it answered 410 Gone")
        return self._tell("endpoint.paused", endpoint, reason="it answered 410 Gone")

    def given_up(self, endpoint: Endpoint, health: Health) -> list[Event]:
        self._meter.stood_down(endpoint.spec.name, "failing")
        _log.error("endpoint_disabled", endpoint=endpoint.spec.name, failing_since=time_text(health.failing_since))
        return self._tell("endpoint.disabled", endpoint, failing_since=time_text(health.failing_since))

    def _tell(self, what: str, endpoint: Endpoint, **facts: object) -> list[Event]:
        kind = f"{OPERATIONAL}.{what}"
        if not any(fnmatchcase(kind, glob) for glob in self._wanted):
            return []
        return [self._notice(kind, {"endpoint": endpoint.spec.name, **facts})]
