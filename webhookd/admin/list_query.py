"""What a list is asked for: its filters, its limit and its cursor, from the query of a URL."""

import re
from collections.abc import Mapping
from datetime import datetime

from webhookd.admin.views import parse_cursor
from webhookd.core.identifier import UnknownIdError, parse_event_id
from webhookd.store.protocol import Filter

LIMIT_DEFAULT, LIMIT_MAX = 50, 500
_FILTERS = frozenset({"source", "provider", "type", "state", "since", "until", "limit", "cursor"})
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class QueryError(ValueError):
    """A parameter that cannot be used; the message names it."""


def list_filter(
    query: Mapping[str, str], own: set[str], states: tuple[str, ...], *, cursor_numbers: int
) -> tuple[Filter, int]:
    """Raises QueryError, with a message that names the parameter."""
    if unknown := query.keys() - _FILTERS - own:
        raise QueryError(f"there is no parameter {min(unknown)[:64]!r}; known are {', '.join(sorted(_FILTERS | own))}")
    state = query.get("state")
    if state is not None and state not in states:
        raise QueryError(f"state must be one of {', '.join(states)}")
    limit = query.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= LIMIT_MAX):
        raise QueryError(f"limit must be a whole number from 1 to {LIMIT_MAX}")
    before = None
    if "cursor" in query:
        numbers = _cursor(query["cursor"], cursor_numbers)
        before = (numbers[0], numbers[-1] if cursor_numbers > 1 else 0)
    narrowed = Filter(
        source=query.get("source"),
        provider=query.get("provider"),
        type=query.get("type"),
        state=state,
        endpoint=query.get("endpoint"),
        since_ms=_time_ms(query, "since"),
        until_ms=_time_ms(query, "until"),
        before=before,
        after=_event_key(query, "after"),
    )
    return narrowed, int(limit)


def _cursor(text: str, count: int) -> tuple[int, ...]:
    try:
        return parse_cursor(text, count)
    except ValueError as error:
        raise QueryError(str(error)) from None


def _event_key(query: Mapping[str, str], name: str) -> int | None:
    try:
        return parse_event_id(query[name])[0] if name in query else None
    except UnknownIdError:
        raise QueryError(f"{name} must be the id of an event, evt_…") from None


def _time_ms(query: Mapping[str, str], name: str) -> int | None:
    if name not in query:
        return None
    try:
        at = datetime.fromisoformat(query[name]) if _RFC_3339.fullmatch(query[name]) else None
    except ValueError:
        at = None
    if at is None or at.year < 1970:
        raise QueryError(f"{name} must be an RFC 3339 time with its zone, like 2026-01-31T12:00:00Z")
    return round(at.timestamp() * 1_000)
