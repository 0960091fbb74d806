"""Sample events in the shapes the providers send, written for webhookd.

A provider's file holds the `envelope`, the `objects` that go into it at `object_at`, and its `types`: for each the
`object`, what is `set` in it and in the `envelope` (merged in depth), or a whole `body` of its own. `others`, if it is
there, stands for every type the provider has a name for and that is not listed.

Strings that begin with `@` are filled in: `@id:pi_` an id with that prefix, `@ID:capture` 17 upper-case characters,
`@int:charge` ten digits as a number (each the same wherever it comes again in one event); `@now`, `@now-30` Unix
seconds, `@ms` milliseconds, `@iso`, `@iso+60` RFC 3339; `@uuid`; `@type` the event's type and `@subject` all but its
last word; `@object:payment` another of the objects. Within a longer string they are written `@{ID:capture}`.
"""

import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from random import Random
from typing import Any
from uuid import UUID

from webhookd.providers import PROVIDERS

_TIME = re.compile(r"(now|ms|iso)([+-]\d+)?")
_WITHIN = re.compile(r"@\{([^}]+)\}")
_UPPER = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_ID_CHARS = _UPPER + "abcdefghijkmnopqrstuvwxyz"


def types(provider: str) -> list[str]:
    """The event types there are samples of."""
    samples = _samples(provider)
    others = PROVIDERS[provider].event_types - samples["types"].keys() if "others" in samples else ()
    return [*samples["types"], *sorted(others)]


def sample(provider: str, event_type: str, now_s: int, dice: Random, settings: dict[str, Any] | None = None) -> bytes:
    """A fresh event of the type as the provider would serialise it. `settings` maps dotted paths to values.

    An id that is set is the same wherever the sample has it. What is Typed is text where the sample has text.
    Raises KeyError for a type without a sample, ValueError for a path that leads nowhere.
    """
    samples = _samples(provider)
    kind = samples["types"].get(event_type) or samples["others"]
    if "body" in kind:
        event = kind["body"]
    else:
        placed: Any = _merged(samples["objects"][kind["object"]], kind.get("set", {}))
        for name in reversed(samples["object_at"].split(".")):
            placed = {name: placed}
        event = _merged(_merged(samples["envelope"], placed), kind.get("envelope", {}))
    filler = _Filler(samples["objects"], event_type, now_s, dice)
    for path, value in (settings or {}).items():
        filler.bind(event, path, value)
    event = filler.filled(event)
    for path, value in (settings or {}).items():
        _set(event, path, value)
    return json.dumps(event, ensure_ascii=False, indent=2).encode()


@cache
def _samples(provider: str) -> Any:
    return json.loads((resources.files(__name__) / f"{provider}.json").read_text(encoding="utf-8"))


def _merged(base: Any, over: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {name: _merged(base.get(name), over[name]) if name in over else base[name] for name in {**base, **over}}


class Typed(str):
    """A value as somebody typed it: JSON, else text."""

    __slots__ = ()

    def beside(self, example: Any) -> Any:
        try:
            return str(self) if isinstance(example, str) else json.loads(self)
        except ValueError:
            return str(self)


class _Filler:
    def __init__(self, objects: dict[str, Any], event_type: str, now_s: int, dice: Random) -> None:
        self._objects = objects
        self._type = event_type
        self._now_s = now_s
        self._dice = dice
        self._ids: dict[str, Any] = {}

    def bind(self, event: Any, path: str, value: Any) -> None:
        """If what stands there is to become an id, have it be this one wherever it comes."""
        node = event
        for name in path.split("."):
            node = _member(node, name)
            if isinstance(node, str) and node.startswith("@object:"):
                node = self._objects[node.removeprefix("@object:")]
        if isinstance(node, str) and node.startswith(("@id:", "@ID:", "@int:")):
            example = 0 if node.startswith("@int:") else ""
            self._ids[node[1:]] = value.beside(example) if isinstance(value, Typed) else value

    def filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self.filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if not isinstance(value, str):
            return value
        if value.startswith("@object:"):
            return self.filled(self._objects[value.removeprefix("@object:")])
        if value.startswith("@") and not value.startswith("@{"):
            return self._made(value[1:])
        return _WITHIN.sub(lambda found: str(self._made(found[1])), value)

    def _made(self, what: str) -> Any:
        if found := _TIME.fullmatch(what):
            at_s = self._now_s + int(found[2] or 0)
            if found[1] == "iso":
                return datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
            return at_s if found[1] == "now" else at_s * 1_000
        if what == "type":
            return self._type
        if what == "subject":
            return self._type.rpartition(".")[0]
        if what == "uuid":
            return str(UUID(int=self._dice.getrandbits(128), version=4))
        if what not in self._ids:
            self._ids[what] = self._new(*what.split(":", 1))
        return self._ids[what]

    def _new(self, form: str, name: str) -> Any:
        if form == "id":
            return name + "".join(self._dice.choices(_ID_CHARS, k=24))
        if form == "ID":
            return "".join(self._dice.choices(_UPPER, k=17))
        if form == "int":
            return self._dice.randrange(10**9, 10**10)
        raise ValueError(f"@{form}:{name} is no placeholder")


def _at(node: Any, path: str) -> Any:
    for name in path.split("."):
        node = _member(node, name)
    return node


def _member(node: Any, name: str) -> Any:
    if isinstance(node, list):
        return node[int(name)] if name.isdecimal() and int(name) < len(node) else None
    return node.get(name) if isinstance(node, dict) else None


def _set(event: Any, path: str, value: Any) -> None:
    parent, _, last = path.rpartition(".")
    at = _at(event, parent) if parent else event
    if not isinstance(at, dict) and (not isinstance(at, list) or _member(at, last) is None):
        raise ValueError(f"{path}: the sample has no object there")
    where: Any = int(last) if isinstance(at, list) else last
    at[where] = value.beside(_member(at, last)) if isinstance(value, Typed) else value
