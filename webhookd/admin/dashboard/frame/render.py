"""Templates, filled in. Everything that is put into one is escaped: what came from outside is text and never markup."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from webhookd.admin.ledger_views import Money
from webhookd.clock import Clock
from webhookd.core.units import duration_text, time_text

if TYPE_CHECKING:
    from jinja2 import Environment

_ROOM = resources.files("webhookd.admin.dashboard")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class Renderer:
    """The library is loaded with the first page: a daemon that nobody looks at does not need it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    @cached_property
    def files(self) -> Mapping[str, tuple[bytes, str]]:
        """What pages load, by name, each with its content type."""
        found = {}
        for file in (_ROOM / "static").iterdir():
            suffix = file.name[file.name.rfind(".") :]
            if suffix in _TYPES:
                found[file.name] = (file.read_bytes(), _TYPES[suffix])
        return found

    @cached_property
    def edition(self) -> str:
        """Of all files together: in their URL, so that a browser keeps them until they change."""
        digest = hashlib.sha256()
        for name in sorted(self.files):
            digest.update(self.files[name][0])
        return digest.hexdigest()[:12]

    def render(self, template: str, **values: Any) -> str:
        return self._environment.get_template(template).render(values)

    @cached_property
    def _environment(self) -> "Environment":
        from jinja2 import Environment, FunctionLoader, StrictUndefined

        def load(name: str) -> str:
            return (_ROOM / "templates" / name).read_text(encoding="utf-8")

        environment = Environment(
            autoescape=True,
            undefined=StrictUndefined,
            loader=FunctionLoader(load),
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {
            "ago": self._ago,
            "digits": digits_text,
            "duration": duration_text,
            "money": money_text,
            "number": "{:,}".format,
            "segment": segment,
            "short": short,
            "size": size_text,
        }
        environment.globals |= {
            "url": url,
            "static": lambda name: f"/static/{self.edition}/{name}",
            "now": lambda: time_text(self._clock.now_ms()),
        }
        return environment

    def _ago(self, at: str) -> str:
        """Of a time as the API has it: "5m 3s ago", or "in 2h"."""
        ms = self._clock.now_ms() - round(datetime.fromisoformat(at).timestamp() * 1_000)
        if abs(ms) < 1_000:
            return "now"
        return f"{duration_text(ms)} ago" if ms > 0 else f"in {duration_text(-ms)}"


def url(path: str, *more: Mapping[str, object], **query: object) -> str:
    """A link: of the query, what is neither None nor empty; later ones count."""
    merged: dict[str, object] = {}
    for each in (*more, query):
        merged.update(each)
    text = urlencode({name: value for name, value in merged.items() if value not in (None, "")})
    return f"{path}?{text}" if text else path


def money_text(money: Money) -> str:
    """Like "42.00 USD"; where the amount or the exponent is not known that is said, and nothing guessed."""
    currency = money.currency or "(currency not known)"
    if money.amount is None:
        return f"not known {money.currency or ''}".strip()
    unit = " (smallest units)" if money.exponent is None else ""
    return f"{digits_text(money.amount, money.exponent)} {currency}{unit}"


def digits_text(amount: int, exponent: int | None, thousands: str = ",") -> str:
    """An amount in smallest units, exactly, with so many digits after the point; as it is where that is not known."""
    whole, part = divmod(abs(amount), 10 ** (exponent or 0))
    return f"{'-' if amount < 0 else ''}{whole:{thousands}}" + (f".{part:0{exponent}d}" if exponent else "")


def segment(text: str) -> str:
    """A text of any characters as one segment of a path."""
    return quote(text, safe="")


def size_text(size: int) -> str:
    for unit, each in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= each:
            return f"{size / each:.1f} {unit}"
    return f"{size} B"


def short(text: str, chars: int = 14) -> str:
    """An id, as far as it takes to tell it from its neighbours."""
    return text if len(text) <= chars else f"{text[: chars - 6]}…{text[-5:]}"
