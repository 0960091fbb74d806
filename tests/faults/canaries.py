"""What must turn up nowhere, each text another, so that whoever finds one knows where it went in.

SECRETS are never to be seen. CARDS and PERSON are what events bring, and what a merchant may answer: they are in those
bytes and in nothing that is made of them.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.receive.wire import Headers, chunked, head, post
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials
from webhookd.store.sqlite.driver import driver

CARD, GROUPED = "4242424242424242", "5555 5555 5555 4444"
CARDS = (CARD, GROUPED, "378282246310005", "6011-1111-1111-1117")
PERSON = ("canary.person@mail.example", "Ada Canarypersson", "+4915112345678")
SOURCE_SECRETS = {
    "stripe": "whsec_canarystripe0a1b2c3d",
    "standard": new_secret(b"standard canary secret, 32 bytes"),
    "flutterwave": "canary-flutterwave-0a1b2c",
    "paystack": "sk_live_canarypaystack0a1b",
    "razorpay": "canary-razorpay-0a1b2c3d4",
}
"""Of PayPal's sources there is none: what its hooks are checked with is public."""
ENDPOINT_SECRET = new_secret(b"endpoint canary secret, 32 bytes")
API_ENDPOINT_SECRET = new_secret(b"an API endpoint's canary secret!")
STORE_KEY = "canary-store-key-0a1b2c3d4e5f60718293a4b5c6d7e8f9"
MERCHANT_TOKEN = "canary-merchant-bearer-0a1b2c3d"
STRANGERS_TOKEN = "whd_canarystranger0a1b2c3d4e5f"
TRIED_SECRET = "whsec_canarytried0a1b2c3d4e5f"
PASSWORD = "canary-userinfo-0a1b2c3d"
SECRETS = (
    *SOURCE_SECRETS.values(),
    *(ENDPOINT_SECRET, API_ENDPOINT_SECRET, STORE_KEY, MERCHANT_TOKEN, STRANGERS_TOKEN, TRIED_SECRET, PASSWORD),
)


def sources() -> str:
    return "".join(
        f'[sources.{name}]\nprovider = "{name}"\nsecrets = ["{secret}"]\n' for name, secret in SOURCE_SECRETS.items()
    )


def bodies() -> Mapping[str, bytes]:
    """A payment of each provider, with the numbers of cards and a person wherever one may write freely."""
    free = {"note": CARD, "remark": f"card {GROUPED}, {CARDS[2]} or {CARDS[3]}", "person": [*PERSON]}
    notes = {"paid_with": CARD, "and_with": GROUPED, "order_id": "A-77"}
    stripe = {
        "id": "pi_canary",
        "object": "payment_intent",
        "status": "succeeded",
        "amount": 1050,
        "amount_received": 1050,
        "currency": "usd",
        "metadata": notes,
        "receipt_email": PERSON[0],
        "payment_method_details": {"card": {"number": CARD}},
    }
    paystack = {"id": 1, "reference": "ref_canary", "amount": 1050, "currency": "NGN", "status": "success"}
    razorpay = {"id": "pay_canary", "status": "captured", "amount": 1050, "currency": "INR", "notes": notes, **free}
    standard = {"payment_id": "pay_dodo", "status": "succeeded", "total_amount": 1050, "currency": "USD"}
    flutterwave = {"id": 5, "status": "successful", "amount": 10.5, "currency": "USD", "meta": notes, **free}
    made: dict[str, Any] = {
        "stripe": {"id": "evt_canary", "type": "payment_intent.succeeded", "data": {"object": {**stripe, **free}}},
        "paystack": {"event": "charge.success", "data": {**paystack, "metadata": {"custom_fields": [{"value": CARD}]}}},
        "razorpay": {"event": "payment.captured", "payload": {"payment": {"entity": razorpay}}},
        "standard": {"type": "payment.succeeded", "business_id": "b", "data": {**standard, "metadata": notes, **free}},
        "flutterwave": {"type": "charge.completed", "id": "wh_canary", "data": flutterwave},
    }
    return {name: json.dumps({**body, **free}).encode() for name, body in made.items()}


def signed(source: str, body: bytes, now_s: int) -> Headers:
    room = PROVIDERS[source](Credentials([Secret(SOURCE_SECRETS[source])]))
    # What a provider says of itself is kept with the event.
    return {
        **room.sign(body, now_s, f"msg_{source}"),
        "User-Agent": f"canary {CARD}",
        "Content-Type": "application/json",
    }


def good_hooks(now_s: int) -> Iterator[bytes]:
    for source, body in bodies().items():
        yield post(source, body, signed(source, body, now_s))
        half = body[: len(body) // 2]  # signed, and not understood
        yield post(source, half, signed(source, half, now_s + 1))


def bad_hooks() -> Iterator[bytes]:
    """With all of it, in every place that a request has."""
    every = f"{CARD} {PERSON[0]} {STRANGERS_TOKEN} {SOURCE_SECRETS['stripe']}"
    # What a stranger calls himself is shown as he says it, but for card numbers.
    named = f"canary {CARD} {GROUPED}"
    said: Headers = {"Authorization": f"Bearer {STRANGERS_TOKEN}", "User-Agent": named, "Cookie": f"session={every}"}
    body = every.encode()
    for source in (*SOURCE_SECRETS, CARD, f"{CARD}/{CARDS[3]}"):
        yield post(source, body, {**said, "Content-Type": f"text/plain; boundary={CARD}"})
        yield post(f"{source}?{every.replace(' ', '&')}", body, said)
    yield post("stripe", body, {**said, "Stripe-Signature": f"t=1,v1={SOURCE_SECRETS['stripe']}"})
    yield post("flutterwave", body, {**said, "verif-hash": SOURCE_SECRETS["flutterwave"]})
    yield post("standard", body, {**said, "webhook-id": CARD, "webhook-signature": f"v1,{SOURCE_SECRETS['standard']}"})
    yield head(f"POST /webhooks/stripe HTTP/{CARD}", said)
    yield head("POST /webhooks/stripe HTTP/1.1", {**said, "Content-Length": f"{CARD}.0"})
    yield head("POST /webhooks/stripe HTTP/1.1", {**said, "Content-Encoding": CARD, "Content-Length": "0"})
    yield head("POST /webhooks/stripe HTTP/1.1", {**said, "Transfer-Encoding": "chunked"}) + body
    yield head("POST /webhooks/stripe HTTP/1.1", {**said, "Transfer-Encoding": f"{CARD}, chunked"}) + chunked(body)
    yield head(f"{CARD} /webhooks/stripe HTTP/1.1", said)


# --- Where to look


def found_in(text: str, canaries: Iterable[str]) -> list[str]:
    """Cards are known by their digits, however they are grouped."""
    digits = text.replace(" ", "").replace("-", "")
    return [
        each
        for each in canaries
        if each in text or (each in CARDS and each.replace(" ", "").replace("-", "") in digits)
    ]


MAY_HOLD_WHAT_CAME = {("event", "body"), ("attempt", "response")}
"""Bytes as they came, of a provider and of a merchant."""


def found_in_database(path: Path, secrets: Iterable[str]) -> list[tuple[str, str, list[str]]]:
    """Table, column and what is there and should not be."""
    bad = []
    with closing(driver.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        for table, column, value in _cells(connection):
            raw = isinstance(value, bytes)
            text = value.decode("utf-8", "replace") if raw else str(value)
            may_hold = raw and (table, column) in MAY_HOLD_WHAT_CAME
            if found := found_in(text, (*secrets, *(() if may_hold else (*CARDS, *PERSON)))):
                bad.append((table, column, found))
    return bad


def _cells(connection: sqlite3.Connection) -> Iterator[tuple[str, str, Any]]:
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        cursor = connection.execute(f'SELECT * FROM "{table}"')
        columns = [each[0] for each in cursor.description]
        for row in cursor:
            yield from ((table, column, value) for column, value in zip(columns, row, strict=True) if value is not None)
