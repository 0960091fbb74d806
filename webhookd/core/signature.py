"""Standard Webhooks 1.0 signatures: `v1` (HMAC-SHA256) and `v1a` (ed25519), over `id.timestamp.body`."""

import base64
import binascii
import hmac
from typing import Literal, Protocol

SecretKind = Literal["hmac", "ed25519"]
PREFIX_SYMMETRIC = "whsec_"
PREFIX_PRIVATE = "whsk_"
PREFIX_PUBLIC = "whpk_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64
SEED_BYTES = 32


class SigningKey(Protocol):
    """What an attempt is signed with."""

    def sign(self, message_id: str, timestamp_s: int, body: bytes) -> str:
        """One entry of the `webhook-signature` header."""
        ...


class HmacKey:
    """HMAC with the key's half of the work done once."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes, algorithm: str = "sha256") -> None:
        self._keyed = hmac.new(key, digestmod=algorithm)

    def digest(self, content: bytes) -> bytes:
        keyed = self._keyed.copy()
        keyed.update(content)
        return keyed.digest()

    def hexdigest(self, content: bytes) -> str:
        keyed = self._keyed.copy()
        keyed.update(content)
        return keyed.hexdigest()


class SymmetricKey(HmacKey):
    """Signs `v1`; the merchant checks with the same secret."""

    __slots__ = ()

    def sign(self, message_id: str, timestamp_s: int, body: bytes) -> str:
        return "v1," + _text(self.digest(signed_content(message_id, str(timestamp_s), body)))


class AsymmetricKey:
    """Signs `v1a`; the merchant checks with the public key, and can sign nothing himself."""

    __slots__ = ("_private",)

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._private = Ed25519PrivateKey.from_private_bytes(seed)

    @property
    def public(self) -> str:
        """The `whpk_…` that is the merchant's; no secret."""
        return PREFIX_PUBLIC + _text(self._private.public_key().public_bytes_raw())

    def sign(self, message_id: str, timestamp_s: int, body: bytes) -> str:
        return "v1a," + _text(self._private.sign(signed_content(message_id, str(timestamp_s), body)))


def signing_key(secret: str) -> SymmetricKey | AsymmetricKey:
    """The key in the secret's text: ed25519 in `whsk_…`, else HMAC. Raises ValueError, which quotes nothing of it."""
    return asymmetric_key(secret) if secret.startswith(PREFIX_PRIVATE) else symmetric_key(secret)


def symmetric_key(secret: str) -> SymmetricKey:
    """The HMAC key in `whsec_…` (24 to 64 bytes as base64; the prefix may be missing). Raises ValueError."""
    try:
        key = _bytes(secret.removeprefix(PREFIX_SYMMETRIC))
    except (ValueError, binascii.Error):
        raise ValueError("a Standard Webhooks secret is whsec_ followed by base64") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a Standard Webhooks secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, not {len(key)}")
    return SymmetricKey(key)


def asymmetric_key(secret: str) -> AsymmetricKey:
    """The ed25519 key in `whsk_…`: the seed of 32 bytes, or seed and public key as other senders write it.

    Raises ValueError.
    """
    try:
        given = _bytes(secret.removeprefix(PREFIX_PRIVATE))
    except (ValueError, binascii.Error):
        raise ValueError("an ed25519 secret is whsk_ followed by base64") from None
    if len(given) not in (SEED_BYTES, 2 * SEED_BYTES):
        raise ValueError(f"an ed25519 secret holds {SEED_BYTES} or {2 * SEED_BYTES} bytes, not {len(given)}")
    key = AsymmetricKey(given[:SEED_BYTES])
    if given[SEED_BYTES:] and key.public != PREFIX_PUBLIC + _text(given[SEED_BYTES:]):
        raise ValueError("the two halves of the ed25519 secret are of different keys")
    return key


def new_secret(random_bytes: bytes, kind: SecretKind = "hmac") -> str:
    """A `whsec_…` or `whsk_…` secret from 32 random bytes."""
    return (PREFIX_PRIVATE if kind == "ed25519" else PREFIX_SYMMETRIC) + _text(random_bytes)


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    # The reference library accepts missing padding, and so do the senders that rely on it.
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
