"""What a list is asked for: its filters, its limit and its cursor, from the query of a URL."""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from webhookd.admin.views import parse_cursor
from webhookd.core.identifier import UnknownIdError, parse_event_id
from webhookd.core.money import EXPONENTS
from webhookd.store.protocol import Filter, LedgerFilter

Word = TypeVar("Word", bound=str)
LIMIT_DEFAULT, LIMIT_MAX = 50, 500
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FILTERS = frozenset({"source", "provider", "type", "state", "since", "until", "limit", "cursor"})
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


class QueryError(ValueError):
    """A parameter that cannot be used; the message names it."""


def list_filter(
    query: Mapping[str, str], own: set[str], states: Collection[str], *, cursor_numbers: int
) -> tuple[Filter, int]:
    """Raises QueryError, with a message that names the parameter."""
    refuse_unknown(query, _FILTERS | own)
    state = one_of(query, "state", states)
    limit = _limit(query)
    before = None
    if "cursor" in query:
        numbers = _cursor(query["cursor"], cursor_numbers)
        before = (numbers[0], numbers[-1] if cursor_numbers > 1 else 0)
    narrowed = Filter(
        source=query.get("source"),
        provider=one_of(query, "provider", EXPONENTS),
        type=query.get("type"),
        state=state,
        endpoint=query.get("endpoint"),
        since_ms=time_ms(query, "since"),
        until_ms=time_ms(query, "until"),
        before=before,
        after=_event_key(query, "after"),
    )
    return narrowed, limit


def ledger_filter(query: Mapping[str, str], own: Collection[str], states: Collection[str]) -> tuple[LedgerFilter, int]:
    """The same for lists of the ledger. Raises QueryError."""
    refuse_unknown(query, {"provider", "status", "reference", "since", "until", "limit", "cursor", *own})
    narrowed = LedgerFilter(
        provider=one_of(query, "provider", EXPONENTS),
        status=one_of(query, "status", states),
        reference=query.get("reference"),
        payment=query.get("payment"),
        since_ms=time_ms(query, "since"),
        until_ms=time_ms(query, "until"),
        before=_cursor(query["cursor"], 1)[0] if "cursor" in query else None,
    )
    return narrowed, _limit(query)


def page_of(query: Mapping[str, str], own: Collection[str]) -> tuple[int, int]:
    """The number that the page before ended with, 0 for the first, and how long it is. Raises QueryError."""
    refuse_unknown(query, {"limit", "cursor", *own})
    return _cursor(query["cursor"], 1)[0] if "cursor" in query else 0, _limit(query)


def flag(query: Mapping[str, str], name: str) -> bool:
    """False where it is not given. Raises QueryError."""
    return one_of(query, name, ("true", "false")) == "true"


def refuse_unknown(query: Mapping[str, str], known: Collection[str]) -> None:
    """Raises QueryError."""
    if unknown := query.keys() - known:
        raise QueryError(f"there is no parameter {min(unknown)[:64]!r}; known are {', '.join(sorted(known))}")


def one_of(query: Mapping[str, str], name: str, words: Collection[Word]) -> Word | None:
    """Raises QueryError."""
    if name not in query:
        return None
    for word in words:
        if word == query[name]:
            return word
    raise QueryError(f"{name} must be one of {', '.join(words)}")


def _limit(query: Mapping[str, str]) -> int:
    limit = query.get("limit", str(LIMIT_DEFAULT))
    if not (limit.isascii() and limit.isdigit() and len(limit) < 10 and 1 <= int(limit) <= LIMIT_MAX):
        raise QueryError(f"limit must be a whole number from 1 to {LIMIT_MAX}")
    return int(limit)


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


def time_ms(query: Mapping[str, str], name: str) -> int | None:
    """Unix milliseconds. Raises QueryError."""
    if name not in query:
        return None
    try:
        at = datetime.fromisoformat(query[name]).astimezone(UTC) if _RFC_3339.fullmatch(query[name]) else None
    except (ValueError, OverflowError):
        at = None
    if at is None or at < _EPOCH:
        example = "2026-01-31T12:00:00Z"
        raise QueryError(f"{name} must be an RFC 3339 time with its zone, like {example}, from 1970 to 9999 in UTC")
    return (at - _EPOCH) // timedelta(milliseconds=1)
