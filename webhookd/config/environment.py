"""Settings that come from the environment: `WEBHOOKD_SERVER__LISTEN=…` over what the file says."""

from collections.abc import Mapping
from typing import Any

from webhookd.config.mistake import ConfigError

ENVIRONMENT_PREFIX = "WEBHOOKD_"


class FromEnvironment(str):
    """A value that came as text and may mean a number or a truth value."""

    __slots__ = ()


def override(table: dict[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    """`WEBHOOKD_SERVER__LISTEN=…` sets server.listen; in the names of sources and endpoints `_` stands for `-` too.

    Gives the keys that were set, each with its variable. Raises ConfigError.
    """
    origins = {}
    for variable, value in sorted(environment.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or "__" not in variable:
            continue
        at: Any = table
        path = []
        *tables, last = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        for part in tables:
            path.append(_key(at, part))
            at = at.setdefault(path[-1], {})
            if not isinstance(at, dict):
                raise ConfigError([f"{variable}: {'.'.join(path)} is a single value and has nothing below it"])
        path.append(_key(at, last))
        at[path[-1]] = FromEnvironment(value)
        origins[".".join(path)] = variable
    return origins


def _key(table: Mapping[str, Any], part: str) -> str:
    return next((key for key in table if key.lower().replace("-", "_") == part), part)
