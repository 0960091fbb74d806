"""Standard Webhooks, with the reference library and Svix's as oracles, both ways."""

import base64
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import svix.webhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, NotUnderstoodError, Refused, Verified
from webhookd.providers.standard import Standard

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = '{"type": "payment.succeeded", "note": "2 × mug"}'.encode()
VECTOR = Path(__file__).parents[2].parent / "shared" / "samples" / "standardwebhooks" / "vector.json"
PROVIDER = Standard(Credentials([Secret(SECRET)]))
LIBRARIES = [standardwebhooks.Webhook, svix.webhooks.Webhook]


def now() -> int:
    """The libraries read the clock themselves, so that rows keep a minute away from the edge, or lie beyond it."""
    return int(time.time())


def headers(
    signature: str | None = None,
    *,
    message_id: str = MESSAGE_ID,
    timestamp: int | str | None = None,
    body: bytes = BODY,
    secret: str = SECRET,
    prefix: str = "webhook",
) -> dict[str, str]:
    timestamp = now() if timestamp is None else timestamp
    if signature is None:
        at = datetime.fromtimestamp(int(timestamp), UTC)
        signature = standardwebhooks.Webhook(secret).sign(message_id, at, body.decode())
    return {f"{prefix}-id": message_id, f"{prefix}-timestamp": str(timestamp), f"{prefix}-signature": signature}


def ours_accepts(
    given: Mapping[str, str], body: bytes = BODY, provider: Standard = PROVIDER, at_s: int | None = None
) -> bool:
    verdict = provider.verify(Hook(given, body, 0), now() if at_s is None else at_s, {})
    assert isinstance(verdict, Verified | Refused)
    return isinstance(verdict, Verified)


def library_accepts(library: Any, given: Mapping[str, str], body: bytes = BODY, secret: str = SECRET) -> bool:
    try:
        library(secret).verify(body, dict(given))
    except standardwebhooks.WebhookVerificationError:
        return False
    return True


def ours_signs(body: bytes = BODY, message_id: str = MESSAGE_ID, provider: Standard = PROVIDER) -> dict[str, str]:
    return provider.sign(body, now(), message_id)


def right(at_s: int) -> str:
    return headers(timestamp=at_s)["webhook-signature"]


# --- Signatures


def test_the_known_vector_is_accepted_at_its_time() -> None:
    given = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", timestamp=1614265330)
    assert ours_accepts(given, b'{"test": 2432232314}', at_s=1614265330)


@pytest.mark.skipif(not VECTOR.exists(), reason=f"NO SAMPLES: {VECTOR} is not there")
def test_the_vector_as_it_was_published_is_accepted_and_reproduced() -> None:
    vector = json.loads(VECTOR.read_bytes())
    at_s, body = vector["webhook-timestamp"], vector["payload"].encode()
    provider = Standard(Credentials([Secret(vector["secret"])]))
    signed = provider.sign(body, at_s, vector["webhook-id"])
    assert signed["webhook-signature"] == vector["webhook-signature"]
    assert ours_accepts(signed, body, provider, at_s)


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
@pytest.mark.parametrize("prefix", ["webhook", "svix"])
def test_what_the_libraries_sign_is_accepted(library: Any, prefix: str) -> None:
    at_s = now()
    signature = library(SECRET).sign(MESSAGE_ID, datetime.fromtimestamp(at_s, UTC), BODY.decode())
    assert ours_accepts(headers(signature, timestamp=at_s, prefix=prefix))


@pytest.mark.parametrize("library", LIBRARIES, ids=["standardwebhooks", "svix"])
def test_what_is_signed_here_is_accepted_by_the_libraries(library: Any) -> None:
    assert library_accepts(library, ours_signs())


@given(st.text(), st.from_regex(r"[A-Za-z0-9_\-]{1,60}", fullmatch=True))
def test_any_body_and_id_that_the_reference_signs_are_accepted(text: str, message_id: str) -> None:
    body = text.encode()
    assert ours_accepts(headers(message_id=message_id, body=body), body)


@given(st.from_regex(r"[A-Za-z0-9_\-]{1,60}", fullmatch=True), st.dictionaries(st.text(), st.text()))
def test_any_body_and_id_that_are_signed_here_are_accepted_by_the_libraries(
    message_id: str, value: dict[str, str]
) -> None:
    body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
    signed = ours_signs(body, message_id)
    assert [library_accepts(library, signed, body) for library in LIBRARIES] == [True, True]


@given(st.binary(), st.binary())
def test_a_signature_is_good_for_its_own_body_only(body: bytes, other: bytes) -> None:
    signed = ours_signs(body)
    assert ours_accepts(signed, body)
    assert ours_accepts(signed, other) == (body == other)


WRONG = "v1," + base64.b64encode(bytes(32)).decode()
ROWS: dict[str, tuple[Callable[[int], dict[str, str]], bool]] = {
    "one signature": (lambda at_s: headers(timestamp=at_s), True),
    "two signatures, the second right": (lambda at_s: headers(f"{WRONG} {right(at_s)}", timestamp=at_s), True),
    "two signatures, the first right": (lambda at_s: headers(f"{right(at_s)} {WRONG}", timestamp=at_s), True),
    "unknown versions besides": (lambda at_s: headers(f"v2,abc v9,def {right(at_s)}", timestamp=at_s), True),
    "only an unknown version": (lambda at_s: headers(right(at_s).replace("v1,", "v2,"), timestamp=at_s), False),
    "240 s old": (lambda at_s: headers(timestamp=at_s - 240), True),
    "240 s ahead": (lambda at_s: headers(timestamp=at_s + 240), True),
    "too old": (lambda at_s: headers(timestamp=at_s - 301), False),
    "too new": (lambda at_s: headers(timestamp=at_s + 3_600), False),
    "another secret": (lambda at_s: headers(secret=OLD_SECRET, timestamp=at_s), False),
    "a signature for another time": (lambda at_s: headers(right(at_s), timestamp=at_s - 1), False),
    "a signature for another id": (lambda at_s: headers(right(at_s), message_id="msg_other", timestamp=at_s), False),
    "an ed25519 entry that the source has no key for": (
        lambda at_s: headers(right(at_s).replace("v1,", "v1a,"), timestamp=at_s),
        False,
    ),
    "no timestamp": (
        lambda at_s: {name: value for name, value in headers(timestamp=at_s).items() if "timestamp" not in name},
        False,
    ),
    "no id": (lambda at_s: {name: value for name, value in headers(timestamp=at_s).items() if "id" not in name}, False),
    "no signature": (
        lambda at_s: {name: value for name, value in headers(timestamp=at_s).items() if "signature" not in name},
        False,
    ),
    "an empty id": (lambda at_s: headers(message_id="", timestamp=at_s), False),
    "an empty signature": (lambda at_s: headers("v1,", timestamp=at_s), False),
    "a timestamp that is no number": (lambda at_s: headers(right(at_s), timestamp="now"), False),
    "no headers": (lambda _: {}, False),
}


@pytest.mark.parametrize(("given", "accepted"), ROWS.values(), ids=ROWS)
def test_the_verdict_is_that_of_the_libraries(given: Callable[[int], dict[str, str]], accepted: bool) -> None:
    made = given(now())
    theirs = [library_accepts(library, made) for library in LIBRARIES]
    assert (ours_accepts(made), *theirs) == (accepted, accepted, accepted)


@pytest.mark.parametrize(("off_s", "accepted"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_timestamp_may_be_300_seconds_off_either_way(off_s: int, accepted: bool) -> None:
    at_s = 1_700_000_000
    assert ours_accepts(headers(timestamp=at_s + off_s), at_s=at_s) is accepted


def test_an_entry_without_a_comma_is_passed_over_where_the_library_trips() -> None:
    at_s = now()
    given = headers(f"nonsense {right(at_s)}", timestamp=at_s)
    with pytest.raises(ValueError, match="not enough values"):
        standardwebhooks.Webhook(SECRET).verify(BODY, given)
    assert ours_accepts(given)
    assert not ours_accepts(headers("nonsense"))


def test_a_timestamp_with_a_fraction_is_refused_where_the_library_takes_it() -> None:
    given = headers()
    given["webhook-timestamp"] += ".5"
    assert library_accepts(standardwebhooks.Webhook, given)
    assert not ours_accepts(given)


@pytest.mark.parametrize("timestamp", ["", "-1", "+5", " 5", "1e9", "0x5", "٥", "9" * 13, "9" * 5_000])
def test_a_timestamp_that_is_not_a_plain_number_is_refused(timestamp: str) -> None:
    assert not ours_accepts(headers(right(now()), timestamp=timestamp))


@pytest.mark.parametrize("message_id", ["msg.1", ".", "msg_1.1700000000", "msg\n1", "msg_é", "m" * 256])
def test_an_id_that_could_move_the_border_to_the_timestamp_is_refused(message_id: str) -> None:
    signed = ours_signs(message_id=message_id)
    assert not ours_accepts(signed)


def test_nobody_can_shift_bytes_between_id_and_timestamp() -> None:
    signed = headers(message_id="msg")
    shifted = signed | {"webhook-id": f"msg.{signed['webhook-timestamp']}", "webhook-timestamp": ""}
    assert not ours_accepts(shifted)


@pytest.mark.parametrize("secret", [SECRET.removeprefix("whsec_"), OLD_SECRET])
def test_the_prefix_of_a_secret_is_optional(secret: str) -> None:
    assert ours_accepts(headers(secret=secret), provider=Standard(Credentials([Secret(secret)])))


def test_the_padding_of_a_secret_may_be_missing() -> None:
    secret = "whsec_" + base64.b64encode(b"k" * 31).decode().rstrip("=")
    assert ours_accepts(headers(secret=secret), provider=Standard(Credentials([Secret(secret)])))


def test_while_a_secret_is_rotated_both_are_good_and_the_first_one_signs() -> None:
    both = Standard(Credentials([Secret(SECRET), Secret(OLD_SECRET)]))
    assert ours_accepts(headers(), provider=both)
    assert ours_accepts(headers(secret=OLD_SECRET), provider=both)
    signed = ours_signs(provider=both)
    assert library_accepts(standardwebhooks.Webhook, signed)
    assert not library_accepts(standardwebhooks.Webhook, signed, secret=OLD_SECRET)


def test_the_two_families_of_headers_are_not_mixed() -> None:
    ours, svixs = headers(message_id="msg_1"), headers(message_id="msg_2", prefix="svix")
    assert not ours_accepts({"webhook-id": "msg_2"} | {name: svixs[name] for name in svixs if name != "svix-id"})
    assert ours_accepts(ours | {"svix-id": "msg_9"})


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_no_text_in_the_headers_can_break_the_check(message_id: str, timestamp: str, signature: str) -> None:
    assert not ours_accepts(headers(signature, message_id=message_id, timestamp=timestamp))
    assert not ours_accepts(headers(signature))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "sk_live_1",
        "whpk_",
        "whpk_c2hvcnQ=",
        "whpk_" + base64.b64encode(bytes(33)).decode(),
        "whpk_!!!",
    ],
)
def test_a_secret_of_another_kind_is_refused_at_start(secret: str) -> None:
    with pytest.raises(ValueError, match=r"whsec_|whpk_|24 to 64 bytes"):
        Standard(Credentials([Secret(secret)]))


# --- ed25519

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = "whpk_" + base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
ED25519 = Standard(Credentials([Secret(PUBLIC)]))


def ed25519_headers(body: bytes = BODY, timestamp: int | None = None) -> dict[str, str]:
    timestamp = now() if timestamp is None else timestamp
    signed = PRIVATE.sign(f"{MESSAGE_ID}.{timestamp}.".encode() + body)
    return headers("v1a," + base64.b64encode(signed).decode(), timestamp=timestamp)


def test_an_ed25519_signature_is_checked_with_the_public_key() -> None:
    given = ed25519_headers()
    assert ours_accepts(given, provider=ED25519)
    assert not ours_accepts(given, BODY + b" ", ED25519)
    assert not ours_accepts(given)


@pytest.mark.parametrize(
    "entry",
    [
        "v1a,",
        "v1a,!!!",
        "v1a,é",
        "v1a," + base64.b64encode(bytes(64)).decode(),
        "v1a," + base64.b64encode(bytes(63)).decode(),
    ],
)
def test_a_forged_ed25519_signature_is_refused(entry: str) -> None:
    assert not ours_accepts(headers(entry), provider=ED25519)


@pytest.mark.parametrize("version", ["v1", "v2", "v1A", "v1a ", ""])
def test_an_ed25519_signature_does_not_count_under_another_version(version: str) -> None:
    given = ed25519_headers()
    given["webhook-signature"] = given["webhook-signature"].replace("v1a,", f"{version},")
    assert not ours_accepts(given, provider=ED25519)


def test_an_ed25519_signature_outside_the_time_window_is_refused() -> None:
    assert not ours_accepts(ed25519_headers(timestamp=now() - 301), provider=ED25519)


def test_a_source_may_hold_a_public_key_and_a_secret() -> None:
    both = Standard(Credentials([Secret(PUBLIC), Secret(SECRET)]))
    assert ours_accepts(ed25519_headers(), provider=both)
    assert ours_accepts(headers(), provider=both)
    assert library_accepts(standardwebhooks.Webhook, ours_signs(provider=both))


# --- Reading


def read(body: Any, given: Mapping[str, str] | None = None) -> Any:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return PROVIDER.read(Hook(given if given is not None else headers(), raw, 0))


def test_an_event_is_known_by_the_signed_id_and_its_type_time_and_payment() -> None:
    found = read(
        {
            "business_id": "bus_1",
            "type": "payment.succeeded",
            "timestamp": "2026-03-01T12:00:00.250Z",
            "data": {"payload_type": "Payment", "payment_id": "pay_1", "total_amount": 4200},
        }
    )
    at_ms = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1_000) + 250
    assert (found.provider_event_id, found.type) == (MESSAGE_ID, "payment.succeeded")
    assert (found.occurred_at, found.payment_id) == (at_ms, "pay_1")


def test_the_id_is_read_from_svix_headers_too() -> None:
    assert read({"type": "x"}, headers(prefix="svix")).provider_event_id == MESSAGE_ID


@pytest.mark.parametrize(
    ("timestamp", "at_ms"),
    [
        ("1970-01-01T00:00:01Z", 1_000),
        ("1970-01-01T01:00:01+01:00", 1_000),
        ("1970-01-01T00:00:01", None),
        ("yesterday", None),
        (5, None),
        (None, None),
        ([], None),
    ],
)
def test_the_time_is_read_with_its_zone_and_is_none_when_it_is_odd(timestamp: Any, at_ms: int | None) -> None:
    assert read({"type": "x", "timestamp": timestamp}).occurred_at == at_ms


@pytest.mark.parametrize("timestamp", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_at_the_end_of_all_calendars_breaks_nothing(timestamp: str) -> None:
    assert read({"type": "x", "timestamp": timestamp}).type == "x"


@pytest.mark.parametrize(
    "body",
    [
        {"type": "x"},
        {"type": "x", "data": None},
        {"type": "x", "data": []},
        {"type": "x", "data": {"payment_id": 5}},
        {"type": "x", "data": {"payment_id": ""}},
        {"type": "x", "data": {"payment_id": "p\n"}},
        {"type": "x", "timestamp": {"seconds": 5}, "more": ["odd", {"things": None}]},
    ],
    ids=str,
)
def test_an_event_that_is_odd_elsewhere_is_understood_and_moves_no_payment(body: Any) -> None:
    found = read(body)
    assert (found.provider_event_id, found.type, found.payment_id) == (MESSAGE_ID, "x", None)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": None},
        {"type": ""},
        {"type": 5},
        {"type": "a\x00b"},
        {"type": "t" * 256},
        [],
        None,
        "x",
        b"",
        b"type=x",
        b'{"type":"x"',
        b'{"type":"x"} x',
        b'{"type":"\xff"}',
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
    ids=lambda body: ascii(body)[:30],
)
def test_a_body_without_a_usable_type_is_quarantined(body: Any) -> None:
    with pytest.raises(NotUnderstoodError):
        read(body)


@given(st.binary())
def test_whatever_an_authentic_body_holds_it_is_read_or_quarantined(body: bytes) -> None:
    with suppress(NotUnderstoodError):
        assert read(body).type


@pytest.mark.parametrize(
    "timestamp", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59.999999Z"]
)
def test_a_time_that_no_calendar_can_show_is_no_time(timestamp: str) -> None:
    body = json.dumps({"type": "payment.succeeded", "timestamp": timestamp}).encode()
    assert Standard(Credentials([Secret(SECRET)])).read(Hook({"webhook-id": "msg_1"}, body, 0)).occurred_at is None
