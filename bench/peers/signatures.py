"""Both signatures, for the peers in Python. Of the standard library alone, since it runs in their environments."""

import base64
import hmac
import time

from bench.peers.peer import MERCHANT_SECRET
from bench.rig.hooks import SECRET

_TOLERANCE_S = 300
_KEY = base64.b64decode(MERCHANT_SECRET.removeprefix("whsec_"))


def authentic(body: bytes, header: str) -> bool:
    """Whether Stripe-Signature fits the body, and is of now."""
    fields = [part.partition("=")[::2] for part in header.split(",")]
    at = next((value for name, value in fields if name == "t"), "")
    if not at.isdecimal() or abs(time.time() - int(at)) > _TOLERANCE_S:
        return False
    expected = hmac.digest(SECRET.encode(), at.encode() + b"." + body, "sha256").hex()
    return any(name == "v1" and hmac.compare_digest(expected, value) for name, value in fields)


def signed(event_id: str, body: bytes) -> dict[str, str]:
    """The headers of a delivery, as Standard Webhooks has them."""
    now_s = int(time.time())
    digest = hmac.digest(_KEY, f"{event_id}.{now_s}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
