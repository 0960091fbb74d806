"""Changing settings by a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any

Settings = Mapping[str, Any]


def merged(settings: Settings, patch: Settings) -> dict[str, Any]:
    """None stays where it is given: only who knows the settings can say whether there is one to be forgotten."""
    result = {**settings}
    for field, value in patch.items():
        if field == "headers" and isinstance(value, dict):
            result[field] = _merged_headers(result.get(field) or {}, value)
        else:
            result[field] = value
    return result


def _merged_headers(headers: Settings, patch: Settings) -> Settings:
    """A header is the same one however its name is written."""
    named = {name.lower() for name in patch}
    return without_none({**{name: value for name, value in headers.items() if name.lower() not in named}, **patch})


def without_none(settings: Settings) -> Settings:
    return {field: value for field, value in settings.items() if value is not None}
