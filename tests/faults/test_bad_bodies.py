"""Bodies, headers and certificates that are odd in one place or in several, to every provider's room.

What is authentic is read the same each time, or is not understood; no amount is made up; nothing is believed that was
not signed; and nobody's oddity is an exception. What a fuzzer finds beyond that is in `test_fuzzed_parsers.py`.
"""

import base64
import json
import re
from functools import cache
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.spoilt_json import other_amounts, spoilt
from tests.paypal_desk import at_home, judged, paypal
from tests.providers.readings import assert_amount_is_said, assert_sound
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.observe.certificates import Expiries
from webhookd.providers import PROVIDERS, misread, reread
from webhookd.providers.paypal import PayPal
from webhookd.providers.paypal.certificate import Trust, is_paypals, issuer_url, read_chain, read_issuer
from webhookd.providers.provider import Credentials, Needs, Provider, Refused, Request, Verified
from webhookd.sandbox.samples import sample, types

pytestmark = pytest.mark.fault(52)
NOW_S = 1_772_366_400
SECRET = Secret(new_secret(b"\x05" * 32))
DICE = st.randoms(use_true_random=False)
SOME = settings(max_examples=max(60, settings().max_examples // 5))
"""Fewer than of other tests: each example is a whole event, and the fuzzer tries hundreds of thousands."""
HEADERS = {"webhook-id": "msg_1", "x-razorpay-event-id": "EvtId000000001", "paypal-transmission-id": "69cd13f0-1"}
"""What readings look at beside the body."""
ODD_VALUES = (
    *("", " ", "\x00", "\udcff\udcfe", "é", "٤٢", ",", "=", "." * 300, "," * 4_000, "t=1", "t=,v1=", "v1,", "v1a,AA=="),
    *("9" * 13, "-1", "1e9", "NaN", "SHA1withRSA", "https://evil.example/", "https://api.paypal.com/v1/", "a" * 8_000),
    *("https://api.paypal.com/v1/notifications/certs/CERT-x\n", "2026-99-99T99:99:99Z", "0001-01-01T00:00:00+23:59"),
)
CLAIM_CHARS_MAX = 200
"""Of the shape of one header, as it is shown to an operator: four entries of one, at most."""


def signer(provider: str) -> Provider:
    return paypal() if provider == "paypal" else PROVIDERS[provider](Credentials([SECRET]))


def odd_body(provider: str, dice: Random) -> bytes:
    return spoilt(sample(provider, dice.choice(types(provider)), NOW_S, Random(1)), dice)


def signed(provider: str, body: bytes) -> dict[str, str]:
    return {name.lower(): value for name, value in signer(provider).sign(body, NOW_S, "msg_1").items()}


@pytest.mark.parametrize("provider", PROVIDERS)
@SOME
@given(DICE)
def test_an_odd_body_is_read_the_same_twice_or_not_understood(provider: str, dice: Random) -> None:
    hook = Hook(HEADERS, odd_body(provider, dice), NOW_S * 1_000)
    reading = reread(provider, hook)
    assert reading == reread(provider, hook)
    assert (misread(provider, hook) is None) == (reading is not None)
    if reading is not None:
        assert_sound(reading)
        assert_amount_is_said(provider, hook.body, reading)


@pytest.mark.parametrize("provider", PROVIDERS)
@SOME
@given(DICE)
def test_an_amount_is_what_the_body_says_to_the_last_digit(provider: str, dice: Random) -> None:
    plain = sample(provider, dice.choice(types(provider)), NOW_S, Random(1))
    hook = Hook(HEADERS, other_amounts(plain, dice), NOW_S * 1_000)
    reading = reread(provider, hook)
    assert reading is not None
    assert_amount_is_said(provider, hook.body, reading)


@pytest.mark.parametrize("provider", PROVIDERS)
@SOME
@given(DICE)
def test_a_body_that_was_changed_on_its_way_is_not_believed(provider: str, dice: Random) -> None:
    body = sample(provider, dice.choice(types(provider)), NOW_S, Random(1))
    other = spoilt(body, dice)
    hook = Hook(signed(provider, body), other, NOW_S * 1_000)
    assert isinstance(judged(signer(provider), hook, NOW_S, at_home()), Refused) == (other != body)


@pytest.mark.parametrize("provider", PROVIDERS)
@SOME
@given(DICE)
def test_odd_headers_are_judged_and_told_of_without_the_signature(provider: str, dice: Random) -> None:
    room, body = signer(provider), b'{"id": "evt_1"}'
    headers = signed(provider, body)
    for _ in range(dice.choice((1, 1, 2, 3))):
        headers = spoilt_headers(headers, dice)
    hook = Hook(headers, body, NOW_S * 1_000)
    verdict = judged(room, hook, NOW_S, at_home())
    assert isinstance(verdict, Verified | Refused | Needs)
    assert isinstance(judged(room, Hook(headers, body + b"!", 0), NOW_S, at_home()), Refused | Needs)
    claim = room.claim(hook)
    for name, text in claim.headers:
        assert text.isprintable()
        assert len(text) <= CLAIM_CHARS_MAX, (name, text)
    digests = re.findall(r"[A-Za-z0-9+/=]{40,}", " ".join(headers.values()))
    assert not [digest for digest in digests if digest in str(claim.headers)]


def spoilt_headers(headers: dict[str, str], dice: Random) -> dict[str, str]:
    name = dice.choice([*headers, "x-nothing"])
    value = headers.get(name, "")
    match dice.randrange(5):
        case 0:
            return {each: headers[each] for each in headers if each != name}
        case 1:
            return headers | {name: dice.choice(ODD_VALUES)}
        case 2:
            return headers | {name: value + dice.choice(ODD_VALUES)}
        case 3 if value:
            at = dice.randrange(len(value))
            return headers | {
                name: value[:at] + chr(dice.choice((0, 9, 44, 46, 61, 127, 233, 0xDCFF))) + value[at + 1 :]
            }
        case _:
            return headers | {name: value[: dice.randrange(len(value) + 1)]}


# --- What a signature is checked with, where that is fetched


@cache
def genuine_certificate() -> tuple[str, bytes]:
    """Where it is, and what it is as DER."""
    [(url, pem)] = at_home().items()
    return url, base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))


def odd_certificate(dice: Random) -> bytes:
    """With some bytes turned over, lost or doubled."""
    raw = bytearray(genuine_certificate()[1])
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(raw))
        match dice.randrange(6):
            case 0:
                del raw[at : at + dice.choice((1, 8))]
            case 1:
                raw[at:at] = raw[at : at + 8]
            case _:
                raw[at] = dice.randrange(256)
    return bytes(raw)


def in_pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@pytest.mark.filterwarnings("ignore::UserWarning")
@SOME
@given(DICE)
def test_a_certificate_that_cannot_be_made_sense_of_is_none(dice: Random) -> None:
    """The library says so in half a dozen ways, and some of them only when it is asked for a part."""
    body, der = b'{"id": "WH-1"}', odd_certificate(dice)
    url, genuine = genuine_certificate()
    is_genuine = der == genuine
    verdict = judged(paypal(), Hook(signed("paypal", body), body, 0), NOW_S, {url: in_pem(der)})
    assert isinstance(verdict, Verified) == is_genuine
    for each in (read_issuer(der), *(read_chain(in_pem(der)) or [])):
        if each is not None:
            assert is_paypals(each, NOW_S) in (True, False)
            assert issuer_url(each) is None
            assert is_genuine or Trust(in_pem(genuine)).key(der, [each], NOW_S) is None
    assert len(Expiries().of([("endpoint", "shop", der), ("endpoint", "shop", in_pem(der))])) <= 2


NAME = b"messageverificationcerts.sandbox.paypal.com"
SIZED = bytes([len(NAME)]) + NAME
UNHEARD_OF = {
    "a version that nobody has made": (b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04"),
    "another name of a kind that nobody uses": (b"\x82" + SIZED, b"\xa3" + SIZED),
    "a name that is bits": (b"\x55\x04\x03\x0c" + SIZED, b"\x55\x04\x03\x03" + SIZED),
}


@pytest.mark.parametrize(("part", "odd"), UNHEARD_OF.values(), ids=UNHEARD_OF)
def test_a_certificate_with_a_part_that_nobody_has_heard_of_is_none(part: bytes, odd: bytes) -> None:
    url, genuine = genuine_certificate()
    assert part in genuine
    pem, body = in_pem(genuine.replace(part, odd)), b'{"id": "WH-1"}'
    verdict = judged(paypal(), Hook(signed("paypal", body), body, 0), NOW_S, {url: pem})
    assert isinstance(verdict, Refused | Needs)


ASKING = PayPal(
    Credentials(
        scheme="postback", webhook_id=Secret("1JE4291016473214C"), client_id=Secret("AClient_-1"), client_secret=SECRET
    )
)


@SOME
@given(DICE)
def test_paypals_own_answers_are_believed_only_when_they_say_so(dice: Random) -> None:
    body = b'{"id": "WH-1"}'
    hook = Hook(signed("paypal", body), body, 0)
    evidence: dict[Request, bytes] = {}
    token = b'{"access_token": "A21AA-x_y", "expires_in": 31668}'
    said = spoilt(json.dumps({"verification_status": dice.choice(("SUCCESS", "FAILURE"))}).encode(), dice)
    verdict = ASKING.verify(hook, NOW_S, evidence)
    for answer in (token if dice.random() < 0.7 else spoilt(token, dice), said):
        if isinstance(verdict, Needs):
            evidence[verdict.request] = answer
            verdict = ASKING.verify(hook, NOW_S, evidence)
    if isinstance(verdict, Verified):
        assert json.loads(said)["verification_status"] == "SUCCESS"
