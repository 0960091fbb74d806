"""What can be told of an endpoint from memory, without asking the store."""

import msgspec

from webhookd.core.breaker import BreakerState
from webhookd.core.delivery import DeliveryKey


class LastFailure(msgspec.Struct, frozen=True):
    """Of an endpoint's attempts the last one that failed, since the start of the daemon."""

    at: int
    """When it had failed, Unix milliseconds."""
    status: int | None
    error: str
    key: DeliveryKey


class LaneView(msgspec.Struct, frozen=True):
    """What can be told of an endpoint from memory."""

    in_flight: int
    limit: int
    """How many may be under way now: what it was asked for, or less while it recovers."""
    breaker: BreakerState
    retry_at: int | None
    """When an open breaker lets the next probe through, Unix milliseconds."""
    failing_since: int | None
    window: int
    """Deliveries in memory that are due."""
    paced: int
    """Those of them that wait for the endpoint alone, though its breaker is closed."""
    last_failure: LastFailure | None
