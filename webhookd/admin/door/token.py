"""Tokens: the one that is made at the first start and kept in the data directory, and what any is good for."""

import hashlib
import secrets
from collections.abc import Mapping
from pathlib import Path

from webhookd import private_file
from webhookd.store.protocol.tokens import TokenScope

NAME = "admin.token"
PREFIX = "whd_"
CHARS_MIN = 40
GOOD_FOR: Mapping[TokenScope, frozenset[str]] = {
    "publish": frozenset({"publish"}),
    "read": frozenset({"read"}),
    "replay": frozenset({"read", "replay"}),
    "admin": frozenset({"publish", "read", "replay", "admin"}),
}
"""What an operation may ask for, by what a token was made for."""


class TokenError(Exception):
    """The token file is there and of no use. An empty token must never be one that opens the door."""


def ensure_token(data_dir: Path) -> str:
    """The token of this data directory; written atomically, fsynced, mode 0600, if there is none. Raises TokenError."""
    path = data_dir / NAME
    try:
        token = private_file.keep(path, new_token)
    except private_file.ExposedError:
        raise TokenError(f"{path} can be read by others: chmod 600 it, or remove it, and a new token is made") from None
    except (OSError, UnicodeDecodeError):
        raise TokenError(f"{path} cannot be read; remove it, and a new token is made") from None
    if not token.startswith(PREFIX) or len(token) < CHARS_MIN:
        raise TokenError(f"{path} holds no token of webhookd's; remove it, and a new one is made")
    return token


def new_token() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is kept of it. So many random bits need no salt and no slow hash: there is nothing to try them with."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
