"""Razorpay's and Paystack's signatures, with a library of each and openssl as the oracles, both ways."""

import hmac
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pypaystack2
import pytest
import razorpay
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.paystack import Paystack
from webhookd.providers.provider import Credentials, CredentialsError, Refused, Verified
from webhookd.providers.razorpay import Razorpay

Room = type[Razorpay] | type[Paystack]
ROOMS: list[Room] = [Razorpay, Paystack]
HEADER: dict[Room, str] = {Razorpay: "x-razorpay-signature", Paystack: "x-paystack-signature"}
ALGORITHM: dict[Room, str] = {Razorpay: "sha256", Paystack: "sha512"}
DIGITS: dict[Room, int] = {Razorpay: 64, Paystack: 128}
SECRET, OLD_SECRET = "sk_test_of_a_room ü", "the one before"
BODY = '{"event": "charge.success", "data": {"id": 1, "note": "2 × lamp"}}'.encode()
NOW_S = 1_772_366_400
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "razorpay"
VECTOR = SAMPLES / "sdk.fake_payment_authorized_webhook.vector.json"

each_room = pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="NO ORACLE: openssl is not there")


def made(room: Room, *secrets: str) -> Razorpay | Paystack:
    return room(Credentials([Secret(each) for each in secrets or (SECRET,)]))


def verdict(room: Room, signature: str | None, body: bytes = BODY, *secrets: str) -> str | None:
    """None when it is accepted, or the reason of the refusal."""
    headers = {} if signature is None else {HEADER[room]: signature}
    found = made(room, *secrets).verify(Hook(headers, body, 0), NOW_S, {})
    assert isinstance(found, Verified | Refused)
    return found.reason if isinstance(found, Refused) else None


def signed(room: Room, body: bytes = BODY, *secrets: str) -> str:
    headers = made(room, *secrets).sign(body, NOW_S, "msg_1")
    return {name.lower(): value for name, value in headers.items()}[HEADER[room]]


def library_accepts(room: Room, signature: str, body: bytes = BODY, secret: str = SECRET) -> bool:
    if room is Paystack:
        client = pypaystack2.PaystackClient(secret_key=secret)
        return client.is_verified_webhook_payload(body, signature)
    try:
        client = razorpay.Client(auth=("key", "its secret"))
        return bool(client.utility.verify_webhook_signature(body.decode(), signature, secret))
    except (razorpay.errors.SignatureVerificationError, TypeError):  # the latter when the signature is not ASCII
        return False


def openssl(room: Room, body: bytes, secret: str) -> str:
    """As in `openssl dgst -sha256 -hmac SECRET`, the key in hex so that no shell garbles it."""
    key = ["-mac", "HMAC", "-macopt", f"hexkey:{secret.encode().hex()}"]
    command = ["openssl", "dgst", f"-{ALGORITHM[room]}", *key, "-r"]
    return subprocess.run(command, input=body, capture_output=True, check=True, timeout=30).stdout.split()[0].decode()


# --- Both ways


@needs_openssl
@each_room
@pytest.mark.parametrize("body", [BODY, b"", b"\x00\xff\xfe not text", b"{" * 100_000], ids=len)
def test_what_openssl_signs_is_accepted_and_is_what_is_signed_here(room: Room, body: bytes) -> None:
    signature = openssl(room, body, SECRET)
    assert verdict(room, signature, body) is None
    assert signed(room, body) == signature


@each_room
@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8"), min_size=1))
def test_any_body_that_is_signed_here_is_accepted_by_the_library(room: Room, text: str, secret: str) -> None:
    body = text.encode()
    assert library_accepts(room, signed(room, body, secret), body, secret)


@each_room
@given(st.binary(), st.binary())
def test_a_signature_is_good_for_its_own_body_only(room: Room, body: bytes, other: bytes) -> None:
    assert verdict(room, signed(room, body), body) is None
    assert (verdict(room, signed(room, body), other) is None) == (body == other)


@pytest.mark.skipif(not VECTOR.exists(), reason=f"NO VECTOR: {VECTOR} is not there, Razorpay's own stays unchecked")
def test_the_vector_of_razorpays_own_tests_is_accepted() -> None:
    vector = json.loads(VECTOR.read_bytes())
    body = (SAMPLES / vector["body_file"]).read_bytes()
    assert library_accepts(Razorpay, vector["signature"], body, vector["secret"])
    assert verdict(Razorpay, vector["signature"], body, vector["secret"]) is None
    assert signed(Razorpay, body, vector["secret"]) == vector["signature"]
    assert verdict(Razorpay, vector["signature"], body.rstrip() + b" ", vector["secret"]) == "wrong_signature"


# --- What is refused

ROWS: dict[str, tuple[Callable[[Room], str], str | None]] = {
    "the right one": (signed, None),
    "of another secret": (lambda room: signed(room, BODY, OLD_SECRET), "wrong_signature"),
    "of a body cut short": (lambda room: signed(room, BODY[:-1]), "wrong_signature"),
    "of a body with a space more": (lambda room: signed(room, BODY + b" "), "wrong_signature"),
    "of the body as it is after parsing": (
        lambda room: signed(room, json.dumps(json.loads(BODY)).encode()),
        "wrong_signature",
    ),
    "one digit off": (lambda room: f"{int(signed(room)[0], 16) ^ 1:x}{signed(room)[1:]}", "wrong_signature"),
    "nothing but zeros": (lambda room: "0" * DIGITS[room], "wrong_signature"),
    "in capitals": (lambda room: signed(room).upper(), "wrong_signature"),
    "cut short": (lambda room: signed(room)[:-1], "malformed_signature"),
    "twice": (lambda room: f"{signed(room)},{signed(room)}", "malformed_signature"),
    "with a space before it": (lambda room: " " + signed(room), "malformed_signature"),
    "with its algorithm before it": (lambda room: f"{ALGORITHM[room]}={signed(room)}", "malformed_signature"),
    "empty": (lambda room: "", "malformed_signature"),
    "not ASCII": (lambda room: "é" * DIGITS[room], "malformed_signature"),
    "as long as it should be, and not ASCII": (lambda room: "é" * (DIGITS[room] // 2), "wrong_signature"),
    "bytes that are no text": (lambda room: "\udcff" * DIGITS[room], "wrong_signature"),
    "a megabyte": (lambda room: "a" * 2**20, "malformed_signature"),
    "the secret itself": (lambda room: SECRET, "malformed_signature"),
    "Stripe's": (
        lambda room: stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET, NOW_S),  # type: ignore[attr-defined]
        "malformed_signature",
    ),
}


@each_room
@pytest.mark.parametrize(("signature", "reason"), ROWS.values(), ids=ROWS)
def test_the_verdict_is_that_of_the_library(room: Room, signature: Callable[[Room], str], reason: str | None) -> None:
    text = signature(room)
    assert verdict(room, text) == reason
    assert library_accepts(room, text) == (reason is None)


@pytest.mark.parametrize(("room", "other"), [(Razorpay, Paystack), (Paystack, Razorpay)])
def test_another_providers_signature_is_refused(room: Room, other: Room) -> None:
    assert verdict(room, signed(other)) == "malformed_signature"
    theirs = {name.lower(): value for name, value in made(other).sign(BODY, NOW_S, "msg_1").items()}
    found = made(room).verify(Hook(theirs, BODY, 0), NOW_S, {})
    assert found == Refused("no_signature")
    assert verdict(room, "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=") == "malformed_signature"


@each_room
def test_a_hook_without_the_header_is_refused(room: Room) -> None:
    assert verdict(room, None) == "no_signature"


@each_room
def test_a_good_signature_has_no_age(room: Room) -> None:
    for now_s in (0, NOW_S, 10**11):
        hook = Hook({HEADER[room]: signed(room)}, BODY, 0)
        assert isinstance(made(room).verify(hook, now_s, {}), Verified)


# --- Secrets


@each_room
def test_while_a_secret_is_rotated_both_are_good_and_the_first_signs(room: Room) -> None:
    assert verdict(room, signed(room, BODY, OLD_SECRET), BODY, SECRET, OLD_SECRET) is None
    assert verdict(room, signed(room, BODY, SECRET), BODY, SECRET, OLD_SECRET) is None
    assert verdict(room, signed(room, BODY, "a third"), BODY, SECRET, OLD_SECRET) == "wrong_signature"
    assert signed(room, BODY, SECRET, OLD_SECRET) == signed(room, BODY, SECRET)


@each_room
def test_every_secret_is_compared_whichever_of_them_matches(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda ours, theirs: bool(compared.append(1)) or compare(ours, theirs))
    for secret in (SECRET, OLD_SECRET, "a third"):
        compared.clear()
        verdict(room, signed(room, BODY, secret), BODY, SECRET, OLD_SECRET)
        assert len(compared) == 2


@each_room
@pytest.mark.parametrize("secrets", [(), ("",), (SECRET, "")])
def test_a_source_without_a_secret_or_with_an_empty_one_is_a_mistake(room: Room, secrets: tuple[str, ...]) -> None:
    with pytest.raises(CredentialsError) as raised:
        room(Credentials([Secret(each) for each in secrets]))
    assert raised.value.name == "secrets"
    assert room.takes == {"secrets"}


# --- Headers


@pytest.mark.parametrize(
    ("room", "headers"),
    [
        (Razorpay, {"x-razorpay-event-id": "msg_1", "request-id": "msg_1", "user-agent": "Razorpay-Webhook/v1"}),
        (Paystack, {"user-agent": "Paystack/2.0"}),
    ],
)
def test_what_is_sent_has_the_headers_that_the_provider_sends(room: Room, headers: dict[str, str]) -> None:
    sent = {name.lower(): value for name, value in made(room).sign(BODY, NOW_S, "msg_1").items()}
    assert sent == {HEADER[room]: signed(room), **headers}
    assert set(room.kept_headers) <= set(sent)
