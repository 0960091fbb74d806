"""PayPal's signature: genuine vectors of PayPal's, the message by PayPal's library, the cryptography by openssl."""

import base64
import json
import re
import subprocess
import zlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paypalrestsdk.notifications import WebhookEvent

from tests.paypal_desk import MADE_AT_S, at_home, judged, paypal, signing_key
from webhookd.core.event import Hook
from webhookd.core.identifier import KeyMint
from webhookd.core.secret import Secret
from webhookd.providers.paypal import PayPal
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.providers.provider import (
    CannotSignError,
    Credentials,
    CredentialsError,
    Needs,
    NotUnderstoodError,
    Refused,
    Request,
    Verdict,
    Verified,
)
from webhookd.receive.intake import Intake, Source
from webhookd.sandbox import paypal_keys
from webhookd.store.sqlite.store import SqliteStore

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "paypal"
NOW_S = MADE_AT_S + 86_400
BODY = b'{"id":"WH-1","event_type":"PAYMENT.CAPTURE.COMPLETED","note":"2 \xc3\x97 mug","amount":1.0}'
WEBHOOK_ID = paypal_keys.webhook_id(signing_key())
DAY_S = 86_400


def sent(body: bytes = BODY, **changes: str | None) -> Hook:
    """A hook signed in PayPal's place, with headers changed (None: left out); their names with _ for -."""
    headers = {name.lower(): value for name, value in paypal().sign(body, NOW_S, "msg_1").items()}
    for name, value in changes.items():
        header = f"paypal-{name.replace('_', '-')}"
        if value is None:
            del headers[header]
        else:
            headers[header] = value
    return Hook(headers, body, NOW_S * 1_000)


def verdict(hook: Hook, room: PayPal | None = None, at_s: int = NOW_S) -> Verdict:
    return judged(room or paypal(), hook, at_s, at_home())


def with_body(hook: Hook, body: bytes) -> Hook:
    return msgspec.structs.replace(hook, body=body)


# --- Genuine vectors


class Vector:
    def __init__(self, name: str) -> None:
        if not (SAMPLES / name).is_dir():
            pytest.skip(f"PayPal's genuine vectors are not here: {SAMPLES / name}")
        told = json.loads((SAMPLES / name / "vector.json").read_text())
        self.headers = {each.lower(): value for each, value in told["headers"].items()}
        self.body = (SAMPLES / name / "body.json").read_bytes()
        self.at_s = int(datetime.fromisoformat(self.headers["paypal-transmission-time"]).timestamp())
        self.hook = Hook(self.headers, self.body, self.at_s * 1_000)
        self.webhook_id = Secret(told["webhook_id"])
        self.message = told.get("signed_message")
        self.root, self.intermediate = (
            (SAMPLES / "chain" / f"DigiCert{each}.crt.pem").read_bytes()
            for each in ("HighAssuranceEVRootCA", "SHA2ExtendedValidationServerCA")
        )
        certificate = SAMPLES / name / "cert.pem"
        self.answers = {self.headers["paypal-cert-url"]: certificate.read_bytes()} if certificate.exists() else {}

    def room(self, authorities: bytes | None = None) -> PayPal:
        trusted = self.root + self.intermediate if authorities is None else authorities
        return PayPal(Credentials(webhook_id=self.webhook_id, authorities=trusted))

    def verdict(self, hook: Hook | None = None, *, room: PayPal | None = None, at_s: int | None = None) -> Verdict:
        return judged(room or self.room(), hook or self.hook, self.at_s if at_s is None else at_s, self.answers)


@pytest.fixture(params=["signed-2015-05-12-payment-sale-completed", "signed-2015-05-18-payment-sale-completed"])
def vector(request: pytest.FixtureRequest) -> Vector:
    return Vector(request.param)


def test_what_paypal_signed_is_accepted_on_its_own_day(vector: Vector) -> None:
    assert isinstance(vector.verdict(), Verified)
    reading = PayPal.read(vector.hook)
    assert (reading.type, reading.occurred_at) == ("PAYMENT.SALE.COMPLETED", vector.at_s * 1_000)
    assert reading.alias == f"transmission:{vector.headers['paypal-transmission-id']}"


@pytest.mark.parametrize(("days", "accepted"), [(-50, True), (-90, False), (600, True), (700, False)])
def test_what_paypal_signed_is_accepted_as_long_as_its_certificate_is_valid(
    vector: Vector, days: int, accepted: bool
) -> None:
    """From 2015-03-18 to 2017-03-22; there is no bound on the age of a transmission."""
    room = vector.room()
    assert isinstance(vector.verdict(room=room), Verified)  # and is not remembered beyond that
    found = vector.verdict(room=room, at_s=vector.at_s + days * DAY_S)
    assert found == (Verified() if accepted else Refused("untrusted_certificate"))


def test_what_paypal_signed_is_refused_with_any_other_body(vector: Vector) -> None:
    for body in (
        vector.body.replace(b"20.00", b"20.01"),
        vector.body[:-1],
        vector.body + b" ",
        b"",
        json.dumps(json.loads(vector.body)).encode(),
    ):
        assert vector.verdict(with_body(vector.hook, body)) == Refused("wrong_signature")


def test_what_paypal_signed_is_refused_by_any_other_webhook(vector: Vector) -> None:
    room = PayPal(
        Credentials(webhook_id=Secret("4JH86294D6297924H"), authorities=vector.root + vector.intermediate),
    )
    assert vector.verdict(room=room) == Refused("wrong_signature")


def test_the_intermediate_may_come_from_paypal_from_its_issuer_or_be_trusted_itself(vector: Vector) -> None:
    url = vector.headers["paypal-cert-url"]
    leaf = vector.answers[url]
    assert isinstance(vector.verdict(room=vector.room(vector.intermediate)), Verified)
    of_root = vector.room(vector.root)
    needed = vector.verdict(room=of_root)
    assert needed == Needs(
        Request("https://cacerts.digicert.com/DigiCertSHA2ExtendedValidationServerCA.crt", kept="disk")
    )
    vector.answers = {url: leaf, needed.request.url: vector.intermediate}
    assert isinstance(vector.verdict(room=of_root), Verified)
    vector.answers = {url: leaf + vector.intermediate}
    assert isinstance(vector.verdict(room=vector.room(vector.root)), Verified)


def test_todays_public_roots_no_longer_vouch_for_2015(vector: Vector) -> None:
    room = PayPal(Credentials(webhook_id=vector.webhook_id))
    vector.answers["https://cacerts.digicert.com/DigiCertSHA2ExtendedValidationServerCA.crt"] = vector.intermediate
    assert vector.verdict(room=room) == Refused("untrusted_certificate")


def test_the_headers_of_a_real_delivery_of_2019_are_understood() -> None:
    vector = Vector("unverified-2019-08-29-payments-payment-created")
    needed = vector.verdict()
    assert isinstance(needed, Needs)
    assert needed.request.url == vector.headers["paypal-cert-url"]
    assert PayPal.read(vector.hook).provider_event_id == "WH-7MU294299R542214K-4N1831857K851783H"


def test_paypals_library_makes_the_messages_that_paypal_signed(vector: Vector) -> None:
    headers = vector.headers
    made = sdk_message(headers, vector.webhook_id.reveal(), vector.body)
    assert made == vector.message


# --- Oracles: PayPal's library for the message, openssl for the signature


def sdk_message(headers: dict[str, str] | Any, webhook_id: str, body: bytes) -> str:
    get = WebhookEvent._get_expected_sig
    return str(get(headers["paypal-transmission-id"], headers["paypal-transmission-time"], webhook_id, body.decode()))


def openssl(directory: Path, *arguments: str, **files: bytes) -> subprocess.CompletedProcess[bytes]:
    for name, content in files.items():
        (directory / name).write_bytes(content)
    return subprocess.run(["openssl", *arguments], cwd=directory, capture_output=True, check=False)


def test_what_is_signed_here_is_what_openssl_verifies_over_the_message_of_paypals_library(tmp_path: Path) -> None:
    hook = sent()
    certificate = paypal_keys.certificate(signing_key())
    openssl(tmp_path, "x509", "-in", "cert", "-noout", "-pubkey", "-out", "key", cert=certificate)
    for body, good in ((BODY, True), (BODY + b" ", False)):
        checked = openssl(
            tmp_path,
            *("dgst", "-sha256", "-verify", "key", "-signature", "sig", "message"),
            sig=base64.b64decode(hook.headers["paypal-transmission-sig"]),
            message=sdk_message(hook.headers, WEBHOOK_ID, body).encode(),
        )
        assert (checked.returncode == 0) is good, checked.stderr


@pytest.mark.parametrize("note", ["", "plain", "2 × mug ✓ 💰", "\u2028\u0000"])
def test_what_openssl_signs_over_the_message_of_paypals_library_is_accepted(tmp_path: Path, note: str) -> None:
    body = json.dumps({"id": "WH-1", "event_type": "X", "note": note}, ensure_ascii=False).encode()
    hook = sent(body, transmission_id="dfb3be50-fd74-11e4-8bf3-77339302725b", transmission_time="2015-05-18T15:45:13Z")
    made = openssl(
        tmp_path,
        *("dgst", "-sha256", "-sign", "key", "message"),
        key=signing_key().encode(),
        message=sdk_message(hook.headers, WEBHOOK_ID, body).encode(),
    )
    headers = {**hook.headers, "paypal-transmission-sig": base64.b64encode(made.stdout).decode()}
    signed = msgspec.structs.replace(hook, headers=headers)
    assert isinstance(verdict(signed), Verified)
    assert verdict(with_body(signed, body + b"\n")) == Refused("wrong_signature")
    assert verdict(hook) == Refused("wrong_signature")


@settings(max_examples=30)
@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_signature_is_good_for_bodies_of_one_crc_only(body: bytes, other: bytes) -> None:
    hook = sent(body)
    found = verdict(hook)
    assert isinstance(found, Verified) or found == Refused("trailing_bytes")
    if zlib.crc32(body) != zlib.crc32(other):
        assert verdict(with_body(hook, other)) == Refused("wrong_signature")


def test_another_key_with_a_certificate_of_the_same_name_does_not_sign_for_it() -> None:
    """A stranger's authority is not trusted; and a stranger's key does not go with the trusted certificate."""
    hook = sent()
    assert judged(paypal(1), hook, NOW_S, at_home()) == Refused("untrusted_certificate")
    room = PayPal(
        Credentials(
            webhook_id=Secret(WEBHOOK_ID),
            authorities=paypal_keys.authority(signing_key()),
            signing_key=Secret(signing_key(1)),
        )
    )
    forged = Hook({name.lower(): value for name, value in room.sign(BODY, NOW_S, "msg_1").items()}, BODY, 0)
    assert verdict(forged) == Refused("wrong_signature")


# --- Headers, before anything is fetched


def refused_unseen(hook: Hook) -> str:
    found = paypal().verify(hook, NOW_S, {})
    assert isinstance(found, Refused), found
    return found.reason


HEADERS = ("transmission_id", "transmission_time", "transmission_sig", "cert_url", "auth_algo")


@pytest.mark.parametrize("name", HEADERS)
def test_without_any_one_of_its_headers_a_hook_is_refused_and_nothing_is_fetched(name: str) -> None:
    assert refused_unseen(sent(**{name: None})) == "no_signature"


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", ["", " ", "a|b", "é", "\x00", "x\r\ny", "\udce9", "x" * 5_000, "١٢٣"])
def test_odd_headers_are_refused_and_nothing_is_fetched(name: str, value: str) -> None:
    refused_unseen(sent(**{name: value}))


GOOD = sent()


@pytest.mark.parametrize("name", HEADERS)
@given(value=st.text(max_size=40))
def test_any_text_in_a_header_is_judged_without_an_exception(name: str, value: str) -> None:
    header = f"paypal-{name.replace('_', '-')}"
    assert isinstance(verdict(Hook({**GOOD.headers, header: value}, BODY, 0)), Refused)


@pytest.mark.parametrize("algorithm", ["SHA1withRSA", "SHA512withRSA", "none", "sha256withrsa", "SHA256withRSA "])
def test_any_algorithm_but_sha256_with_rsa_is_refused(algorithm: str) -> None:
    assert refused_unseen(sent(auth_algo=algorithm)) == "wrong_algorithm"


PATH = "/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"


@pytest.mark.parametrize(
    "url",
    [
        f"http://api.paypal.com{PATH}",
        f"HTTPS://api.paypal.com{PATH}",
        f"https://api.paypal.com:8443{PATH}",
        f"https://api.paypal.com:443:443{PATH}",
        f"https://api.paypal.com:{PATH}",
        f"https://user@api.paypal.com{PATH}",
        f"https://api.paypal.com@evil.example{PATH}",
        f"https://api.paypal.com.evil.example{PATH}",
        f"https://evil-api.paypal.com{PATH}",
        f"https://www.paypal.com{PATH}",
        f"https://paypal.com{PATH}",
        f"https://apixpaypal.com{PATH}",
        f"https://api.paypal.com.{PATH}",
        f"https://api.paypal.com\\@evil.example{PATH}",
        f"https://api.paypal.com\t{PATH}",
        f"https://169.254.169.254{PATH}",
        f"https://[::1]{PATH}",
        f"//api.paypal.com{PATH}",
        f"https:/api.paypal.com{PATH}",
        f"https://api.paypal.com{PATH}?x=1",
        f"https://api.paypal.com{PATH}#x",
        f"https://api.paypal.com{PATH}/",
        f"https://api.paypal.com{PATH}/../../evil",
        f"https://api.paypal.com{PATH}%2f..",
        f"https://api.paypal.com{PATH}\n",
        "https://api.paypal.com/v1/notifications/certs/../../../evil/CERT-1",
        "https://api.paypal.com/v1/notifications/certs/CERT-",
        f"https://api.paypal.com/v1/notifications/certs/CERT-{'a' * 65}",
        "https://api.paypal.com/v1/notifications/certs/CERT-é",
        "https://api.paypal.com/v1/notifications/certs/cert-1",
        f"https://api.paypal.com/{PATH}",
        "file:///etc/passwd",
    ],
)
def test_a_certificate_anywhere_else_is_refused_and_never_fetched(url: str) -> None:
    assert refused_unseen(sent(cert_url=url)) == "wrong_cert_url"


@pytest.mark.parametrize(
    "host", ["api.paypal.com", "api.sandbox.paypal.com", "api-m.paypal.com", "api-m.sandbox.paypal.com"]
)
@pytest.mark.parametrize("port", ["", ":443"])
def test_a_certificate_at_paypals_is_asked_for_there_and_may_be_kept(host: str, port: str) -> None:
    found = paypal().verify(sent(cert_url=f"https://{host}{port}{PATH}"), NOW_S, {})
    assert isinstance(found, Needs)
    request = found.request
    assert (request.url, request.body, request.headers, request.kept) == (f"https://{host}{PATH}", None, (), "disk")
    assert request.answer_bytes_max == 64 * 1024
    assert request.holds in paypal_keys.certificate(signing_key())


def test_an_answer_that_is_no_certificate_says_nothing_of_who_sent_the_hook() -> None:
    """It is asked for again, which the receiver takes for "cannot be verified now" (503), not for a forgery (401)."""
    good = paypal_keys.certificate(signing_key())
    for answer in (
        b"",
        b"<html>Sorry</html>",
        good[:-20],
        good.replace(b"M", b"!"),
        good.replace(b"A", b"B"),
        good * 9,
    ):
        found = judged(paypal(), sent(), NOW_S, {HOME_CERT_URL: answer})
        assert isinstance(found, Needs), answer
        assert found.request.url == HOME_CERT_URL


def test_the_signature_of_another_provider_is_none_of_paypals() -> None:
    hook = Hook({"stripe-signature": "t=1,v1=00", "x-razorpay-signature": "00"}, BODY, 0)
    assert verdict(hook) == Refused("no_signature")


# --- The CRC: a body of the forger's own, under a genuine signature


def crc_restored(body: bytes, place: int, crc: int, alphabet: bytes = b" \t") -> bytes:
    """The body with 64 of two characters put in at the place, so chosen that the whole has the CRC.

    CRC-32 is linear: each choice between the two flips the same bits of the CRC, whatever the others are. So this is a
    system of 32 equations with 64 unknowns over GF(2).
    """
    count = 64
    first, second = alphabet

    def made(choice: int) -> bytes:
        filling = bytes(second if choice >> bit & 1 else first for bit in range(count))
        return body[:place] + filling + body[place:]

    start = zlib.crc32(made(0))
    rows: dict[int, tuple[int, int]] = {}  # by highest bit: the bits that a choice flips, and the choice
    for bit in range(count):
        flips, choice = zlib.crc32(made(1 << bit)) ^ start, 1 << bit
        while flips and (row := rows.get(flips.bit_length())):
            flips, choice = flips ^ row[0], choice ^ row[1]
        if flips:
            rows[flips.bit_length()] = flips, choice
    wanted, chosen = start ^ crc, 0
    while wanted:
        row = rows[wanted.bit_length()]
        wanted, chosen = wanted ^ row[0], chosen ^ row[1]
    return made(chosen)


def forged(body: bytes, place: int, alphabet: bytes = b" \t") -> bytes:
    changed = body.replace(b"20.00", b"9999.00")
    assert changed != body
    return crc_restored(changed, place if place >= 0 else len(changed) + place + 1, zlib.crc32(body), alphabet)


def test_a_forged_amount_with_the_crc_restored_behind_the_json_is_refused(vector: Vector) -> None:
    body = forged(vector.body, -1)
    assert json.loads(body)["resource"]["amount"]["total"] == "9999.00"
    assert sdk_message(vector.headers, vector.webhook_id.reveal(), body) == vector.message, "the forgery is a good one"
    assert vector.verdict(with_body(vector.hook, body)) == Refused("trailing_bytes")


@pytest.mark.parametrize(
    "tail", [b"\x00\x01\x02\x03", b"{}", b"\n\n", b" ", b"\r\n", b"garbage", b"\xef\xbb\xbf", b","]
)
def test_whatever_is_behind_the_json_is_refused_even_when_it_is_signed(tail: bytes) -> None:
    assert verdict(sent(BODY + tail)) == Refused("trailing_bytes")


def test_one_line_feed_may_end_a_body() -> None:
    assert isinstance(verdict(sent(BODY + b"\n")), Verified)


@pytest.mark.parametrize("body", [b"", b"hello", b"{", b'{"id":', b"\xff\xfe", b"[" * 100_000, BODY[:-1]])
def test_what_is_signed_and_no_json_at_all_is_authentic_and_not_understood(body: bytes) -> None:
    hook = sent(body)
    assert isinstance(verdict(hook), Verified)
    with pytest.raises(NotUnderstoodError):
        PayPal.read(hook)


@pytest.mark.parametrize(("place", "alphabet"), [(1, b" \t"), (-2, b" \t"), (18, b"AB")])
async def test_a_forgery_within_the_json_has_the_signature_and_yet_is_told_by_its_transmission(
    tmp_path: Path, vector: Vector, place: int, alphabet: bytes
) -> None:
    """The signature cannot tell. That a transmission is good for one body does."""
    body = forged(vector.body, place, alphabet)
    assert json.loads(body)["resource"]["amount"]["total"] == "9999.00"
    assert isinstance(vector.verdict(with_body(vector.hook, body)), Verified)
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()

    async def fetch(request: Request) -> bytes:
        return vector.answers[request.url]

    intake = Intake(store, KeyMint(), lambda: 1, fetch)
    source = Source("paypal", vector.room())
    first = await intake.take_in(source, vector.hook)
    again = await intake.take_in(source, vector.hook)
    forgery = await intake.take_in(source, with_body(vector.hook, body))
    assert not isinstance(first, Refused)
    assert not isinstance(again, Refused)
    assert not isinstance(forgery, Refused)
    assert (first.status, again.status, forgery.status) == ("accepted", "duplicate", "forged")
    assert forgery.event_id == first.event_id
    payment = await store.ledger.payment("paypal", json.loads(vector.body)["resource"]["id"])
    assert payment is not None
    assert payment.amount == 2000
    await store.close()


def test_text_moved_from_one_header_to_the_next_makes_no_second_transmission_of_it() -> None:
    hook = sent()
    moved = f"{hook.headers['paypal-transmission-id']}|{hook.headers['paypal-transmission-time']}"
    for changes in (
        {"transmission_id": moved, "transmission_time": ""},
        {"transmission_id": "", "transmission_time": moved},
    ):
        assert refused_unseen(sent(**changes)) == "malformed_signature"


# --- Signing, and what is configured


def test_what_is_signed_has_every_header_that_paypal_sends() -> None:
    headers = paypal().sign(BODY, NOW_S, "msg_1")
    assert headers.keys() == {
        *("Paypal-Transmission-Id", "Paypal-Transmission-Time", "Paypal-Transmission-Sig", "Paypal-Cert-Url"),
        *("Paypal-Auth-Algo", "Paypal-Auth-Version", "Correlation-Id", "User-Agent", "Accept"),
    }
    assert headers["Paypal-Transmission-Time"] == "2023-11-15T22:13:20Z"
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", headers["Paypal-Transmission-Id"]
    )
    assert headers["Paypal-Transmission-Id"] == paypal().sign(b"", 0, "msg_1")["Paypal-Transmission-Id"]
    assert headers["Paypal-Transmission-Id"] != paypal().sign(BODY, NOW_S, "msg_2")["Paypal-Transmission-Id"]


def test_without_a_signing_key_it_says_what_signing_would_take() -> None:
    with pytest.raises(CannotSignError, match="serve --dev"):
        PayPal(Credentials(webhook_id=Secret("1JE4291016473214C"))).sign(BODY, NOW_S, "msg_1")


ID, CLIENT, KEY = Secret("1JE4291016473214C"), Secret("client"), Secret("secret")
MISTAKES: dict[str, tuple[Credentials, str]] = {
    "no webhook id": (Credentials(), "webhook_id"),
    "an event's id with spaces": (Credentials(webhook_id=Secret("1JE 429")), "webhook_id"),
    "a webhook id with a bar": (Credentials(webhook_id=Secret("1JE|429")), "webhook_id"),
    "an empty webhook id": (Credentials(webhook_id=Secret("")), "webhook_id"),
    "another scheme": (Credentials(webhook_id=ID, scheme="hmac"), "scheme"),
    "postback without an id": (Credentials(webhook_id=ID, scheme="postback", client_secret=KEY), "client_id"),
    "postback without a secret": (Credentials(webhook_id=ID, scheme="postback", client_id=CLIENT), "client_secret"),
    "authorities that are none": (Credentials(webhook_id=ID, authorities=b"hello"), "authorities"),
    "empty authorities": (Credentials(webhook_id=ID, authorities=b""), "authorities"),
    "authorities cut short": (Credentials(webhook_id=ID, authorities=at_home()[HOME_CERT_URL][:-40]), "authorities"),
    "broken authorities": (
        Credentials(webhook_id=ID, authorities=at_home()[HOME_CERT_URL].replace(b"A", b"B")),
        "authorities",
    ),
    "a key that is none": (Credentials(webhook_id=ID, signing_key=Secret("hello")), "signing_key"),
}


@pytest.mark.parametrize(("credentials", "name"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_the_configuration_is_said_under_its_name(credentials: Credentials, name: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        PayPal(credentials)
    assert caught.value.name == name
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda: PayPal(Credentials(webhook_id=ID)), paypal])
def test_nothing_secret_shows_in_what_may_be_printed(make: Callable[[], PayPal]) -> None:
    room = make()
    assert "1JE4291016473214C" not in repr(room)
    assert "PRIVATE" not in repr(room)
    assert "paypal-transmission-sig" in room.kept_headers
    assert len(room.kept_headers) == 5
