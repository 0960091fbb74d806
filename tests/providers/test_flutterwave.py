"""Flutterwave's two ways to say who sent a hook. No library of theirs checks v4, so that openssl is the oracle."""

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.flutterwave import Flutterwave
from webhookd.providers.provider import Credentials, CredentialsError, Refused, Verified

SECRET, OLD_SECRET = "a secret hash of your own: ü", "the one before"
BODY = '{"webhook_id": "wbk_1", "type": "charge.completed", "data": {"note": "2 × mug"}}'.encode()
NOW_S = 1_772_366_400

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="NO ORACLE: openssl is not there")


def room(*secrets: str, scheme: str | None = None) -> Flutterwave:
    return Flutterwave(Credentials([Secret(each) for each in secrets or (SECRET,)], scheme))


V4, V3 = room(), room(scheme="verif-hash")


def verdict(provider: Flutterwave, headers: Mapping[str, str], body: bytes = BODY) -> str | None:
    """None when it is accepted, or the reason of the refusal."""
    found = provider.verify(Hook(headers, body, 0), NOW_S, {})
    assert isinstance(found, Verified | Refused)
    return found.reason if isinstance(found, Refused) else None


def openssl(body: bytes, secret: str, algorithm: str = "sha256", mode: str = "hexkey") -> str:
    """As in `openssl dgst -sha256 -hmac SECRET -binary | base64`, the key in hex so that no shell garbles it."""
    key = ["-mac", "HMAC", "-macopt", f"hexkey:{secret.encode().hex()}"] if mode == "hexkey" else ["-hmac", secret]
    made = subprocess.run(
        ["openssl", "dgst", f"-{algorithm}", *key, "-binary"], input=body, capture_output=True, check=True, timeout=30
    )
    return base64.b64encode(made.stdout).decode()


# --- v4: the HMAC of the body


@needs_openssl
@pytest.mark.parametrize("mode", ["hexkey", "-hmac"])
def test_what_openssl_signs_is_accepted_and_what_is_signed_here_is_what_openssl_signs(mode: str) -> None:
    signature = openssl(BODY, SECRET, mode=mode)
    assert verdict(V4, {"flutterwave-signature": signature}) is None
    assert V4.sign(BODY, NOW_S, "unused") == {"flutterwave-signature": signature}


@needs_openssl
@given(st.binary(max_size=500), st.text(st.characters(codec="utf-8"), min_size=1, max_size=80))
@settings(max_examples=25)
def test_any_body_and_secret_are_signed_as_openssl_does(body: bytes, secret: str) -> None:
    signature = openssl(body, secret)
    assert room(secret).sign(body, NOW_S, "") == {"flutterwave-signature": signature}
    assert verdict(room(secret), {"flutterwave-signature": signature}, body) is None


@given(st.binary(), st.binary())
def test_a_signature_is_good_for_its_own_body_only(body: bytes, other: bytes) -> None:
    signed = V4.sign(body, NOW_S, "")
    assert verdict(V4, signed, body) is None
    assert (verdict(V4, signed, other) is None) == (body == other)


def right(body: bytes = BODY) -> str:
    return V4.sign(body, NOW_S, "")["flutterwave-signature"]


def hexed(signature: str) -> str:
    return base64.b64decode(signature).hex()


SIGNATURE_ROWS: dict[str, tuple[Callable[[], Mapping[str, str]], str | None]] = {
    "the right one": (lambda: {"flutterwave-signature": right()}, None),
    "of a body cut short": (lambda: {"flutterwave-signature": right(BODY[:-1])}, "wrong_signature"),
    "of a body with a space more": (lambda: {"flutterwave-signature": right(BODY + b" ")}, "wrong_signature"),
    "of another secret": (lambda: room(OLD_SECRET).sign(BODY, NOW_S, ""), "wrong_signature"),
    "the plain secret, as older text of the page has it": (
        lambda: {"flutterwave-signature": SECRET},
        "wrong_signature",
    ),
    "in hex, as some repositories have it": (lambda: {"flutterwave-signature": hexed(right())}, "wrong_signature"),
    "under the name some repositories have": (lambda: {"x-flutterwave-signature": right()}, "no_signature"),
    "the plain secret under v3's name": (lambda: {"verif-hash": SECRET}, "no_signature"),
    "the HMAC under v3's name": (lambda: {"verif-hash": right()}, "no_signature"),
    "without its padding": (lambda: {"flutterwave-signature": right().rstrip("=")}, "wrong_signature"),
    "cut short": (lambda: {"flutterwave-signature": right()[:20]}, "wrong_signature"),
    "twice": (lambda: {"flutterwave-signature": f"{right()}, {right()}"}, "wrong_signature"),
    "in lower case": (lambda: {"flutterwave-signature": right().lower()}, "wrong_signature"),
    "empty": (lambda: {"flutterwave-signature": ""}, "wrong_signature"),
    "not ASCII": (lambda: {"flutterwave-signature": "é" * 44}, "wrong_signature"),
    "bytes that are no text": (lambda: {"flutterwave-signature": "\udcff" * 44}, "wrong_signature"),
    "a megabyte": (lambda: {"flutterwave-signature": "A" * 2**20}, "wrong_signature"),
    "missing": (dict, "no_signature"),
}


@pytest.mark.parametrize(("headers", "reason"), SIGNATURE_ROWS.values(), ids=SIGNATURE_ROWS)
def test_only_the_hmac_of_the_body_under_its_own_name_is_accepted(
    headers: Callable[[], Mapping[str, str]], reason: str | None
) -> None:
    assert verdict(V4, headers()) == reason


def test_another_providers_signature_is_refused() -> None:
    theirs = stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, int(time.time()))  # type: ignore[attr-defined]
    assert verdict(V4, {"stripe-signature": theirs}) == "no_signature"
    assert verdict(V4, {"flutterwave-signature": theirs}) == "wrong_signature"


@needs_openssl
def test_an_hmac_of_another_hash_is_refused() -> None:
    assert verdict(V4, {"flutterwave-signature": openssl(BODY, SECRET, "sha512")}) == "wrong_signature"


# --- v3: the plain secret


def test_the_plain_secret_is_accepted_whatever_the_body_says() -> None:
    assert verdict(V3, {"verif-hash": SECRET}) is None
    assert verdict(V3, {"verif-hash": SECRET}, b"") is None
    assert V3.sign(BODY, NOW_S, "unused") == {"verif-hash": SECRET}


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"verif-hash": SECRET + " "}, "wrong_signature"),
        ({"verif-hash": SECRET[:-1]}, "wrong_signature"),
        ({"verif-hash": SECRET.upper()}, "wrong_signature"),
        ({"verif-hash": SECRET.replace("ü", "?")}, "wrong_signature"),
        ({"verif-hash": SECRET.replace("ü", "\udcfc")}, "wrong_signature"),
        ({"verif-hash": OLD_SECRET}, "wrong_signature"),
        ({"verif-hash": ""}, "wrong_signature"),
        ({"flutterwave-signature": SECRET}, "no_signature"),
        ({"flutterwave-signature": right()}, "no_signature"),
        ({}, "no_signature"),
    ],
    ids=ascii,
)
def test_what_is_not_the_secret_to_the_letter_is_refused(headers: Mapping[str, str], reason: str) -> None:
    assert verdict(V3, headers) == reason


def test_a_byte_that_is_no_text_stands_for_no_character_of_the_secret() -> None:
    assert verdict(room("a?b", scheme="verif-hash"), {"verif-hash": "a\udcffb"}) == "wrong_signature"


def test_the_plain_secret_is_never_stored_with_the_event() -> None:
    for provider in (V3, V4):
        assert "verif-hash" not in provider.kept_headers
        assert provider.kept_headers == ("flutterwave-signature",)


# --- Both


@pytest.mark.parametrize("scheme", ["hmac", "verif-hash"])
def test_while_a_secret_is_rotated_both_are_good_and_the_first_one_signs(scheme: str) -> None:
    both, old, new = room(SECRET, OLD_SECRET, scheme=scheme), room(OLD_SECRET, scheme=scheme), room(scheme=scheme)
    assert verdict(both, old.sign(BODY, NOW_S, "")) is None
    assert verdict(both, new.sign(BODY, NOW_S, "")) is None
    assert verdict(new, old.sign(BODY, NOW_S, "")) == "wrong_signature"
    assert both.sign(BODY, NOW_S, "") == new.sign(BODY, NOW_S, "")


@pytest.mark.parametrize("scheme", ["hmac", "verif-hash"])
@given(header=st.text(max_size=80))
def test_no_text_in_the_header_can_break_the_check(scheme: str, header: str) -> None:
    headers = {"flutterwave-signature": header, "verif-hash": header}
    assert verdict(room(scheme=scheme), headers) == "wrong_signature"


def test_the_hmac_is_the_default() -> None:
    assert room(scheme="hmac").sign(BODY, NOW_S, "") == room(scheme=None).sign(BODY, NOW_S, "") == V4.sign(BODY, 0, "")


@pytest.mark.parametrize(
    ("secrets", "scheme", "name"),
    [
        ((SECRET,), "either", "scheme"),
        ((SECRET,), "HMAC", "scheme"),
        ((SECRET,), "", "scheme"),
        ((), None, "secrets"),
        (("",), None, "secrets"),
        (("",), "verif-hash", "secrets"),
        ((SECRET, ""), "verif-hash", "secrets"),
        ((" padded ",), "verif-hash", "secrets"),
        (("line\nbreak",), "verif-hash", "secrets"),
    ],
    ids=ascii,
)
def test_credentials_that_cannot_be_meant_are_named(secrets: Sequence[str], scheme: str | None, name: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        Flutterwave(Credentials([Secret(each) for each in secrets], scheme))
    assert caught.value.name == name
    assert not any(each and each in str(caught.value) for each in secrets)


def test_every_name_flutterwave_has_for_its_events_is_known() -> None:
    names = Path(__file__).parents[2].parent / "shared" / "provider-events.json"
    if not names.exists():
        pytest.skip(f"NO LIST: {names} is not there")
    lists = json.loads(names.read_bytes())
    v4 = lists["flutterwave_v4"].values()
    assert Flutterwave.event_types == {*lists["flutterwave_v3"]["events"], *(name for each in v4 for name in each)}
