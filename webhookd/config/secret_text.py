"""What a text in a table stands for: itself, or what is in the environment, in a file, or with systemd."""

import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from webhookd.config.mistake import suggestion
from webhookd.config.value import Pem
from webhookd.core.secret import MASK, Secret

REFERENCES = ("env:", "file:", "credential:")


class Texts(Protocol):
    """Both raise ValueError."""

    def secret(self, text: str) -> Secret: ...

    def pem(self, text: str) -> Pem: ...


class OperatorsTexts:
    """The configuration's: whoever wrote it may name what this machine holds."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def secret(self, text: str) -> Secret:
        """The secret that `env:`, `file:` or `credential:` points to, or the literal itself."""
        kind, colon, name = text.partition(":")
        if not colon:
            return _literal(text)
        if kind == "env":
            if not self._environment.get(name, "").strip():
                meant = suggestion(name, self._environment)
                raise ValueError(f"the environment variable {name} is not set{meant}")
            value = self._environment[name].strip()
            return Secret(_utf_8(value, f"the environment variable {name} is not UTF-8"), text)
        if kind == "credential":
            directory = self._environment.get("CREDENTIALS_DIRECTORY")
            if not directory:
                raise ValueError(
                    "there is no $CREDENTIALS_DIRECTORY: systemd sets it where the unit says LoadCredential="
                )
            return Secret(_secret_file(Path(directory) / name, private=False), text)
        if kind == "file":
            return Secret(_secret_file(Path(name), private=True), text)
        return _literal(text)

    def pem(self, text: str) -> Pem:
        try:
            return Pem(Path(text).read_bytes(), text)
        except (OSError, ValueError) as error:
            raise ValueError(f"cannot be read: {getattr(error, 'strerror', None) or 'no file name'}") from None


class ClientsTexts:
    """The API's: a client says what it has itself, and reads nothing of this machine's by it."""

    def secret(self, text: str) -> Secret:
        if text.startswith(REFERENCES):
            raise ValueError("must be the secret itself: what env:, file: and credential: name is the daemon's own")
        return _literal(text)

    def pem(self, text: str) -> Pem:
        return Pem(text.encode(errors="replace"), "PEM")


def _literal(text: str) -> Secret:
    if not text.strip():
        raise ValueError("is empty")
    if text == MASK:
        raise ValueError(
            'is masked: "config show" has stars for a secret that stands in the file. Write it, or "env:NAME"'
        )
    return Secret(_utf_8(text, "is not UTF-8"))


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


def _utf_8(text: str, reason: str) -> str:
    """The text, if it is one: what the environment holds may be any bytes. Raises ValueError, which quotes none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(reason) from None
    return text
