"""Bad-input catalogue, rows 21 and 46 to 58: rightly signed, and odd. All of it is kept; none of it is refused.

What cannot be read as an event is quarantined. What is odd only where nobody reads is accepted.
"""

import hashlib
import json
from typing import Any

import pytest

from tests.receive.wire import Answer, Headers, ask, event, head, post, standard, stripe
from tests.running import RunningDaemon

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.fault(52)]


async def stored(receiver: RunningDaemon, answer: Answer) -> Any:
    """The event as the admin API has it."""
    return json.loads(await admin(receiver, f"/api/v1/events/{answer.json()['event_id']}"))


async def admin(receiver: RunningDaemon, path: str) -> bytes:
    host = receiver.admin.removeprefix("http://")
    headers: Headers = {"Authorization": f"Bearer {receiver.token}", "Connection": "close"}
    answer = await ask(int(host.rpartition(":")[2]), head(f"GET {path} HTTP/1.1", headers, host=host.encode()))
    assert answer.status == 200, answer.raw
    return answer.body


def with_raw(name: str, key: str, raw: bytes) -> bytes:
    """An event with one field written as it is given, whatever JSON thinks of it."""
    return event(name, **{key: "HERE"}).replace(b'"HERE"', raw)


NOT_AN_EVENT = {
    "row 21: empty": b"",
    "row 21: blank": b" \r\n",
    "row 47: text": b"hello",
    "row 47: a form": b"id=evt_1&type=payment",
    "row 47: half": event("evt_row_47")[:-1],
    "row 47: two": event("evt_row_47") + event("evt_row_47"),
    "row 47: a comment": b"/* */" + event("evt_row_47"),
    "row 47: a trailing comma": event("evt_row_47")[:-1] + b",}",
    "row 47: single quotes": event("evt_row_47").replace(b'"', b"'"),
    "row 47: a NUL after it": event("evt_row_47") + b"\0",
    "row 48: invalid UTF-8 in the id": with_raw("evt_row_48", "id", b'"evt_\xff"'),
    "row 48: overlong": with_raw("evt_row_48", "id", b'"evt_\xc0\xaf"'),
    "row 48: an encoded surrogate": with_raw("evt_row_48", "id", b'"evt_\xed\xa0\x80"'),
    "row 48: an escaped lone surrogate": with_raw("evt_row_48", "id", rb'"evt_\ud800"'),
    "row 49: a byte order mark": b"\xef\xbb\xbf" + event("evt_row_49"),
    "row 49: UTF-16": event("evt_row_49").decode().encode("utf-16"),
    "row 49: UTF-32": event("evt_row_49").decode().encode("utf-32-le"),
    "row 50: deep": b"[" * 30_000,
    "row 50: deep and closed": b"[" * 30_000 + b"]" * 30_000,
    "row 50: deep inside": with_raw("evt_row_50", "data", b'{"a":' * 30_000 + b"1" + b"}" * 30_000),
    "row 51: NaN": with_raw("evt_row_51", "x", b"NaN"),
    "row 51: Infinity": with_raw("evt_row_51", "x", b"-Infinity"),
    "row 51: a number as the id": with_raw("evt_row_51", "id", b"9" * 5_000),
    "row 51: 1e999 as the id": with_raw("evt_row_51", "id", b"1e999"),
    "row 55: no id": json.dumps({"type": "payment_intent.succeeded"}).encode(),
    "row 55: no type": json.dumps({"id": "evt_row_55"}).encode(),
    **{
        f"row 55: {key} is {value!r}"[:60]: event("evt_row_55", **{key: value})
        for key in ("id", "type")
        for value in (
            *(None, 5, True, {}, [], ["a"], ""),
            *("x" * 256, "x" * 10_000, "a\nb", "a\x1b[31mb", "a\0b", "a\u2028b", "a\u202eb", "\ufeffa"),
        )
    },
    "row 56: an empty array": b"[]",
    "row 56: an array of it": b"[" + event("evt_row_56") + b"]",
    "row 56: a string": b'"evt_row_56"',
    "row 56: null": b"null",
    "row 56: true": b"true",
    "row 56: a number": b"1",
    "row 56: an empty object": b"{}",
}


@pytest.mark.parametrize("body", NOT_AN_EVENT.values(), ids=NOT_AN_EVENT.keys())
async def test_what_is_signed_but_no_event_is_quarantined(receiver: RunningDaemon, body: bytes) -> None:
    """Rows 21, 47 to 51, 55, 56: stored to the byte under its own hash, and known when it comes again."""
    answer = await ask(receiver.port, post("stripe", body, stripe(body)))
    assert answer.status == 200, answer.raw
    assert answer.json()["status"] == "quarantined"
    found = await stored(receiver, answer)
    assert found["state"] == "quarantined"
    assert found["type"] == "webhookd.quarantined"
    assert found["provider_event_id"] == f"sha256:{hashlib.sha256(body).hexdigest()}"
    assert (found["size"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    again = await ask(receiver.port, post("stripe", body, stripe(body)))
    assert again.json() == {"status": "duplicate", "event_id": answer.json()["event_id"]}


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"\xff", b"[" * 30_000, b"[]", b"{}", b'{"type": 5}', b'{"type": ""}', b'{"type": "a\\nb"}']
)
async def test_what_is_signed_but_no_standard_webhook_is_quarantined(receiver: RunningDaemon, body: bytes) -> None:
    """The same rows, for the other provider: its id is in a header and may be fine all the same."""
    answer = await ask(receiver.port, post("standard", body, standard(body, f"msg_{len(body)}")))
    assert answer.status == 200, answer.raw
    assert answer.json()["status"] == "quarantined"
    found = await stored(receiver, answer)
    assert (found["state"], found["sha256"]) == ("quarantined", hashlib.sha256(body).hexdigest())


ODD_ELSEWHERE = {
    "row 51: 5,000 digits": with_raw("evt_digits", "x", b"9" * 5_000),
    "row 51: 5,000 digits for the time": with_raw("evt_created_digits", "created", b"9" * 5_000),
    "row 51: 1e999 for the time": with_raw("evt_created_1e999", "created", b"1e999"),
    "row 51: minus zero for the time": with_raw("evt_created_minus_zero", "created", b"-0"),
    "row 51: minus zero": with_raw("evt_minus_zero", "x", b"-0"),
    "a time before all time": event("evt_created_negative", created=-(2**62)),
    "a time that is text": event("evt_created_text", created="yesterday"),
    "no data": event("evt_no_data", data=None),
    "data that is an array": event("evt_data_array", data=[[]]),
    "a payment with an odd id": event("evt_payment", data={"object": {"id": "a\nb", "object": "payment_intent"}}),
    "a payment with no id": event("evt_no_payment", data={"object": {"id": 5, "object": "payment_intent"}}),
    "row 53: 80,000 keys": event("evt_keys", x={str(number): 1 for number in range(80_000)}),
    "row 53: arrays": event("evt_arrays", x=[[]] * 250_000),
    "row 55: the longest id": event("x" * 255),
    "row 55: markup": event("<script>alert(1)</script>"),
    "row 55: not ASCII": event("évènement-№-支付"),
    "row 55: SQL": event("'); DROP TABLE event; --"),
    "row 55: the name of a quarantined one": event("sha256:" + "0" * 64),
    "row 58: a card number": event("evt_card", note="4242 4242 4242 4242"),
}


@pytest.mark.parametrize("body", ODD_ELSEWHERE.values(), ids=ODD_ELSEWHERE.keys())
async def test_what_is_odd_only_where_nobody_reads_is_accepted(receiver: RunningDaemon, body: bytes) -> None:
    """Rows 51, 53, 55, 58: the ledger or the merchant may wonder; the log takes it."""
    answer = await ask(receiver.port, post("stripe", body, stripe(body)))
    assert answer.status == 200, answer.raw
    assert answer.json()["status"] == "accepted"
    found = await stored(receiver, answer)
    assert found["type"] == "payment_intent.succeeded"
    assert found["provider_event_id"] == json.loads(body, parse_int=float)["id"]
    assert found["sha256"] == hashlib.sha256(body).hexdigest()


async def test_the_last_of_two_ids_counts(receiver: RunningDaemon) -> None:
    """As every common JSON reader has it, the provider's own among them."""
    body = event("evt_second").replace(b"{", b'{"id": "evt_first",', 1)
    answer = await ask(receiver.port, post("stripe", body, stripe(body)))
    assert (await stored(receiver, answer))["provider_event_id"] == "evt_second"


CONTENT_TYPES: dict[str, str | bytes | None] = {
    "missing": None,
    "empty": "",
    "text": "text/plain",
    "form": "application/x-www-form-urlencoded",
    "multipart": "multipart/form-data; boundary=x",
    "charset": "application/json; charset=utf-16",
    "nonsense": ";;==",
    "not-text": b"application/\xff\xfe",
    "long": "a" * 7_000,
}


@pytest.mark.parametrize("label", CONTENT_TYPES)
async def test_the_content_type_is_the_senders_business(receiver: RunningDaemon, label: str) -> None:
    """Row 46: the bytes are opaque."""
    body = event(f"evt_content_type_{label}")
    headers = stripe(body)
    del headers["Content-Type"]
    if (value := CONTENT_TYPES[label]) is not None:
        headers["Content-Type"] = value
    answer = await ask(receiver.port, post("stripe", body, headers))
    assert answer.status == 200, answer.raw
    assert answer.json()["status"] == "accepted"
    kept = (await stored(receiver, answer))["headers"].get("content-type")
    assert kept == (value if label not in ("missing", "not-text", "long") else None)


@pytest.mark.fault(53)
async def test_a_header_with_a_card_number_is_not_kept(receiver: RunningDaemon) -> None:
    """Row 58: unless the signature needs it."""
    body = event("evt_card_in_header")
    headers = stripe(body) | {
        "User-Agent": "till 4242 4242 4242 4242",
        "Content-Type": "text/plain; a=4242424242424242",
    }
    answer = await ask(receiver.port, post("stripe", body, headers))
    assert (await stored(receiver, answer))["headers"].keys() == {"stripe-signature"}


async def test_the_body_is_kept_to_the_byte(receiver: RunningDaemon) -> None:
    """Never parsed and written again: floats, order, spaces and escapes are the provider's."""
    body = b' {"type" :"t","id":"evt_bytes","amount": 123456789012345678.12, "a":1,"a":2, "s":"\\u00e9\\/"}\r\n'
    answer = await ask(receiver.port, post("stripe", body, stripe(body)))
    found = await stored(receiver, answer)
    assert (found["size"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
