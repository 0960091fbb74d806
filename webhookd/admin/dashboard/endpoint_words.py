"""An endpoint in words: where it is, why it stands as it does, what failed, and how its last hour was. Pure."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from webhookd.admin.dashboard.charts import Chart, Series, sparkline
from webhookd.core.story_words import failure

WHY = {
    "operator": "by a person",
    "gone": "it answered 410 Gone",
    "failing": "it failed for too long",
    "removed": "taken out of service",
    "settings": "its settings cannot be used",
}
"""Of one that is not active."""


_HIDDEN = "***"


class Address(NamedTuple):
    """A URL for who may look, in its parts."""

    scheme: str
    host: str
    path: str
    query: str
    """Its values are masked: they may be secrets."""


class Tried(Protocol):
    """A minute."""

    at: str
    succeeded: int
    failed: int


def address(url: str) -> Address:
    scheme, separator, rest = url.partition("://")
    target, question, query = rest.partition("?")
    host, slash, path = target.partition("/")
    masked = "&".join(map(_masked, query.split("&"))) if query else ""
    return Address(f"{scheme}{separator}", host, f"{slash}{path}", f"{question}{masked}")


def failed(status: int | None, error: str) -> str:
    """What went wrong with an attempt, as a sentence begins."""
    text = failure(status, error)
    return text[:1].upper() + text[1:]


def attempts(minutes: Sequence[Tried]) -> Sequence[Series]:
    """For a chart: of each minute, what succeeded and what did not."""
    return [
        Series("succeeded", [each.succeeded for each in minutes], 2),
        Series("failed", [each.failed for each in minutes], 3),
    ]


def health(minutes: Sequence[Tried]) -> Chart:
    return sparkline("Attempts of the last hour", attempts(minutes))


def _masked(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={_HIDDEN}" if equals else _HIDDEN
