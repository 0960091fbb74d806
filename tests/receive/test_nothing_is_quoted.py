"""What a stranger sends is neither sent back nor logged: no answer, no log line, no traceback holds a byte of it."""

import json
from pathlib import Path

import pytest

from tests.receive.conftest import SOURCES, assert_quiet
from tests.receive.wire import Headers, chunked, event, head, post, standard, stripe, wire
from tests.running import configuration, daemon

pytestmark = pytest.mark.fault(51, 53)

CANARY = "c4n4ry7f3a"
CARD = "4242424242424242"
RAW = CANARY.encode()
ESCAPES = b"\x1b[31m" + RAW + b"\x1b]0;x\x07"
HOOK = "POST /webhooks/stripe HTTP/1.1"
EMPTY: Headers = {"Content-Length": "0"}


def sent() -> dict[str, bytes]:
    """The canary in every place that a request has."""
    quarantined, odd = f'{{"{CANARY}": '.encode(), event(f"evt_{CANARY}", type=f"{CANARY}\n{CANARY}")
    accepted = event(f"evt_{CANARY}", note=CARD, x=f"\x1b[31m{CANARY}")
    signature: Headers = {"Stripe-Signature": f"t={CANARY},v1={CANARY}"}
    return {
        "method": head(f"{CANARY} /webhooks/stripe HTTP/1.1"),
        "path": head(f"POST /webhooks/{CANARY} HTTP/1.1", EMPTY),
        "path elsewhere": head(f"GET /{CANARY} HTTP/1.1"),
        "query": head(f"POST /webhooks/stripe?{CANARY} HTTP/1.1", EMPTY),
        "URL": head(f"POST http://{CANARY}/webhooks/stripe HTTP/1.1", EMPTY),
        "broken URL": head(f"POST http://[{CANARY}/webhooks/stripe HTTP/1.1", EMPTY),
        "path with escapes": b"POST /webhooks/" + ESCAPES + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        "version": head(f"POST /webhooks/stripe HTTP/{CANARY}"),
        "host": head(HOOK, EMPTY, host=RAW),
        "header": head(HOOK, {**EMPTY, "X-Thing": CANARY}),
        "header's name": head(HOOK, {**EMPTY, CANARY: "x"}),
        "broken header": head(HOOK, EMPTY, RAW + b" : x"),
        "header with NUL": head(HOOK, EMPTY, b"X-Thing: \0" + RAW),
        "header that is not text": head(HOOK, EMPTY, b"User-Agent: \xff\xfe" + RAW),
        "header with escapes": head(HOOK, EMPTY, b"User-Agent: " + ESCAPES),
        "header that is too long": head(HOOK, {**EMPTY, "X-Thing": CANARY * 1_000}),
        "length": head(HOOK, {"Content-Length": CANARY}),
        "content encoding": head(HOOK, {**EMPTY, "Content-Encoding": CANARY}),
        "transfer encoding": head(HOOK, {"Transfer-Encoding": f"{CANARY}, chunked"}) + chunked(b"{}"),
        "broken transfer encoding": head(HOOK, {"Transfer-Encoding": CANARY}),
        "expectation": head(HOOK, {**EMPTY, "Expect": CANARY}),
        "chunk": head(HOOK, {"Transfer-Encoding": "chunked"}) + RAW + b"\r\n",
        "chunk's end": head(HOOK, {"Transfer-Encoding": "chunked"}) + b"1\r\nx" + RAW,
        "signature": post("stripe", RAW, signature),
        "signature with escapes": post("stripe", RAW, {"Stripe-Signature": "t=1,v1=\x85" + CANARY}),
        "message id": post("standard", RAW, {**standard(RAW, "msg_1"), "webhook-id": CANARY}),
        "timestamp": post("standard", RAW, {**standard(RAW, "msg_1"), "webhook-timestamp": CANARY}),
        "upgrade": head("GET /webhooks/stripe HTTP/1.1", {"Upgrade": CANARY, "Connection": "Upgrade"}),
        "no HTTP": b"\x16\x03\x01" + RAW + b"\r\n\r\n",
        "signed, no JSON": post("stripe", quarantined, stripe(quarantined)),
        "signed, an odd type": post("stripe", odd, stripe(odd)),
        "signed, not text": post("stripe", RAW + b"\xff", {**stripe(RAW + b"\xff"), "Content-Type": b"\xff" + RAW}),
        "signed, an event": post("stripe", accepted, {**stripe(accepted), "User-Agent": CANARY}),
        "signed, a duplicate": post("stripe", accepted + b" ", stripe(accepted + b" ")),
        "signed, by Standard Webhooks": post("standard", accepted, standard(accepted, CANARY)),
    }


@pytest.mark.asyncio
async def test_no_answer_and_no_log_line_holds_what_was_sent(tmp_path: Path) -> None:
    """Also row 58: neither does a card number come back, or get logged."""
    statuses = set()
    async with daemon(tmp_path, configuration(SOURCES)) as running:
        for place, request in sent().items():
            async with wire(running.port) as connection:
                await connection.send(request)
                answer = await connection.answer()
                statuses.add(answer.status)
                connection.end()
                everything = answer.raw + await connection.rest()
            assert RAW not in everything.lower(), place
            assert CARD.encode() not in everything, place
        async with wire(running.port) as connection:  # and one who leaves in the middle
            await connection.send(head(HOOK, {"Content-Length": "1000"}), RAW)
        assert await running.stop() == 0
    assert statuses == {200, 400, 401, 404, 405, 415, 417, 501}
    log = json.dumps(running.log).lower()
    assert CANARY not in log
    assert CARD not in log
    assert "traceback" not in log
    assert_quiet(running.log)
