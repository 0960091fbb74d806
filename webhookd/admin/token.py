"""The admin token: made at the first start, kept in the data directory, compared in constant time."""

import hmac
import os
import secrets
from pathlib import Path

NAME = "admin.token"
PREFIX = "whd_"


def ensure_token(data_dir: Path) -> str:
    """The token of this data directory; written atomically, fsynced, mode 0600, if there is none yet."""
    path = data_dir / NAME
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    token = PREFIX + secrets.token_urlsafe(32)
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
        file.write(token + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    directory = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return token


def is_bearer(header: str | None, token: str) -> bool:
    """Whether an Authorization header holds the token."""
    scheme, _, given = (header or "").partition(" ")
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode()) and scheme.lower() == "bearer"
