"""What to do now about an event: the command that helps, or that there is nothing to do. Pure."""

from collections.abc import Iterator, Sequence

from webhookd.core.identifier import delivery_id, event_id
from webhookd.core.story import Advice, MissedRoute, Waits
from webhookd.core.story_words import failure
from webhookd.store.protocol.stories import OwedRow, Record


def advice(
    record: Record, waits: Sequence[Waits], missed: Sequence[MissedRoute], misread: str | None
) -> Iterator[Advice]:
    """What needs somebody comes first; never none. `missed` and `misread` are of one that went nowhere."""
    event = record.event
    if record.taken_at is not None:
        yield Advice("It is finished history: retention has taken it, and it cannot be sent again.")
    elif event.state == "quarantined" and not record.owed:
        yield _on_quarantined(event_id(event.key, event.salt), misread, has_body=record.has_body)
    elif event.state == "unrouted":
        yield _on_unrouted(event_id(event.key, event.salt), missed)
    else:
        yield from (_on_endpoint(wait) for wait in waits if wait.waits_for in ("resume", "settings", "service"))
        for state in ("dead", "cancelled"):
            yield from (_on_given_up(record, owed) for owed in record.owed if owed.state == state)
        yield from (_on_waiting(wait) for wait in waits if wait.waits_for not in ("resume", "settings", "service"))
        if all(each.state == "delivered" for each in record.owed):
            yield Advice("Nothing to do: everybody who asked for it has it.")


def _on_quarantined(named: str, misread: str | None, *, has_body: bool) -> Advice:
    replay = f"webhookd replay {named} --endpoint NAME"
    if not has_body:
        return Advice("Its bytes are no longer kept: there is nothing left to look at.")
    if misread is None:
        return Advice("This version understands it. To hand it to an endpoint as it is:", replay)
    return Advice(
        f"Look at its bytes; `{replay}` hands it to an endpoint as it is:", f"webhookd events show {named} --body"
    )


def _on_unrouted(named: str, missed: Sequence[MissedRoute]) -> Advice:
    replay = f"webhookd replay {named}"
    if any(each.by == "time" for each in missed):
        return Advice("It came before somebody asked for it. To have it sent now:", replay)
    return Advice(
        f"Have an endpoint ask for it (its `events` and `sources`), then `{replay}`:", "webhookd endpoints list"
    )


def _on_given_up(record: Record, owed: OwedRow) -> Advice:
    replay = f"webhookd replay {delivery_id(record.event.key, owed.endpoint)}"
    name = owed.endpoint_name
    what = f"{name} was given up on: {failure(owed.last_status, owed.last_error)}."
    if owed.state == "cancelled":
        what = f"It was cancelled for {name}."
    if not record.has_body:
        return Advice(f"{what} It cannot be sent again: its bytes are no longer kept.")
    if owed.state == "cancelled":
        return Advice(f"{what} Should it be sent after all:", replay)
    return Advice(f"{what} Put that right, then send it again:", replay)


def _on_endpoint(wait: Waits) -> Advice:
    """One that stands still until somebody does something."""
    name, resume = wait.endpoint, f"webhookd endpoints resume {wait.endpoint}"
    match wait.waits_for, wait.why:
        case "service", _:
            return Advice(f"{name} was taken out of service: what it is owed is held until there is a {name} again.")
        case "settings", _:
            return Advice(f"Put the settings of {name} right:", f"webhookd endpoints show {name}")
        case _, "gone":
            return Advice(f"{name} answered 410 and is paused. When it wants events again:", resume)
        case _, "failing":
            return Advice(f"{name} failed for too long and was disabled. When it is well again:", resume)
        case _:
            return Advice(f"{name} was paused by a person. To go on:", resume)


def _on_waiting(wait: Waits) -> Advice:
    """One that goes on by itself."""
    name = wait.endpoint
    match wait.waits_for:
        case "order":
            text = f"{name} gets the events of a payment in order. What the earlier one waits for:"
            return Advice(text, f"webhookd why {wait.behind}")
        case "breaker":
            text = f"{name} has failed too often; the next try is at {wait.at}. At once, if it is well:"
            return Advice(text, f"webhookd endpoints resume {name}")
        case "attempt":
            return Advice(f"Nothing to do: the next attempt to {name} is at {wait.at}.")
        case _:
            return Advice(f"Nothing to do: {name} gets it in its turn.")
