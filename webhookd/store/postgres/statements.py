"""SQL by name, as PostgreSQL is asked it: parameters by number, and nothing that is said to SQLite's planner."""

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import msgspec

from webhookd.store.sql.connection import Given, Table
from webhookd.store.sql.statements import statements
from webhookd.store.sql.values import EVENT_COLUMNS, VALUES

NUL_SIGN = "\u2400"
_NAMES = EVENT_COLUMNS.index("names")
_INDEX = re.compile(r" INDEXED BY \w+|(?<=\s)\+(?=[a-z])")
_ORDER = re.compile(r"\bCROSS (?=JOIN (?:[\w.]+|\([^()]*\))(?: AS \w+)?\s+(?:ON|USING)\b)")
_TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::\w+|:(?P<name>[a-z_][a-z0-9_]*)|\?(?P<place>\d*)")


class Statement(NamedTuple):
    sql: str
    names: Sequence[str]
    """Of its parameters, in order; none where they are given by place."""

    def arguments(self, given: Given) -> Sequence[Any]:
        return [given[name] for name in self.names] if isinstance(given, Mapping) else given


def spoken(sql: str) -> Statement:
    """The same with `$1` for `:name`, `?` and `?1`."""
    names: list[str] = []
    places = 0

    def numbered(token: re.Match[str]) -> str:
        nonlocal places
        if (name := token["name"]) is not None:
            if name not in names:
                names.append(name)
            return f"${names.index(name) + 1}"
        if token["place"] is None:
            return token[0]
        places += 1
        return f"${token['place'] or places}"

    return Statement(_TOKEN.sub(numbered, _ORDER.sub("", _INDEX.sub("", sql))), names)


def schema() -> str:
    return (resources.files(__package__) / "schema.sql").read_text(encoding="utf-8")


STATEMENTS = {name: spoken(sql) for name, sql in statements(__package__).items()}


def rows(table: Table, nouns: Sequence[Any]) -> list[tuple[Any, ...]]:
    """What the type of this table's new rows (`new_event`, …) holds, for each of these."""
    made = [[as_text(value) if isinstance(value, str) else value for value in VALUES[table](noun)] for noun in nouns]
    if table == "attempt":
        return [(*values, each.fence) for values, each in zip(made, nouns, strict=True)]
    if table != "alias":
        for values in made:
            values[_NAMES] = without_nul(values[_NAMES])
    return [*map(tuple, made)]


def as_text(value: Any) -> Any:
    """PostgreSQL's text holds no NUL: the sign for it stands in its place."""
    if isinstance(value, str):
        return value.replace("\0", NUL_SIGN)
    if isinstance(value, list):
        return [as_text(each) if isinstance(each, str) else each for each in value]
    return value


def without_nul(names: str | None) -> str | None:
    if names is None or "\\u0000" not in names:
        return names
    return msgspec.json.encode([as_text(name) for name in msgspec.json.decode(names)]).decode()
