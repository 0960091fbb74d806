"""The hooks that are measured with: signed Stripe events of about 1 KiB, each of a payment of its own."""

import hmac
import json
import time

SECRET = "whsec_bench"
_ID_AT = len('{"id": "')
_DIGITS = 8


def body(number: int, run: str, now_s: int) -> bytes:
    """The event's body. `run` keeps the ids of two runs apart."""
    return json.dumps(
        {
            "id": f"evt_{run}_{number:0{_DIGITS}}",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": now_s,
            "data": {
                "object": {
                    "id": f"pi_{run}_{number:0{_DIGITS}}",
                    "object": "payment_intent",
                    "amount": 4200,
                    "amount_received": 4200,
                    "currency": "usd",
                    "latest_charge": f"ch_{run}_{number:0{_DIGITS}}",
                    "metadata": {"order_id": f"{run}_{number:0{_DIGITS}}", "note": "x" * 600},
                    "status": "succeeded",
                }
            },
        }
    ).encode()


def number_of(body: bytes) -> int:
    """Which one it is, read from the body that a merchant got."""
    end = body.index(b'"', _ID_AT)
    return int(body[end - _DIGITS : end])


def id_of(body: bytes) -> bytes:
    """The provider's id of the event, read from the body that a merchant got."""
    return body[_ID_AT : body.index(b'"', _ID_AT)]


def signature(body: bytes, now_s: int) -> str:
    """The value of Stripe-Signature."""
    digest = hmac.digest(SECRET.encode(), b"%d.%b" % (now_s, body), "sha256").hex()
    return f"t={now_s},v1={digest}"


def request(body: bytes, now_s: int, source: str = "stripe") -> bytes:
    """The whole HTTP request, as it goes over the wire."""
    head = (
        f"POST /webhooks/{source} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: {signature(body, now_s)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def requests(count: int, run: str) -> list[bytes]:
    """Signed hooks, made before the clock starts."""
    now_s = int(time.time())
    return [request(body(number, run, now_s), now_s) for number in range(count)]


def dispute_body(number: int, run: str, now_s: int) -> bytes:
    """Of an event that goes before all others: the money of a payment is asked back."""
    return json.dumps(
        {
            "id": f"evt_{run}_{number:0{_DIGITS}}",
            "object": "event",
            "type": "charge.dispute.created",
            "created": now_s,
            "data": {
                "object": {
                    "id": f"dp_{run}_{number:0{_DIGITS}}",
                    "object": "dispute",
                    "amount": 4200,
                    "charge": f"ch_{run}_{number:0{_DIGITS}}",
                    "currency": "usd",
                    "metadata": {"note": "x" * 700},
                    "payment_intent": f"pi_{run}_{number:0{_DIGITS}}",
                    "reason": "fraudulent",
                    "status": "needs_response",
                }
            },
        }
    ).encode()


class Press:
    """Makes hooks as fast as they can be sent, one after the other: 100,000 of them beforehand would take 120 MB.

    Every so many is a dispute.
    """

    def __init__(self, run: str, now_s: int, disputes_every: int) -> None:
        number = 10**_DIGITS - 1
        self._now_s = now_s
        self._every = disputes_every
        self._body, self._dispute = (make(number, run, now_s).split(b"%d" % number) for make in (body, dispute_body))

    def request(self, number: int) -> bytes:
        pieces = self._dispute if self.is_dispute(number) else self._body
        made = (b"%0*d" % (_DIGITS, number)).join(pieces)
        return request(made, self._now_s)

    def is_dispute(self, number: int) -> bool:
        return number % self._every == 0
