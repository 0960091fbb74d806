"""A list that is narrowed by a form whose state is the URL: what came of it, and what is wrong with it."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from webhookd.admin.dashboard.filters import narrowed
from webhookd.admin.dashboard.frame.render import url
from webhookd.admin.dashboard.frame.visit import Visit
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.store.protocol.errors import StoreUnavailableError

FRESH_S_MIN = 1
COST_MAX = 0.05
"""Of what is kept up to date: it is read again so seldom that reading it takes no more of the time."""
RANGES = (("last hour", timedelta(hours=1)), ("last day", timedelta(days=1)), ("last week", timedelta(days=7)))


def fresh_s(took_s: float, least_s: int = FRESH_S_MIN) -> int:
    """After how many seconds a page may look again at what took so long to look at."""
    return max(least_s, math.ceil(took_s / COST_MAX))


class Listed(NamedTuple):
    rows: Sequence[Any]
    next_cursor: str | None
    status: int = 200
    mistakes: Sequence[Mistake] = ()
    """With the filters: then there are no rows."""
    is_late: bool = False
    """The store did not answer in time."""
    looked_to: str | None = None
    """Where the look ended that did not fill the page; what is rare is further on."""


async def listed(visit: Visit, operation: str, *page_alone: str, **more: str) -> Listed:
    """What the operation lists for the page's own query, but for what means something to the page alone.

    `more` is asked for too, unless the query says it otherwise.
    """
    query = narrowed(visit.query, *page_alone)
    query.update({name: value for name, value in more.items() if name not in query})
    try:
        page = await visit.ask(operation, query=query)
    except MistakesError as error:
        return Listed((), None, 422, error.mistakes)
    except StoreUnavailableError:
        return Listed((), None, 503, is_late=True)
    return Listed(page.data, page.next_cursor, looked_to=page.looked_to or None)


def clean(visit: Visit) -> str | None:
    """The page's URL without what a form sends empty; None where there is no such thing in it."""
    query = visit.query
    if all(query.values()):
        return None
    return url(visit.request.path, {name: query[name] for name in query if query[name]})


def ranges(visit: Visit, now: str) -> Sequence[tuple[str, str]]:
    """Links to the same list since then: a name, and a URL. `now` is a time as the API has it."""
    query = {name: value for name, value in visit.query.items() if name != "cursor"}
    links = []
    for name, length in RANGES:
        since = (datetime.fromisoformat(now) - length).isoformat(timespec="seconds").replace("+00:00", "Z")
        links.append((name, url(visit.request.path, query, since=since, until=None)))
    if "since" in query or "until" in query:
        links.append(("any time", url(visit.request.path, query, since=None, until=None)))
    return links
