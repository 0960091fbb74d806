"""Stripe's signatures and envelopes, with Stripe's own library as the oracle, both ways."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, NotUnderstoodError, Refused, Verified
from webhookd.providers.stripe import Stripe

SECRET, OLD_SECRET = "whsec_test_of_stripe", "whsec_before_it_was_rotated"
BODY = b'{"id": "evt_1", "object": "event", "type": "charge.refunded", "note": "2 \xc3\x97 mug"}'
SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples" / "stripe"
PROVIDER = Stripe(Credentials([Secret(SECRET)]))


def now() -> int:
    """The library reads the clock itself, so that rows keep a minute away from the edge, or lie beyond it."""
    return int(time.time())


def hook(header: str | None, body: bytes = BODY) -> Hook:
    return Hook({} if header is None else {"stripe-signature": header}, body, now() * 1_000)


def ours_accepts(header: str | None, body: bytes = BODY, provider: Stripe = PROVIDER, at_s: int | None = None) -> bool:
    verdict = provider.verify(hook(header, body), now() if at_s is None else at_s, {})
    assert isinstance(verdict, Verified | Refused)
    return isinstance(verdict, Verified)


def sdk_accepts(header: str | None, body: bytes = BODY, secret: str = SECRET) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body, header, secret, tolerance=300))  # type: ignore[attr-defined]
    except stripe.SignatureVerificationError:
        return False


def sdk_header(timestamp: int | None = None, body: bytes = BODY, secret: str = SECRET) -> str:
    made = stripe.WebhookSignature.generate_signature_header(body.decode(), secret, timestamp)  # type: ignore[attr-defined]
    return str(made)


def digest(timestamp: int, secret: str = SECRET) -> str:
    return sdk_header(timestamp, secret=secret).partition("v1=")[2]


# --- Signatures


def test_what_stripes_library_signs_is_accepted() -> None:
    assert ours_accepts(sdk_header())


def test_what_is_signed_here_is_accepted_by_stripes_library() -> None:
    event = stripe.Webhook.construct_event(BODY, PROVIDER.sign(BODY, now(), "unused")["Stripe-Signature"], SECRET)
    assert (event.id, event.type) == ("evt_1", "charge.refunded")


@given(st.text())
def test_any_body_that_stripes_library_signs_is_accepted(text: str) -> None:
    body = text.encode()
    assert ours_accepts(sdk_header(body=body), body)


@given(st.text())
def test_any_body_that_is_signed_here_is_accepted_by_stripes_library(text: str) -> None:
    body = text.encode()
    assert sdk_accepts(PROVIDER.sign(body, now(), "unused")["Stripe-Signature"], body)


@given(st.binary(), st.binary())
def test_a_signature_is_good_for_its_own_body_only(body: bytes, other: bytes) -> None:
    header = PROVIDER.sign(body, now(), "unused")["Stripe-Signature"]
    assert ours_accepts(header, body)
    assert ours_accepts(header, other) == (body == other)


ROWS: dict[str, tuple[Callable[[int], str | None], bool]] = {
    "one v1": (sdk_header, True),
    "two v1, the second right": (lambda at_s: f"t={at_s},v1={'0' * 64},v1={digest(at_s)}", True),
    "two v1, the first right": (lambda at_s: f"t={at_s},v1={digest(at_s)},v1={'0' * 64}", True),
    "a v0 besides": (lambda at_s: sdk_header(at_s) + ",v0=6ffbb59b", True),
    "only a v0": (lambda at_s: f"t={at_s},v0={digest(at_s)}", False),
    "t 301 s old": (lambda at_s: sdk_header(at_s - 301), False),
    "t 240 s old": (lambda at_s: sdk_header(at_s - 240), True),
    "t 240 s ahead": (lambda at_s: sdk_header(at_s + 240), True),
    "a space after the comma": (lambda at_s: f"t={at_s}, v1={digest(at_s)}", False),
    "upper-case hex": (lambda at_s: f"t={at_s},v1={digest(at_s).upper()}", False),
    "two t, the first right": (lambda at_s: f"t={at_s},t=1,v1={digest(at_s)}", True),
    "two t, the second right": (lambda at_s: f"t=1,t={at_s},v1={digest(at_s)}", False),
    "v1 before t": (lambda at_s: f"v1={digest(at_s)},t={at_s}", True),
    "another secret": (lambda at_s: sdk_header(at_s, secret=OLD_SECRET), False),
    "a signature for another t": (lambda at_s: f"t={at_s},v1={digest(at_s - 1)}", False),
    "a signature cut short": (lambda at_s: sdk_header(at_s)[:-1], False),
    "no signature": (lambda at_s: f"t={at_s}", False),
    "an empty signature": (lambda at_s: f"t={at_s},v1=", False),
    "no t": (lambda at_s: f"v1={digest(at_s)}", False),
    "t is no number": (lambda at_s: f"t=now,v1={digest(at_s)}", False),
    "t is beyond counting": (lambda at_s: f"t={'9' * 40},v1={digest(at_s)}", False),
    "t is not ASCII": (lambda at_s: f"t=١٢٣,v1={digest(at_s)}", False),
    "an empty header": (lambda _: "", False),
    "only commas": (lambda _: ",,,", False),
    "no header": (lambda _: None, False),
}


@pytest.mark.parametrize(("header", "accepted"), ROWS.values(), ids=ROWS)
def test_the_verdict_is_that_of_stripes_library(header: Callable[[int], str | None], accepted: bool) -> None:
    text = header(now())
    assert (ours_accepts(text), sdk_accepts(text)) == (accepted, accepted)


@pytest.mark.parametrize("ahead_s", [301, 86_400])
def test_a_timestamp_far_ahead_is_refused_where_stripes_library_takes_it(ahead_s: int) -> None:
    at_s = now()
    header = sdk_header(at_s + ahead_s)
    assert sdk_accepts(header)
    assert not ours_accepts(header, at_s=at_s)


@pytest.mark.parametrize(("off_s", "accepted"), [(-301, False), (-300, True), (0, True), (300, True), (301, False)])
def test_a_timestamp_may_be_300_seconds_off_either_way(off_s: int, accepted: bool) -> None:
    at_s = 1_700_000_000
    assert ours_accepts(sdk_header(at_s + off_s), at_s=at_s) is accepted


def test_a_body_that_is_not_utf_8_is_judged_by_its_bytes_where_stripes_library_trips() -> None:
    body = b'{"id": "\xff"}'
    header = PROVIDER.sign(body, now(), "unused")["Stripe-Signature"]
    with pytest.raises(UnicodeDecodeError):
        sdk_accepts(header, body)
    assert ours_accepts(header, body)
    assert not ours_accepts(header, body + b" ")
    with pytest.raises(NotUnderstoodError):
        PROVIDER.read(hook(header, body))


def test_a_signature_that_is_not_ascii_is_refused_where_stripes_library_trips() -> None:
    header = f"t={now()},v1=é"
    with pytest.raises(TypeError):
        sdk_accepts(header)
    assert not ours_accepts(header)


def test_an_old_forgery_is_a_wrong_signature_and_not_merely_an_old_one() -> None:
    forged = f"t={now() - 86_400},v1={'0' * 64}"
    assert PROVIDER.verify(hook(forged), now(), {}) == Refused("wrong_signature")
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found matching"):
        stripe.WebhookSignature.verify_header(BODY, forged, SECRET, tolerance=300)  # type: ignore[attr-defined]
    assert PROVIDER.verify(hook(sdk_header(now() - 86_400)), now(), {}) == Refused("stale_timestamp")


@given(
    st.lists(
        st.tuples(st.sampled_from(["t", "v0", "v1", "v2", "T", " v1", ""]), st.sampled_from(range(8))), max_size=5
    ),
    st.sampled_from([",", ", ", ";"]),
)
def test_no_header_is_accepted_that_stripes_library_refuses(parts: list[tuple[str, int]], comma: str) -> None:
    at_s = now()
    good, old = digest(at_s), digest(at_s - 301)
    values = [str(at_s), str(at_s - 301), "", "x", good, old, good[:-1] + "x", "0" * 64]
    header = comma.join(f"{name}={values[which]}" for name, which in parts)
    assert ours_accepts(header) == sdk_accepts(header)


@given(st.text(max_size=120))
def test_no_text_in_the_header_can_break_the_check(header: str) -> None:
    assert not ours_accepts(header)


def test_while_a_secret_is_rotated_both_are_good_and_the_first_one_signs() -> None:
    both = Stripe(Credentials([Secret(SECRET), Secret(OLD_SECRET)]))
    assert ours_accepts(sdk_header(), provider=both)
    assert ours_accepts(sdk_header(secret=OLD_SECRET), provider=both)
    assert not ours_accepts(sdk_header(secret="whsec_of_somebody_else"), provider=both)
    signed = both.sign(BODY, now(), "unused")["Stripe-Signature"]
    assert (sdk_accepts(signed), sdk_accepts(signed, secret=OLD_SECRET)) == (True, False)


def test_a_hook_that_stripe_signed_with_both_secrets_is_good_for_either() -> None:
    at_s = now()
    header = f"t={at_s},v1={digest(at_s, OLD_SECRET)},v1={digest(at_s)}"
    assert ours_accepts(header)
    assert ours_accepts(header, provider=Stripe(Credentials([Secret(OLD_SECRET)])))


# --- Reading


def read(event: Any) -> Any:
    return PROVIDER.read(hook(None, event if isinstance(event, bytes) else json.dumps(event).encode()))


def event(subject: Any = None, **changes: Any) -> dict[str, Any]:
    made = {
        "id": "evt_1",
        "object": "event",
        "type": "charge.refunded",
        "created": 1_700_000_000,
        "data": {"object": subject or {"id": "ch_1", "object": "charge", "payment_intent": "pi_1"}},
    }
    return {name: value for name, value in (made | changes).items() if value is not ...}


def test_an_event_is_known_by_its_id_type_time_and_payment() -> None:
    found = read(event())
    assert (found.provider_event_id, found.type) == ("evt_1", "charge.refunded")
    assert (found.occurred_at, found.payment_id) == (1_700_000_000_000, "pi_1")


@pytest.mark.parametrize(
    ("subject", "payment_id"),
    [
        ({"id": "pi_7", "object": "payment_intent"}, "pi_7"),
        ({"id": "ch_1", "object": "charge", "payment_intent": "pi_7"}, "pi_7"),
        ({"id": "ch_1", "object": "charge", "payment_intent": {"id": "pi_7", "object": "payment_intent"}}, "pi_7"),
        ({"id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": "pi_7"}, "pi_7"),
        ({"id": "dp_1", "object": "dispute", "charge": {"id": "ch_1"}, "payment_intent": "pi_7"}, "pi_7"),
        ({"id": "cs_1", "object": "checkout.session", "payment_intent": "pi_7"}, "pi_7"),
        ({"id": "ch_1", "object": "charge", "payment_intent": None}, "ch_1"),
        ({"id": "re_1", "object": "refund", "charge": "ch_1", "payment_intent": None}, "ch_1"),
        ({"id": "fee_1", "object": "application_fee", "charge": "ch_1"}, None),
        ({"id": "in_1", "object": "invoice"}, None),
        ({"id": "ch_1", "object": "charge", "payment_intent": ""}, None),
        ({"id": "ch_1", "object": "charge", "payment_intent": "pi\x00"}, None),
        ({"id": "ch_1", "object": "charge", "payment_intent": "p" * 256}, None),
    ],
)
def test_the_payment_is_the_intent_that_the_events_object_is_or_points_to_or_the_charge_without_one(
    subject: Any, payment_id: str | None
) -> None:
    assert read(event(subject)).payment_id == payment_id


@pytest.mark.parametrize(
    "changes",
    [
        {"created": ...},
        {"created": None},
        {"created": "2024-09-17T06:20:52.246Z"},
        {"created": -5},
        {"created": 10**30},
        {"created": []},
        {"data": ...},
        {"data": None},
        {"data": []},
        {"data": {}},
        {"data": {"object": "pi_1"}},
        {"data": {"object": {"id": 5, "object": ["x"], "payment_intent": 7}}},
        {"object": "v2.core.event", "data": ..., "related_object": {"id": "meter_1"}},
        {"livemode": "perhaps", "pending_webhooks": None, "request": 5, "more": {"of": ["this"]}},
    ],
    ids=str,
)
def test_an_event_that_is_odd_elsewhere_is_understood(changes: dict[str, Any]) -> None:
    found = read(event(**changes))
    assert (found.provider_event_id, found.type) == ("evt_1", "charge.refunded")


@pytest.mark.parametrize("created", [..., None, "soon", -5, 0, 10**11, 10**30, 1.5, True])
def test_an_odd_time_is_no_time_and_never_a_wrong_one(created: Any) -> None:
    assert read(event(created=created)).occurred_at is None


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ...},
        {"id": None},
        {"id": 5},
        {"id": ""},
        {"id": "e" * 256},
        {"id": "evt\n1"},
        {"id": "evt_\ud800"},
        {"type": ...},
        {"type": None},
        {"type": ""},
        {"type": ["charge.refunded"]},
        {"type": "charge\x1b[31m"},
        {"type": "c" * 256},
    ],
    ids=ascii,
)
def test_an_event_without_a_usable_id_or_type_is_quarantined(changes: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstoodError):
        read(event(**changes))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"5",
        b'"evt_1"',
        b"[]",
        b'[{"id":"evt_1","type":"x"}]',
        b"{}",
        b'{"id":"evt_1","type":"x"',
        b'{"id":"evt_1","type":"x"} {}',
        b'{"id":"evt_1","type":"\xff"}',
        b"id=evt_1&type=x",
        b"[" * 200_000,
        b'{"a":' * 200_000,
    ],
    ids=lambda body: ascii(body[:30]),
)
def test_a_body_that_is_no_json_object_is_quarantined(body: bytes) -> None:
    with pytest.raises(NotUnderstoodError):
        read(body)


def test_an_event_that_nests_beyond_reason_is_read_or_quarantined_but_never_a_crash() -> None:
    body = b'{"id":"evt_1","type":"x","data":{"object":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    with suppress(NotUnderstoodError):
        assert read(body).provider_event_id == "evt_1"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_an_authentic_body_holds_it_is_read_or_quarantined(body: bytes) -> None:
    try:
        found = read(body)
    except NotUnderstoodError:
        return
    assert found.provider_event_id
    assert found.type


@given(JSON, JSON, JSON)
def test_whatever_surrounds_a_good_id_and_type_the_event_is_understood(created: Any, data: Any, more: Any) -> None:
    text = json.dumps(event(created=created, data=data, more=more))
    if "NaN" in text or "Infinity" in text:
        return  # no JSON
    assert read(text.encode()).provider_event_id == "evt_1"


# --- Samples of others, where they are at hand


def _others() -> list[Path]:
    return sorted(SAMPLES.glob("*.json"))


@pytest.mark.skipif(not _others(), reason=f"NO SAMPLES: {SAMPLES} is not there, Stripe's own fixtures go unread")
def test_stripes_own_objects_and_recorded_events_are_read_with_their_payment() -> None:
    read_events = 0
    for path in _others():
        found = json.loads(path.read_bytes())
        body = path.read_bytes()
        if found.get("object") != "event":
            found = event(found, id="evt_wrapped")
            body = json.dumps(found).encode()
        else:
            read_events += 1
        header = PROVIDER.sign(body, now(), "unused")["Stripe-Signature"]
        theirs = stripe.Webhook.construct_event(body, header, SECRET)
        ours = PROVIDER.read(hook(header, body))
        subject = found["data"]["object"]
        intent = subject["id"] if subject["object"] == "payment_intent" else subject.get("payment_intent")
        assert (ours.provider_event_id, ours.type) == (theirs.id, theirs.type), path.name
        assert ours.occurred_at == theirs.created * 1_000, path.name
        if intent is None and "payment_intent" in subject:
            intent = subject["id"] if subject["object"] == "charge" else subject.get("charge")
        assert ours.payment_id == (intent["id"] if isinstance(intent, dict) else intent), path.name
    assert read_events >= 2


@pytest.mark.parametrize("more", ["v1", "t", "", "v0", "garbage"])
def test_an_item_without_an_equals_sign_means_what_it_means_to_the_sdk(more: str):
    header = f"{stripe.WebhookSignature.generate_signature_header(BODY.decode(), SECRET)},{more}"
    try:
        theirs = bool(stripe.WebhookSignature.verify_header(BODY.decode(), header, SECRET, 300))
    except stripe.SignatureVerificationError:
        theirs = False
    assert ours_accepts(header) is theirs


def test_the_time_of_a_v2_event_is_read_from_its_text():
    body = b'{"id":"evt_1","object":"v2.core.event","type":"v2.core.event.ping","created":"2026-01-31T12:00:00.000Z"}'
    assert Stripe(Credentials([Secret(SECRET)])).read(Hook({}, body, 0)).occurred_at == 1_769_860_800_000
