"""What a text in a request may mean: a time, a glob, a wait, an id; and what is wrong with one that means nothing."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

from msgspec import Meta

from webhookd.core.endpoint import check_pattern
from webhookd.core.identifier import UnknownIdError, parse_event_id
from webhookd.core.units import duration_ms

LIMIT_DEFAULT, LIMIT_MAX = 50, 500
TEXT_CHARS_MAX = 255
WAIT_S_MAX = 60
STATUS_MIN, STATUS_MAX = 100, 999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
Status = Annotated[int, Meta(ge=STATUS_MIN, le=STATUS_MAX)]
ProviderName = Literal["stripe", "paypal", "flutterwave", "paystack", "razorpay", "standard"]
"""Who sends hooks."""
PayerName = Literal[ProviderName, "outbox"]
"""Who says something of money: an application's own outbox, too."""
SignerName = Literal[PayerName, "webhookd"]
"""Whose events there are: webhookd's are its own, and those that are published."""
PAYER_NAMES: tuple[PayerName, ...] = get_args(PayerName)


@runtime_checkable
class Meaning(Protocol):
    """A type of such a text. A struct may have fields of it: they are read by `read`, and described by `SCHEMA`."""

    SCHEMA: ClassVar[dict[str, Any]]

    @classmethod
    def read(cls, text: str) -> Any:
        """Raises ValueError with what the text must be, to be told after the field's name."""
        ...


class Instant(int):
    """Unix milliseconds; on the wire a time in RFC 3339, with its zone."""

    SCHEMA: ClassVar = {
        "type": "string",
        "format": "date-time",
        "description": "RFC 3339, with its zone; from 1970 to 9999 in UTC.",
        "examples": ["2026-01-31T12:00:00Z"],
    }

    @classmethod
    def read(cls, text: str) -> "Instant":
        try:
            at = datetime.fromisoformat(text).astimezone(UTC) if _RFC_3339.fullmatch(text) else None
        except (ValueError, OverflowError):
            at = None
        if at is None or at < _EPOCH:
            raise ValueError(
                "must be an RFC 3339 time with its zone, like 2026-01-31T12:00:00Z, from 1970 to 9999 in UTC"
            )
        return cls((at - _EPOCH) // timedelta(milliseconds=1))


class Glob(str):
    """Event types that match: `*` is any characters, `?` is one."""

    __slots__ = ()
    SCHEMA: ClassVar = {
        "type": "string",
        "pattern": r"^[A-Za-z0-9_.\-:/*?]+$",
        "minLength": 1,
        "maxLength": TEXT_CHARS_MAX,
        "description": "A glob over event types: `*` is any characters, `?` is one.",
        "examples": ["payment_intent.*"],
    }

    @classmethod
    def read(cls, text: str) -> "Glob":
        if not 1 <= len(text) <= TEXT_CHARS_MAX:
            raise ValueError(f"must be a string of 1 to {TEXT_CHARS_MAX} characters")
        check_pattern(text)
        return cls(text)


class EventKey(int):
    """An event's place in the log; on the wire its id."""

    SCHEMA: ClassVar = {"type": "string", "pattern": "^evt_[0-7][0-9a-f]{15}[0-7][0-9a-f]{15}$"}

    @classmethod
    def read(cls, text: str) -> "EventKey":
        try:
            return cls(parse_event_id(text)[0])
        except UnknownIdError:
            raise ValueError("must be the id of an event, evt_…") from None


class Wait(int):
    """Milliseconds; on the wire a duration of a minute at most."""

    SCHEMA: ClassVar = {
        "type": "string",
        "pattern": "^[0-9]{1,12}(ms|s|m)$",
        "description": f"A duration, at most {WAIT_S_MAX}s.",
        "examples": ["30s"],
    }

    @classmethod
    def read(cls, text: str) -> "Wait":
        wait_ms = duration_ms(text)
        if wait_ms > WAIT_S_MAX * 1_000:
            raise ValueError(f"must be at most {WAIT_S_MAX}s")
        return cls(wait_ms)


class Currency(str):
    """In capitals; on the wire in any."""

    __slots__ = ()
    SCHEMA: ClassVar = {"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["EUR"]}

    @classmethod
    def read(cls, text: str) -> "Currency":
        if not (len(text) == 3 and text.isascii() and text.isalpha()):
            raise ValueError("must be three letters, like EUR")
        return cls(text.upper())
