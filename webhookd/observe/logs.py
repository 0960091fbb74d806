"""Structured logs: JSON lines, or colours on a terminal. Secrets, bodies and a stranger's bytes never get in."""

import logging
import re
import sys
from typing import Any

import structlog

_NEVER = re.compile(r"secret|token|signature|authorization|cookie|body|password", re.IGNORECASE)
_CARD = re.compile(r"(?<!\w)\d(?:[ -]?\d){12,18}(?!\w)")
VALUE_CHARS_MAX = 500


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
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


def redact(_logger: Any, _method: str, entry: Any) -> Any:
    """The last line of defence: names that must not be logged are masked, as is what looks like a card number."""
    for name, value in entry.items():
        if _NEVER.search(name):
            entry[name] = "********"
        elif isinstance(value, str):
            # Unprintable characters could forge a line or steer a terminal.
            clean = value if value.isprintable() else ascii(value)[1:-1]
            entry[name] = _CARD.sub(_masked, clean)[:VALUE_CHARS_MAX]
    return entry


def _masked(found: re.Match[str]) -> str:
    digits = [int(character) for character in found[0] if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    is_card = (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
    return "[card number]" if is_card else found[0]


def _drop_record(_logger: Any, _method: str, entry: Any) -> Any:
    entry.pop("_record", None)
    entry.pop("_from_structlog", None)
    return entry
