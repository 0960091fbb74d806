"""Where a secret's text comes from: the environment, a private file, systemd, or the configuration itself."""

import stat
from collections.abc import Mapping
from pathlib import Path

from webhookd.core.secret import Secret


def resolve_secret(text: str, environment: Mapping[str, str]) -> Secret:
    """The secret that `env:`, `file:` or `credential:` points to, or the literal itself. Raises ValueError."""
    kind, _, name = text.partition(":")
    if kind == "env":
        if not environment.get(name, "").strip():
            raise ValueError(f"the environment variable {name} is not set")
        return Secret(environment[name].strip(), text)
    if kind == "credential":
        directory = environment.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise ValueError("there is no $CREDENTIALS_DIRECTORY: systemd sets it where the unit says LoadCredential=")
        return Secret(_secret_file(Path(directory) / name, private=False), text)
    if kind == "file":
        return Secret(_secret_file(Path(name), private=True), text)
    if not text.strip():
        raise ValueError("is empty")
    return Secret(text)


def _secret_file(path: Path, *, private: bool) -> str:
    try:
        if private and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ValueError(f"{path} can be read by others: chmod 600 it")
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
