"""Turns a table of TOML or JSON into a struct of settings, and finds every mistake in it at once."""

import difflib
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from webhookd.config.environment import FromEnvironment
from webhookd.config.mistake import Mistake, line
from webhookd.config.secret_text import Texts
from webhookd.config.value import PARSED, Pem
from webhookd.core.secret import Secret

NAME = re.compile(r"[a-z0-9_-]{1,64}")
NAME_RULE = "a name has 1 to 64 of a-z, 0-9, _ and -"
Check = Callable[[type, dict[str, Any], str, frozenset[str]], Iterable[Mistake]]
"""What types do not say: of a kind of table, its values that are of the right type (to be replaced where another form
is what is kept), its key, and the names of those settings that were refused already.
"""
MISTAKES_MAX = 50
"""Told of one table and what is in it: a stranger's may have as many as it has bytes."""
SUGGESTIONS_MAX = 5
_WRONG: Any = object()
_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}


class TableReader:
    """`where` is what a mistake is said to be in, `origins` whence the keys are that are not from there."""

    def __init__(self, texts: Texts, check: Check, where: str = "", origins: Mapping[str, str] | None = None) -> None:
        self._texts = texts
        self._check = check
        self._where = where
        self._origins = origins or {}
        self._found: list[Mistake] = []
        self._untold = 0

    @property
    def mistakes(self) -> list[Mistake]:
        """The last of too many says how many more there are."""
        if not self._untold:
            return self._found
        *told, (name, reason) = self._found
        return [*told, (name, f"{reason}; and {self._untold} mistakes more")]

    @property
    def lines(self) -> list[str]:
        return [line(self._origins.get(name, self._where), name, reason) for name, reason in self.mistakes]

    def struct(self, kind: Any, table: Any, key: str = "") -> Any:
        """The struct of a table, or None when something in it is wrong; every field is looked at either way."""
        if not isinstance(table, dict):
            self._wrong(key, f"must be a table, not {_kind(table)}")
            return None
        hints = typing.get_type_hints(kind, include_extras=True)
        for name in table:
            if name not in hints:
                self._wrong(_below(key, name), "is not a setting" + self._suggestion(name, hints))
        values: dict[str, Any] = {}
        refused = set()
        for each in msgspec.structs.fields(kind):
            if each.name in table:
                value = self._value(hints[each.name], table[each.name], _below(key, each.name))
                if value is _WRONG:
                    refused.add(each.name)
                else:
                    values[each.name] = value
            elif each.required:
                self._wrong(_below(key, each.name), "is missing")
                refused.add(each.name)
        for name, reason in self._check(kind, values, key, frozenset(refused)):
            self._wrong(_below(key, name), reason)
        return None if refused else kind(**values)

    def _value(self, kind: Any, value: Any, key: str) -> Any:
        kind, is_optional = _without_none(kind)
        if value is None and is_optional:
            return None
        if kind in PARSED or kind in (Secret, Pem):
            return self._text(kind, value, key)
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            found = self.struct(kind, value, key)
            return _WRONG if found is None else found
        match typing.get_origin(kind):
            case origin if isinstance(origin, type) and issubclass(origin, Mapping):
                return self._named(typing.get_args(kind)[1], value, key)
            case typing.Literal if value not in (choices := typing.get_args(kind)):
                self._wrong(key, "must be " + " or ".join(f'"{choice}"' for choice in choices))
                return _WRONG
        if isinstance(value, list) and (item := _item(kind)) is not None:
            value = [self._value(item, each, f"{key}[{index}]") for index, each in enumerate(value)]
            if any(each is _WRONG for each in value):
                return _WRONG
        try:
            return msgspec.convert(value, kind, dec_hook=_as_it_is, strict=not isinstance(value, FromEnvironment))
        except msgspec.ValidationError as error:
            self._wrong(key, str(error).replace(" - at `$", " - at `"))
            return _WRONG

    def _text(self, kind: Any, value: Any, key: str) -> Any:
        if not isinstance(value, str):
            self._wrong(key, f"must be a string, not {_kind(value)}")
            return _WRONG
        try:
            if kind is Secret:
                return self._texts.secret(value)
            return self._texts.pem(value) if kind is Pem else kind.parse(value)
        except ValueError as error:
            self._wrong(key, str(error))
            return _WRONG

    def _named(self, kind: Any, table: Any, key: str) -> Any:
        """What stands under names that somebody chose."""
        if not isinstance(table, dict):
            self._wrong(key, f"must be a table, not {_kind(table)}")
            return _WRONG
        found = {}
        for name, each in table.items():
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and not NAME.fullmatch(name):
                self._wrong(_below(key, name), NAME_RULE)
            found[name] = self._value(kind, each, _below(key, name))
        return _WRONG if any(each is _WRONG for each in found.values()) else found

    def _suggestion(self, name: str, known: Iterable[str]) -> str:
        near = difflib.get_close_matches(name[:64], known, n=1) if len(self._found) < SUGGESTIONS_MAX else []
        return f"; did you mean {near[0]}?" if near else ""

    def _wrong(self, key: str, reason: str) -> None:
        if len(self._found) < MISTAKES_MAX:
            self._found.append((key, reason))
        else:
            self._untold += 1


def _below(key: str, name: str) -> str:
    short = name[:64] if name.isprintable() else ascii(name[:64])[1:-1]
    return f"{key}.{short}".strip(".")


def _as_it_is(kind: Any, value: Any) -> Any:
    """Msgspec's hook for types it does not know: the items of a list, which were read before."""
    if isinstance(value, kind):
        return value
    raise ValueError(f"must be a list, not {_kind(value)}")


def _without_none(kind: Any) -> tuple[Any, bool]:
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind, False
    (only,) = (each for each in typing.get_args(kind) if each is not types.NoneType)
    return only, True


def _item(kind: Any) -> Any:
    """The type of a list's items, or None."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    return typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)
