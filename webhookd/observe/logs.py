"""Structured logs: JSON lines, or colours on a terminal. Secrets, bodies and a stranger's bytes never get in."""

import logging
import re
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from webhookd.core.card_number import without_card_numbers

_NEVER = re.compile(r"secret|token|signature|authorization|cookie|body|password", re.IGNORECASE)
_RECORD = ("_record", "_from_structlog")
"""structlog's own, dropped before the line is written."""
VALUE_CHARS_MAX = 500
ITEMS_MAX = 100
DEPTH_MAX = 4


def configure(*, json: bool | None = None, debug: bool = False) -> None:
    """`json`: None decides by whether standard error is a terminal. Logs go to standard error."""
    as_json = not sys.stderr.isatty() if json is None else json
    level = logging.DEBUG if debug else logging.INFO
    shared: list[Any] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_drop_record, renderer])
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # aiohttp's own complaints quote the request and bring tracebacks; what matters of them is counted instead.
    for name in ("aiohttp.server", "aiohttp.access", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _StandardError:
    """Standard error as it is when something is written, since a logger that is made once is kept.

    Where nobody reads it any more (a closed terminal, a dead pipe) lines are dropped: a log must not stop a payment.
    """

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def redact(_logger: Any, _method: str, entry: Any) -> Any:
    """The last line of defence: names that must not be logged are masked, as is what looks like a card number."""
    if isinstance(entry.get("exc_info"), tuple):
        kind, error, _ = entry.pop("exc_info")
        entry["exception"] = f"{getattr(kind, '__name__', kind)}: {error}"
    for name, value in entry.items():
        if name not in _RECORD:
            entry[name] = _clean(name, value, 0)
    return entry


def _clean(name: str, value: Any, depth: int) -> Any:
    if _NEVER.search(name):
        return "********"
    match value:
        case None | bool() | int() | float():
            return value
        case bytes() | bytearray() | memoryview():
            return f"[{len(value)} bytes]"
        case dict() if depth < DEPTH_MAX:
            return {_text(str(key)): _clean(str(key), each, depth + 1) for key, each in [*value.items()][:ITEMS_MAX]}
        case list() | tuple() | set() | frozenset() if depth < DEPTH_MAX:
            return [_clean("", each, depth + 1) for each in [*value][:ITEMS_MAX]]
        case _:
            return _text(value if isinstance(value, str) else str(value))


def _text(text: str) -> str:
    # Before anything is escaped: the n of an escaped line feed would be taken for the beginning of a number's own word.
    text = without_card_numbers(text, lambda _digits: "[card number]")
    # Unprintable characters could forge a line or steer a terminal.
    return (text if text.isprintable() else ascii(text)[1:-1])[:VALUE_CHARS_MAX]


def _drop_record(_logger: Any, _method: str, entry: Any) -> Any:
    for name in _RECORD:
        entry.pop(name, None)
    return entry
