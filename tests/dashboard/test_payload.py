"""What a page shows of a body: all that is safe, and no number that nobody must see; and the command that posts it."""

import asyncio
import json
import shlex
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import pytest
from aiohttp import web

from webhookd.admin.dashboard.curl import INLINE_BYTES_MAX, SIGNED_FOR_MS, curl, signed_until_ms, url_mistake
from webhookd.admin.dashboard.masking import by_name, kind
from webhookd.admin.dashboard.payload import CHARS_MAX, shown, visible
from webhookd.providers.provider import TOLERANCE_S

pytestmark = pytest.mark.fault(53)

EVENT = "evt_00000674250e8b700000000000000001"
CARD, IBAN, ACCOUNT = "4242424242424242", "DE89370400440532013000", "0123456789"


def text(body: Any, *, pretty: bool = True) -> str:
    return shown(body if isinstance(body, bytes) else json.dumps(body).encode(), pretty=pretty).text


# --- What is masked

SENSITIVE: list[tuple[dict[str, Any], list[str]]] = [
    # paystack: transfer.failed, charge.success by bank transfer, dedicatedaccount.assign.success
    ({"data": {"recipient": {"details": {"account_number": ACCOUNT, "bank_code": "058"}}}}, [ACCOUNT]),
    ({"data": {"authorization": {"receiver_account_number": "9930000123", "last4": "8877"}}}, ["9930000123"]),
    ({"data": {"dedicated_account": {"bank": {"id": 78}, "account_number": "9930001234"}}}, ["9930001234"]),
    # razorpay: a virtual account's receiver
    ({"receivers": [{"entity": "bank_account", "account_number": "RAZORPAY9876543210"}]}, ["RAZORPAY9876543210"]),
    # stripe: a source of each kind, a person, and what a client may confirm a payment with
    ({"card": {"number": CARD, "cvc": "737", "exp_month": 12}}, [CARD, "737"]),
    ({"bank_account": {"routing_number": "110000000", "number": "000123456789"}}, ["110000000", "000123456789"]),
    ({"individual": {"ssn": "078-05-1120", "id_number": "078051120"}}, ["078-05-1120", "078051120"]),
    ({"sepa_debit": {"iban": IBAN}}, [IBAN]),
    ({"client_secret": "pi_3Mtw_secret_YrKJ"}, ["pi_3Mtw_secret_YrKJ"]),
    # anybody's: other spellings, a number as a number, in a text, as a name, written with escapes, JSON within JSON
    ({"accountNumber": ACCOUNT, "cardNumber": "1234 5678"}, [ACCOUNT, "1234 5678"]),
    ({"card": {"number": int(CARD)}, "reference": int(CARD)}, [CARD]),
    ({"note": f"paid by {CARD[:4]} {CARD[4:8]} {CARD[8:12]} {CARD[12:]} 12/29"}, ["4242 4242 4242 4242"]),
    ({"note": "from DE89 3704 0044 0532 0130 00 as agreed"}, ["DE89 3704 0044 0532 0130 00"]),
    ({CARD: 1}, [CARD]),
    ({"raw": json.dumps({"account_number": ACCOUNT, "cvv": "737"})}, [ACCOUNT, "737"]),
    ({"raw": f"account_number={ACCOUNT}&cvv=737"}, [ACCOUNT, "737"]),
    ({"account_number": {"value": ACCOUNT, "parts": ["11112222"]}}, [ACCOUNT, "11112222"]),
]


@pytest.mark.parametrize("pretty", [True, False], ids=["pretty", "raw"])
@pytest.mark.parametrize(("body", "hidden"), SENSITIVE, ids=map(str, range(len(SENSITIVE))))
def test_a_sensitive_number_is_not_shown(body: dict[str, Any], hidden: list[str], pretty: bool):
    found = shown(json.dumps(body).encode(), pretty=pretty)
    assert found.is_masked
    assert [each for each in hidden if each in found.text] == []


@pytest.mark.parametrize("pretty", [True, False], ids=["pretty", "raw"])
def test_a_number_written_with_escapes_is_not_shown(pretty: bool):
    assert "242424242424242" not in text(b'{"note":"\\u0034242424242424242"}', pretty=pretty)


def test_numbers_are_masked_in_what_is_not_json():
    form = f"card[number]={CARD}&card[cvc]=737&account_number={ACCOUNT}&amount=4200"
    assert text(form.encode()) == "card[number]=••••4242&card[cvc]=••••&account_number=••••6789&amount=4200"
    assert text(b"<card><cvc>737</cvc></card>") == "<card><cvc>••••</cvc></card>"


NOT_SENSITIVE = [
    {"timestamp": 1739456704206, "amount": 4200, "id": 302961},
    {"card": {"first6": "553188", "last4": "2950", "cvc_check": "pass", "expiry_month": 9}},
    {"phone": {"country_code": "1", "number": "6313958745"}, "time_span": 16, "shipping": "s"},
    {"account_name": "PARISH/MEMBER", "bank_code": "058", "bin": "539999", "ssn_last_4_provided": True},
    {"account_number": None, "cvc": "", "iban": False, "number": "INV-0001", "invoice_number": "12345678901"},
]


@pytest.mark.parametrize("body", NOT_SENSITIVE, ids=map(str, range(len(NOT_SENSITIVE))))
def test_what_only_looks_like_one_is_shown(body: dict[str, Any]):
    found = shown(json.dumps(body).encode(), pretty=True)
    assert not found.is_masked
    assert json.loads(found.text) == body


def test_of_a_long_number_the_last_four_stay_and_of_a_short_one_nothing():
    assert by_name("account_number", "", ACCOUNT) == "••••6789"
    assert by_name("account_number", "", "1234567") == "••••"
    assert by_name("cvc", "", "737") == "••••"


def test_a_number_that_is_cut_by_the_end_of_what_is_shown_is_not_shown_in_part():
    found = shown(b"x " * ((CHARS_MAX + 256 - 12) // 2) + CARD.encode() * 3, pretty=False)
    assert "42424242" not in found.text


# --- What is shown


def test_of_a_text_that_is_longer_than_a_page_nothing_is_shown_that_was_not_looked_at():
    hidden = "1 " * CHARS_MAX + " x " + CARD
    for body in (json.dumps({"note": hidden}), json.dumps({"pin": "5" * 2 * CHARS_MAX, "note": hidden})):
        found = shown(body.encode(), pretty=True)
        assert CARD not in found.text
        assert found.is_cut


def test_long_names_are_not_remembered():
    tracemalloc.start()
    try:
        for number in range(300):
            assert kind(f"{number:100000}_pin", f"{number:100000}") == "secret"
        assert tracemalloc.get_traced_memory()[0] < 2 * MIB
    finally:
        tracemalloc.stop()


def test_json_is_laid_out_and_its_numbers_names_and_order_stay_as_they_are_written():
    raw = b'{"b":1.10,"a":{"x":[],"y":{}},"b":123456789012345678901234567890,"c":[1,"\\u00e9"]}'
    assert text(raw) == (
        '{\n  "b": 1.10,\n  "a": {\n    "x": [],\n    "y": {}\n  },\n  "b": 123456789012345678901234567890,\n'
        '  "c": [\n    1,\n    "\\u00e9"\n  ]\n}'
    )
    assert text(raw, pretty=False) == raw.decode()


@pytest.mark.parametrize("pretty", [True, False], ids=["pretty", "raw"])
def test_what_steers_the_text_or_cannot_be_seen_is_written_out(pretty: bool):
    found = text('{"a":"x\u202ey\u200bz\ufeff\U000e0001"}'.encode(), pretty=pretty)
    assert "x\\u202ey\\u200bz\\ufeff\\u{e0001}" in found
    assert visible("\x1b[31m\x00\r\u2028é日\n\t") == "\\u001b[31m\\u0000\\r\\u2028é日\n\t"


def test_a_lone_surrogate_can_be_shown():
    found = shown(f'{{"a":"\\ud800 {CARD}"}}'.encode(), pretty=True).text
    found.encode()
    assert "\\ud800 ••••4242" in found


def test_what_is_not_utf_8_is_shown_as_it_is_and_is_no_json():
    found = shown(b'{"a":"\xff\xfe"}', pretty=True)
    assert (found.text, found.is_json) == ('{"a":"\\xff\\xfe"}', False)


@pytest.mark.parametrize(
    "body", [b"{1:2}", b"{true:1}", b'{"a\\x":1}', b"nan", b"{}}", b"'a'", b'{"a":01x}', b"\xef\xbb\xbf{}"]
)
def test_what_is_nearly_json_is_shown_as_it_is(body: bytes):
    found = shown(body, pretty=True)
    assert (found.text, found.is_json) == (visible(body.decode()), False)


MIB = 1 << 20
HOSTILE = {
    "nested lists": b"[" * MIB,
    "nested objects": b'{"a":' * (MIB // 5),
    "closed lists": b"[" * (MIB // 2) + b"]" * (MIB // 2),
    "only closed": b"]" * MIB,
    "digits": b"1" * MIB,
    "digits in a text": b'"' + b"1 " * (MIB // 2) + b'"',
    "quotes": b'"' * MIB,
    "backslashes": b'"' + b"\\" * MIB,
    "letters": b"a" * MIB,
    "pairs": b"pan=" + b"x[pan]:" * (MIB // 7),
    "account numbers": b'"' + b"DE89 " * (MIB // 5) + b'"',
    "blanks": b"[" + b" " * MIB,
    "zeros": b"\0" * MIB,
    "JSON within": ('{"a":"' + "{" * MIB + '"}').encode(),
    "one long text": json.dumps({"a": "é" * (MIB // 6)}).encode(),
    "nothing": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("pretty", [True, False], ids=["pretty", "raw"])
def test_no_body_is_too_much(name: str, pretty: bool):
    found = shown(HOSTILE[name], pretty=pretty)
    assert len(found.text) <= CHARS_MAX
    assert found.is_cut == (name != "nothing")


# --- As a command


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


@asynccontextmanager
async def receiver(stored: bytes = b"") -> AsyncIterator[tuple[str, list[Got]]]:
    """Somebody's application, and the API that has the bytes."""
    got: list[Got] = []

    async def take(request: web.Request) -> web.Response:
        got.append(Got(request.path_qs, dict(request.headers), await request.read()))
        return web.Response(text="thanks")

    async def give(request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer whd_mine"
        return web.Response(body=stored)

    app = web.Application()
    app.router.add_post("/{name:.*}", take)
    app.router.add_get("/api/v1/events/{id}/body", give)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    finally:
        await runner.cleanup()


async def pasted(command: str, directory: Any) -> str:
    """What a shell says of it."""
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-eu", "-c", command),
        stdout=asyncio.subprocess.PIPE,
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "WEBHOOKD_TOKEN": "whd_mine", "HOME": str(directory)},
    )
    output, _ = await shell.communicate()
    assert shell.returncode == 0
    return output.decode()


SIGNED = {"content-type": "application/json; charset=utf-8", "stripe-signature": "t=1,v1=ab'c$(id)", "user-agent": "X"}
INLINE = [
    b'{"a": "it\'s", "b": "$(touch x) `id` \\" \\\\ !!"}',
    b"@/etc/passwd",
    b"two\nlines\n",
    b"",
    "é日".encode(),
]


@pytest.mark.parametrize("body", INLINE, ids=map(str, range(len(INLINE))))
async def test_the_command_posts_the_same_bytes_with_the_headers_of_the_signature(body: bytes, tmp_path: Any):
    async with receiver() as (url, got):
        made = curl(EVENT, SIGNED, body, f"{url}/hook's?a[1]={{b}}&c=$HOME", url, may_be_shown=True)
        assert not made.downloads
        assert await pasted(made.text, tmp_path) == "thanks"
    [found] = got
    assert found.body == body
    assert found.path == "/hook's?a[1]={b}&c=$HOME"
    assert found.headers["Content-Type"] == SIGNED["content-type"]
    assert found.headers["stripe-signature"] == SIGNED["stripe-signature"]
    assert found.headers["User-Agent"].startswith("curl/")
    assert [*tmp_path.iterdir()] == []


DOWNLOADED = [b"\xff\xfe", b"a\0b", b"\x1b[201~id\n", b"tab\tbed", "\u202e".encode(), b"x" * (INLINE_BYTES_MAX + 1)]


@pytest.mark.parametrize("body", DOWNLOADED, ids=map(str, range(len(DOWNLOADED))))
async def test_what_must_not_be_pasted_is_downloaded_first(body: bytes, tmp_path: Any):
    async with receiver(body) as (url, got):
        made = curl(EVENT, SIGNED, body, f"{url}/hook", url, may_be_shown=True)
        assert made.downloads
        assert made.text.replace("\n", "").isprintable()
        assert await pasted(made.text, tmp_path) == "thanks"
    assert [each.body for each in got] == [body]


def test_what_a_page_may_not_show_is_not_in_the_command():
    made = curl(EVENT, SIGNED, CARD.encode(), "http://127.0.0.1:1", "http://127.0.0.1:2", may_be_shown=False)
    assert made.downloads
    assert CARD not in made.text


def test_a_command_is_of_few_words_however_hostile_the_body_is():
    made = curl(EVENT, {}, b"'; rm -rf / #", "http://127.0.0.1:1/'", "http://127.0.0.1:2", may_be_shown=True)
    assert shlex.split(made.text) == [
        *("curl", "-sS", "-g", "-H", "Content-Type: application/json", "--data-raw", "'; rm -rf / #"),
        "http://127.0.0.1:1/'",
    ]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "-o/x", "http://a b", "http://a\n", "http://" + "a" * 2_000, ""])
def test_it_goes_to_a_url_of_the_web_alone(url: str):
    assert url_mistake(url) is not None
    assert url_mistake("http://127.0.0.1:3000/hooks") is None


def test_it_is_said_until_when_a_signature_verifies():
    assert SIGNED_FOR_MS == TOLERANCE_S * 1_000
    assert signed_until_ms("stripe", 5) == signed_until_ms("standard", 5) == 5 + SIGNED_FOR_MS
    assert signed_until_ms("paystack", 5) is None
