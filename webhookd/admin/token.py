"""The admin token: made at the first start, kept in the data directory, compared in constant time."""

import hmac
import os
import secrets
from pathlib import Path

NAME = "admin.token"
PREFIX = "whd_"
CHARS_MIN = 40


class TokenError(Exception):
    """The token file is there and of no use. An empty token must never be one that opens the door."""


def ensure_token(data_dir: Path) -> str:
    """The token of this data directory; written atomically, fsynced, mode 0600, if there is none. Raises TokenError."""
    path = data_dir / NAME
    try:
        token = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _make(path)
    except (OSError, UnicodeDecodeError):
        raise TokenError(f"{path} cannot be read; remove it, and a new token is made") from None
    if not token.startswith(PREFIX) or len(token) < CHARS_MIN:
        raise TokenError(f"{path} holds no token of webhookd's; remove it, and a new one is made")
    return token


def _make(path: Path) -> str:
    token = PREFIX + secrets.token_urlsafe(32)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return token


def is_bearer(header: str | None, token: str) -> bool:
    """Whether an Authorization header holds the token."""
    scheme, _, given = (header or "").partition(" ")
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()) and scheme.lower() == "bearer"
