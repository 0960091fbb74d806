"""A replay in words, and what somebody typed into a form made what the API is asked for. Pure."""

import re
from collections.abc import Mapping
from typing import Any

from multidict import MultiDict, MultiMapping

from webhookd.admin.dashboard.filters import narrowed
from webhookd.admin.replays import ReplayView, SelectionView
from webhookd.core.delivery import FAILURE_WORDS
from webhookd.core.story_words import failure

_STATUS = re.compile(r"\d{3}", re.ASCII)
FIELDS = ("endpoint", "source", "type", "state", "error", "status", "since", "until")
"""What a selection is narrowed by."""
ANSWERED = ("status", "redirect")
"""Failures of which there is a status."""


def asked(fields: MultiMapping[str], *names: str) -> dict[str, Any]:
    """The body of a replay, of those of these fields that are filled in; what cannot be read the API is to refuse."""
    given = narrowed(MultiDict((name, fields[name]) for name in names if name in fields))
    body: dict[str, Any] = dict(given)
    if _STATUS.fullmatch(body.get("status", "")):
        body["status"] = int(body["status"])
    if "rate" in body:
        body["rate"] = _number(body["rate"])
    return body


def _number(text: str) -> float | str:
    try:
        return float(text.removesuffix("/s"))
    except ValueError:
        return text


def meant(selection: SelectionView) -> str:
    """Whom and what it is about, as the middle of a sentence."""
    if selection.ids:
        named = "what is named by one id" if len(selection.ids) == 1 else f"what {len(selection.ids):,} ids name"
        return named + (f", to {selection.endpoint}" if selection.endpoint else "")
    match selection.state, selection.endpoint:
        case "unrouted", _:
            what = "events that went nowhere, " + (f"to {selection.endpoint}" if selection.endpoint else "to who asks")
        case None, None:
            what = "all deliveries"
        case None, endpoint:
            what = f"all events that {endpoint} asks for"
        case state, endpoint:
            what = f"{state} deliveries" + (f" to {endpoint}" if endpoint else "")
    reason = because(selection.error, selection.status)
    return ", ".join(
        [
            what,
            *([f"given up: {reason}"] if reason else []),
            *([f"of source {selection.source}"] if selection.source else []),
            *([f"of type {selection.type}"] if selection.type else []),
            *([f"from {selection.since} on"] if selection.since else []),
            *([f"before {selection.until}"] if selection.until else []),
        ]
    )


def because(error: str | None, status: int | None) -> str:
    """A reason to give something up, where one or the other may be any; empty for any at all."""
    if error is None and status is None:
        return ""
    if status is None and error in ANSWERED:
        return "redirects are not followed" if error == "redirect" else "any answer but 2xx and 3xx"
    return failure(status, error)


def counted(replay: ReplayView) -> str:
    """What a dry run found."""
    if not replay.total:
        return "Nothing that can be sent is like that: a replay would do nothing."
    more = "" if replay.total_is_exact else "more than "
    deliveries = "1 delivery" if replay.total == 1 else f"{replay.total:,} deliveries"
    return f"A replay would make {more}{deliveries} due: {_to_whom(replay.by_endpoint)}."


def _to_whom(by_endpoint: Any) -> str:
    found: Mapping[str, int] = by_endpoint
    return ", ".join(f"{count:,} to {name}" for name, count in found.items())


ERRORS = [(each, because(each, None)) for each in FAILURE_WORDS]
"""Each with what it means."""
