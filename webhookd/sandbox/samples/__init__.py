"""Sample events in the shapes the providers send, written for webhookd.

A file holds the envelope, the objects that go into it, and for each type the object and what is set in it. A string
`@id:pi_` stands for an id (the same one wherever the prefix comes again in one event), `@now`, `@now-30` for Unix
seconds, `@iso`, `@iso+60` for RFC 3339, `@uuid` for a UUID.
"""

import json
import re
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from random import Random
from typing import Any
from uuid import UUID

_TIME = re.compile(r"@(now|iso)([+-]\d+)?")
_ID_CHARS = "0123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def types(provider: str) -> list[str]:
    """The event types there are samples of, for a provider that has any."""
    return list(_samples(provider)["types"])


def sample(provider: str, event_type: str, now_s: int, dice: Random, settings: dict[str, Any] | None = None) -> bytes:
    """A fresh event of the type as the provider would serialise it. `settings` maps dotted paths to values.

    Raises KeyError for a type without a sample, ValueError for a path that leads nowhere.
    """
    samples = _samples(provider)
    kind = samples["types"][event_type]
    event = json.loads(json.dumps(samples["envelope"]))
    event["type"] = event_type
    _set(event, samples["object_at"], {**json.loads(json.dumps(samples["objects"][kind["object"]])), **kind["set"]})
    event = _filled(event, now_s, dice, {})
    for path, value in (settings or {}).items():
        _set(event, path, value)
    return json.dumps(event, ensure_ascii=False, indent=2).encode()


@cache
def _samples(provider: str) -> Any:
    return json.loads((resources.files(__name__) / f"{provider}.json").read_text(encoding="utf-8"))


def _filled(value: Any, now_s: int, dice: Random, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, now_s, dice, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, now_s, dice, ids) for each in value]
    if not isinstance(value, str) or not value.startswith("@"):
        return value
    if value == "@uuid":
        return str(UUID(int=dice.getrandbits(128), version=4))
    if found := _TIME.fullmatch(value):
        at_s = now_s + int(found[2] or 0)
        return at_s if found[1] == "now" else datetime.fromtimestamp(at_s, UTC).isoformat().replace("+00:00", "Z")
    prefix = value.removeprefix("@id:")
    return ids.setdefault(prefix, prefix + "".join(dice.choices(_ID_CHARS, k=24)))


def _set(event: Any, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    at = event
    for name in parents:
        at = at.get(name) if isinstance(at, dict) else None
    if not isinstance(at, dict):
        raise ValueError(f"{path}: the sample has no object there")  # noqa: TRY004
    at[last] = value
