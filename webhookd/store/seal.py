"""What the store keeps of secrets: sealed, so that a stolen database or backup is not enough to read them.

AES-256-GCM under a key that HKDF-SHA256 draws from the operator's text. A sealed text is a format byte, the key's id,
the nonce and the ciphertext; whose it is and what for is authenticated with it, so that none can take another's place.
"""

import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from webhookd import private_file
from webhookd.core.secret import KEY_CHARS_MIN, Secret
from webhookd.store.sql.connection import Connection

KEY_FILE = "store.key"
_FORMAT = b"\x01"
_KEY_BYTES, _ID_BYTES, _NONCE_BYTES, _TAG_BYTES = 32, 8, 12, 16
_HEAD_BYTES = len(_FORMAT) + _ID_BYTES
_FRONT_BYTES = _HEAD_BYTES + _NONCE_BYTES
_SEALED_BYTES_MIN = _FRONT_BYTES + _TAG_BYTES


class SealError(Exception):
    """The store's secrets cannot be read. The message names the setting or the row, never a key or a secret."""


class DamagedError(SealError):
    """It is not what was sealed there, whatever the key."""


class Seal:
    """Seals with the current key, opens with any."""

    def __init__(self, key: Secret, old_keys: Sequence[Secret] = ()) -> None:
        key_id, self._cipher = _derive(key)
        self._head = _FORMAT + key_id
        self._ciphers = {**dict(map(_derive, old_keys)), key_id: self._cipher}

    def seal(self, text: str, about: str) -> bytes:
        """`about` says whose the text is and what for; it opens with the same words only."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return self._head + nonce + self._cipher.encrypt(nonce, text.encode(), self._head + about.encode())

    def open(self, sealed: bytes, about: str) -> str:
        """Raises SealError."""
        if not sealed.startswith(_FORMAT) or len(sealed) < _SEALED_BYTES_MIN:
            raise DamagedError(
                f"the {about} is not sealed as this webhookd does it: it is damaged, or of another version"
            )
        head, nonce, content = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:_FRONT_BYTES], sealed[_FRONT_BYTES:]
        cipher = self._ciphers.get(head.removeprefix(_FORMAT))
        if cipher is None:
            raise SealError(
                f"store.key: the {about} was sealed with another key; put that one back, or list it in store.old_keys"
            )
        try:
            return cipher.decrypt(nonce, content, head + about.encode()).decode()
        except InvalidTag:
            raise DamagedError(f"the {about} is damaged, or was put in its place from elsewhere") from None

    def is_current(self, sealed: bytes) -> bool:
        return sealed.startswith(self._head)


def secret_of(endpoint: int, created_at: int) -> str:
    """What a row of `secret` is sealed as."""
    return f"secret of endpoint {endpoint} made at {created_at}"


def settings_of(endpoint: int) -> str:
    """What `settings` of a row of `endpoint` is sealed as."""
    return f"settings of endpoint {endpoint}"


def seal_anew(connection: Connection, seal: Seal) -> int:
    """Have everything sealed with the current key, in the caller's transaction; how much was not. Raises SealError."""
    outdated = 0
    for query, update, about in (
        ("sealed_secrets", "seal_secret", secret_of),
        ("sealed_settings", "seal_settings", settings_of),
    ):
        for name, sealed, *row in connection.execute(f"log.{query}").fetchall():
            try:
                text = seal.open(sealed, about(*row))
            except DamagedError as error:
                raise SealError(f"endpoint {name}: {error}; put the database back from a backup") from None
            except SealError:
                raise SealError(
                    f"store.key: secrets of endpoint {name} were sealed with another key: put that one back "
                    f"({KEY_FILE} of the data directory that this database is from), or list it in store.old_keys"
                ) from None
            if not seal.is_current(sealed):
                connection.execute(f"log.{update}", (seal.seal(text, about(*row)), *row))
                outdated += 1
    return outdated


def holds_secrets(connection: Connection) -> bool:
    """Whether anything in the database is sealed."""
    return bool(connection.execute("log.holds_secrets").fetchone()[0])


def seal_for(data_dir: Path, key: Secret | None, old_keys: Sequence[Secret], *, is_first: bool = True) -> Seal:
    """With the configured key or, where there is none, that of the data directory, made at the first start.

    One is made only if it `is_first`, and nothing is sealed yet. Raises SealError.
    """
    return Seal(key or _kept_key(data_dir / KEY_FILE, is_first=is_first), old_keys)


def _kept_key(path: Path, *, is_first: bool) -> Secret:
    if not is_first and not path.exists():
        raise SealError(
            f"{path} is not there, and the database holds secrets that were sealed with it: put back the one of the "
            "data directory that this database is from, or set store.key"
        )
    try:
        text = private_file.keep(path, lambda: secrets.token_urlsafe(32))
    except private_file.ExposedError as error:
        raise SealError(f"{error}; it holds the key to the store's secrets") from None
    except (OSError, UnicodeDecodeError):
        raise SealError(f"{path} cannot be read or made; it holds the key to the store's secrets") from None
    if len(text) < KEY_CHARS_MIN:
        raise SealError(f"{path} holds no key: put the one back that was there, or set store.key")
    return Secret(text, str(path))


def _derive(key: Secret) -> tuple[bytes, AESGCM]:
    """The key's id, which says nothing of it, and what encrypts with it."""
    hkdf = HKDF(SHA256(), _ID_BYTES + _KEY_BYTES, salt=None, info=b"webhookd store, format 1")
    derived = hkdf.derive(key.reveal().encode())
    return derived[:_ID_BYTES], AESGCM(derived[_ID_BYTES:])
