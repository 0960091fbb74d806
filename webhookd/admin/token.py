"""The admin token: made at the first start, kept in the data directory, compared in constant time."""

import hmac
import secrets
from pathlib import Path

from webhookd import private_file

NAME = "admin.token"
PREFIX = "whd_"
CHARS_MIN = 40


class TokenError(Exception):
    """The token file is there and of no use. An empty token must never be one that opens the door."""


def ensure_token(data_dir: Path) -> str:
    """The token of this data directory; written atomically, fsynced, mode 0600, if there is none. Raises TokenError."""
    path = data_dir / NAME
    try:
        token = private_file.keep(path, lambda: PREFIX + secrets.token_urlsafe(32))
    except private_file.ExposedError:
        raise TokenError(f"{path} can be read by others: chmod 600 it, or remove it, and a new token is made") from None
    except (OSError, UnicodeDecodeError):
        raise TokenError(f"{path} cannot be read; remove it, and a new token is made") from None
    if not token.startswith(PREFIX) or len(token) < CHARS_MIN:
        raise TokenError(f"{path} holds no token of webhookd's; remove it, and a new one is made")
    return token


def is_bearer(header: str | None, token: str) -> bool:
    """Whether an Authorization header holds the token."""
    scheme, _, given = (header or "").partition(" ")
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()) and scheme.lower() == "bearer"
