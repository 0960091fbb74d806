"""The configuration as a TOML file that says the same, but for the secrets that stand in it: those are stars."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from webhookd.config.model import Config
from webhookd.config.value import shown

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_NAMED = ("sources", "endpoints")


def written(config: Config, origins: Mapping[str, str]) -> str:
    """`origins` names what settings come from that are not from the file; it stands beside them."""
    return "\n".join(_lines(shown(config), origins)) + "\n"


def _lines(table: Mapping[str, Any], origins: Mapping[str, str]) -> Iterator[str]:
    for section, settings in table.items():
        for name, each in settings.items() if section in _NAMED else [("", settings)]:
            where = f"{section}.{_key(name)}" if name else section
            yield f"[{where}]"
            for setting, value in each.items():
                if value is not None and (value not in ({}, []) or section not in _NAMED):
                    origin = origins.get(f"{section}.{name}.{setting}" if name else f"{section}.{setting}")
                    yield f"{_key(setting)} = {_value(value)}" + (f"  # {origin}" if origin else "")
            yield ""


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_value(each)}" for name, each in value.items()) + " }"
        case _:
            return _string(str(value))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    """As JSON has it, and DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
