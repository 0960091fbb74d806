"""An entry of a story in plain words, for whoever shows it. Text of others in it may hold anything: escape it."""

from webhookd.core.story import (
    Attempted,
    Cancelled,
    Changed,
    Conflict,
    Entry,
    MissedRoute,
    Moved,
    Occurred,
    Quarantined,
    Received,
    Replayed,
    Routed,
    Taken,
    Unrouted,
    Verified,
    Waits,
)
from webhookd.core.units import duration_text

ERRORS = {
    "timeout": "no answer in time",
    "connect": "no connection",
    "disconnected": "the connection was lost",
    "dns": "the name was not found",
    "tls": "no TLS: see its certificate",
    "proxy": "the proxy did not let it through",
    "url": "nothing can be sent to this URL",
    "blocked": "the address is one that deliveries may not go to",
    "protocol": "the answer was not HTTP as it should be",
    "unsigned": "nobody here can sign as the provider does",
    "internal": "a fault of webhookd's own: its log has it",
}
"""What an attempt's error means. `status` and `redirect` are told with the status itself."""
_CAME_BY = {
    "hook": "as a hook",
    "import": "imported from the provider's export",
    "application": "published by an application",
    "webhookd": "from webhookd itself",
}
_STANDS = {"operator": "paused by a person", "gone": "paused, it answered 410", "failing": "disabled, it failed"}
_ACTIONS = {
    "endpoint.pause": "paused",
    "endpoint.resume": "resumed",
    "endpoint.remove": "taken out of service",
    "endpoint.add": "added",
    "endpoint.update": "changed",
    "delivery.cancel": "cancelled",
}


def failure(status: int | None, error: str | None) -> str:
    """What went wrong with an attempt."""
    if error == "redirect":
        return f"answered {status}, and redirects are not followed"
    if status is not None:
        return f"answered {status}"
    return ERRORS.get(error or "", error or "unknown")


def words(entry: Entry) -> str:
    match entry:
        case Occurred():
            return "at the provider, as it says"
        case Received():
            return f"{_CAME_BY[entry.by]}, {entry.size} bytes, source {entry.source}"
        case Verified():
            return "the signature is the provider's"
        case Quarantined(reason=None):
            return "its envelope was not understood"
        case Quarantined():
            return f"its envelope was not understood: {entry.reason}"
        case Unrouted(routes=()) | Unrouted(routes=[]):
            return "no endpoint asks for it, or for anything like it"
        case Unrouted():
            return "no endpoint asked for it. " + "; ".join(map(_missed, entry.routes))
        case Routed():
            return f"owed to {entry.endpoint}"
        case Conflict():
            times = "once" if entry.times == 1 else f"{entry.times} times, until {entry.until}"
            return f"came again with another body, {times}; the first stays"
        case Attempted():
            return _attempted(entry)
        case Replayed():
            return f"asked to be sent again ({entry.replay_id})"
        case Changed():
            return f"{entry.subject} {_ACTIONS.get(entry.action, entry.action)} by {entry.actor}"
        case Cancelled(actor=None):
            return f"for {entry.endpoint}"
        case Cancelled():
            return f"for {entry.endpoint}, by {entry.actor}"
        case Moved():
            return _moved(entry)
        case Taken(what="body"):
            return "its bytes are no longer kept; it cannot be sent again"
        case Taken():
            return "by retention; its line in the ledger's books stays"
        case Waits():
            return _waits(entry)


def _missed(route: MissedRoute) -> str:
    asks = f"{route.endpoint} asks for {route.pattern}" + ("" if route.source == "*" else f" of {route.source}")
    return f"{asks}, but only since {route.since}" if route.by == "time" else asks


def _attempted(entry: Attempted) -> str:
    found = f"answered {entry.status}" if entry.error is None else failure(entry.status, entry.error)
    became = {"delivered": "delivered", "dead": "the last one: dead", "cancelled": "cancelled meanwhile"}
    if entry.status == 410 and entry.state == "pending":
        became["pending"] = "gone: that pauses the endpoint"
    then = f"; {became[entry.state]}" if entry.state in became else ""
    again = ", a replay" if entry.replay else ""
    return f"{entry.number} to {entry.endpoint}{again}: {found} after {duration_text(entry.duration_ms)}{then}"


def _moved(entry: Moved) -> str:
    stands = "" if entry.stands else "; another event's word stands"
    said = f"{entry.object} {entry.id} {entry.said}{stands}"
    if entry.object == "payment" or entry.payment_id is None:
        now = entry.payment_status
        return said if now in (None, entry.said) else f"{said}; now it is {now}"
    return f"{said}; of payment {entry.payment_id}, which is {entry.payment_status or 'unknown'}"


def _waits(entry: Waits) -> str:
    match entry.waits_for:
        case "attempt":
            return f"{entry.endpoint}: the next attempt"
        case "turn":
            return f"{entry.endpoint}: due, and waits for its turn"
        case "breaker":
            return f"{entry.endpoint}: the breaker is open; the next attempt"
        case "order":
            return f"{entry.endpoint}: in order behind {entry.behind}"
        case "resume":
            why = {
                "operator": "paused by a person",
                "gone": "paused, it answered 410",
                "failing": "disabled, it failed",
            }
            return f"{entry.endpoint}: {why.get(entry.why or '', 'not active')}"
        case "settings":
            return f"{entry.endpoint}: its settings cannot be used"
        case "service":
            return f"{entry.endpoint}: taken out of service"
