"""Standard Webhooks 1.0 signatures: `v1` (HMAC-SHA256) and `v1a` (ed25519), over `id.timestamp.body`."""

import base64
import binascii
import hmac

PREFIX_SYMMETRIC = "whsec_"
PREFIX_PUBLIC = "whpk_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64


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


def symmetric_key(secret: str) -> HmacKey:
    """The HMAC key in `whsec_…` (24 to 64 bytes as base64; the prefix may be missing). Raises ValueError."""
    try:
        key = _base64(secret.removeprefix(PREFIX_SYMMETRIC))
    except (ValueError, binascii.Error):
        raise ValueError("a Standard Webhooks secret is whsec_ followed by base64") from None
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"a Standard Webhooks secret holds {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes, not {len(key)}")
    return HmacKey(key)


def new_secret(random_bytes: bytes) -> str:
    """A `whsec_…` secret from 32 random bytes."""
    return PREFIX_SYMMETRIC + base64.b64encode(random_bytes).decode("ascii")


def sign(key: HmacKey, message_id: str, timestamp_s: int, body: bytes) -> str:
    """One entry of the `webhook-signature` header."""
    digest = key.digest(signed_content(message_id, str(timestamp_s), body))
    return "v1," + base64.b64encode(digest).decode("ascii")


def signed_content(message_id: str, timestamp: str, body: bytes) -> bytes:
    return b"%b.%b.%b" % (message_id.encode(), timestamp.encode(), body)


def _base64(text: str) -> bytes:
    # The reference library accepts missing padding, and so do the senders that rely on it.
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
