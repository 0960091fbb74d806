"""Every promise checked against what is kept. What an engine alone can say of its own integrity, the engine adds."""

import hashlib
from collections.abc import Callable, Iterator

import msgspec

from webhookd.core.event import Event
from webhookd.core.identifier import delivery_id, event_id
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.recount import Recount

Progress = Callable[[str, int, int | None], None]
"""What is being checked, how much of it is done, and of how much, if that is known."""


class Finding(msgspec.Struct, frozen=True):
    """A broken promise."""

    check: str
    subject: str
    """What it is about: an event, a delivery, an object of the ledger."""
    detail: str


def unheard(_what: str, _done: int, _total: int | None) -> None:
    """The progress of what nobody watches."""


def in_the_log(recount: Recount, progress: Progress) -> Iterator[Finding]:
    """Every event's bytes are those that were signed; counting them on the way."""
    changed: list[Finding] = []

    def told(event: Event, body: bytes | None) -> None:
        if body is not None and (len(body) != event.size or hashlib.sha256(body).digest() != event.sha256):
            changed.append(Finding("bodies", event.id, "the bytes are not those that were taken in"))

    total = recount.total()
    for done in recount.follow(told):
        progress("events", done, total)
        yield from changed
        changed.clear()


def among_deliveries(connection: Connection, progress: Progress) -> Iterator[Finding]:
    progress("deliveries", 0, None)
    for key, salt, endpoint in connection.execute("audit.not_owed"):
        yield Finding("deliveries", event_id(key, salt), f"endpoint {endpoint} asked for it and was never owed it")
    for key, salt in connection.execute("audit.owed_to_nobody"):
        yield Finding("deliveries", event_id(key, salt), "passes for routed, and is owed to nobody")
    for event, endpoint in connection.execute("audit.owed_twice"):
        yield Finding("deliveries", delivery_id(event, endpoint), "is there more than once")
    for event, endpoint in connection.execute("audit.held_for_nothing"):
        yield Finding("deliveries", delivery_id(event, endpoint), "waits for one of its payment that is not there")
    for event, endpoint, counted, recorded in connection.execute("audit.attempts_unlike"):
        detail = f"counts {counted} attempts, and {recorded} are on record"
        yield Finding("deliveries", delivery_id(event, endpoint), detail)


def in_the_ledger(recount: Recount, connection: Connection, progress: Progress) -> Iterator[Finding]:
    progress("the ledger", 0, None)
    for difference in recount.differences():
        yield Finding("ledger", " ".join(map(str, difference.object)), _difference(difference.what))
    for provider, payment_id, endpoint, states in connection.execute("audit.captured_untold"):
        if endpoint is None:
            detail = "was captured, and no endpoint was ever owed that"
        else:
            detail = f"was captured, and endpoint {endpoint} will not hear of it: {states}"
        yield Finding("payments", f"{provider} {payment_id}", detail)


def _difference(what: str) -> str:
    if what in ("missing", "extra"):
        return "is missing in the ledger" if what == "missing" else "is in the ledger, and no event speaks of it"
    return f"is not as the log has it: {what}"
