"""What a page is narrowed by, as its URL has it, made what the API is asked for."""

import re
from collections.abc import Mapping

from multidict import MultiDict, MultiMapping

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
TIMES = ("since", "until")


def narrowed(query: MultiMapping[str], *page_alone: str) -> MultiDict[str]:
    """Of the query, what is not empty and not of the page alone; a day is its beginning in UTC.

    What is given twice stays so: the API refuses it.
    """
    found: MultiDict[str] = MultiDict()
    for name, text in query.items():
        value = text.strip()
        if value and name not in page_alone:
            found.add(name, f"{value}T00:00:00Z" if name in TIMES and _DAY.fullmatch(value) else value)
    return found


def filled_in(query: MultiMapping[str]) -> Mapping[str, str]:
    """What the fields of the form show; of a name that is given twice the first."""
    return {name: query.getone(name) for name in query}
