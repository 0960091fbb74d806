"""What a setting must be, in plain words: no library's name for a type reaches who wrote the file."""

import typing
from typing import Any

from msgspec import Meta

from webhookd.config.outbox_url import OutboxUrl
from webhookd.config.store_url import StoreUrl
from webhookd.config.value import Address, Duration, Patience, Pem, Size
from webhookd.core.rate_limit import RateLimit
from webhookd.core.secret import Secret

_KINDS = {bool: "a truth value", int: "a number", float: "a number", str: "a string", list: "a list", dict: "a table"}
_PLAIN = {int: "a whole number", float: "a number", bool: "true or false", str: "a string"}
_TEXTS = {
    Duration: 'a string like "15s" or "2h"',
    Patience: 'a string like "5d", or "never"',
    Size: 'a string like "64KiB" or "1MiB"',
    Address: 'a string like "127.0.0.1:8080"',
    RateLimit: 'a string like "50/s"',
    Secret: "a string",
    StoreUrl: 'a string like "sqlite:webhookd.db"',
    OutboxUrl: 'a string like "sqlite:///srv/shop/shop.db"',
    Pem: "a string",
}


def kind(value: Any) -> str:
    return _KINDS.get(type(value), type(value).__name__)


def wanted(setting: Any) -> str:
    """Of a setting's type, without the None that means its default: "a whole number from 1 to 10000"."""
    bounds = Meta()
    if typing.get_origin(setting) is typing.Annotated:
        setting, bounds = typing.get_args(setting)
    if typing.get_origin(setting) is tuple:
        return "a list" + _range(bounds.min_length, bounds.max_length, of=" of", then=" items")
    if setting in _TEXTS:
        return _TEXTS[setting]
    return _PLAIN[setting] + _range(bounds.ge, bounds.le, of="", then="")


def _range(least: float | None, most: float | None, *, of: str, then: str) -> str:
    if least is None and most is None:
        return ""
    if least is None:
        return f"{of} at most {most}{then}"
    return f"{of or ' from'} {least} to {most}{then}"
