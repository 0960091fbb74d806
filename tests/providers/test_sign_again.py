"""A stored event signed as its provider signs, so that an application's check passes unchanged, days later too."""

import base64
from collections.abc import Mapping

import pytest

from tests.application import BODIES, CHECKS, KINDS, PROVIDER_OF, SECRETS, TIMED, body_of, now_s, sent, source_of
from tests.making import event
from webhookd.core.event import Event, Hook
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS, sign_again, why_it_cannot_sign_again
from webhookd.providers.paypal import PayPal
from webhookd.providers.provider import CannotSignError, Credentials, Provider
from webhookd.providers.standard import Standard

THREE_DAYS_S = 3 * 86_400


def stored(kind: str, headers: Mapping[str, str] | None = None) -> Event:
    """What is in the log of a hook that came three days ago: the few headers that are kept."""
    provider = source_of(kind)
    came = headers if headers is not None else sent(kind, now_s() - THREE_DAYS_S)
    kept = [(name, value) for name, value in came.items() if name in provider.kept_headers]
    return event(source="shop", provider=provider.name, headers=kept, body=body_of(kind))


def signed(kind: str, kept: Event) -> dict[str, str]:
    found = sign_again({"shop": source_of(kind)}, kept, now_s())
    assert found is not None
    return {name.lower(): value for name, value in found.items()}


def test_every_provider_has_its_application() -> None:
    assert {PROVIDER_OF.get(kind, kind) for kind in KINDS} == PROVIDERS.keys()
    assert CHECKS.keys() == BODIES.keys() == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_applications_check_passes_three_days_later(kind: str) -> None:
    CHECKS[kind](signed(kind, stored(kind)), body_of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_that_check_can_fail(kind: str) -> None:
    headers = signed(kind, stored(kind))
    for name in headers.keys() - {"x-razorpay-event-id", "paypal-cert-url", "paypal-auth-algo"}:
        changed = "x" if name == "verif-hash" else headers[name][:-3] + "AA="
        with pytest.raises(Exception):  # noqa: B017 - each library has its own
            CHECKS[kind]({**headers, name: changed}, body_of(kind))


@pytest.mark.parametrize("kind", sorted(TIMED))
def test_with_the_headers_of_three_days_ago_it_would_not_pass(kind: str) -> None:
    with pytest.raises(Exception, match=r"(?i)timestamp|too old|tolerance"):
        CHECKS[kind](sent(kind, now_s() - THREE_DAYS_S), body_of(kind))
    CHECKS[kind](sent(kind, now_s()), body_of(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_the_event_that_is_read_is_the_same_one(kind: str) -> None:
    came = stored(kind)
    provider = source_of(kind)
    before = provider.read(Hook(dict(came.headers), came.body, 0))
    again = provider.read(Hook(signed(kind, came), came.body, 0))
    assert again.provider_event_id == before.provider_event_id


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_of_who_sends_it(kind: str) -> None:
    """The headers are those that the check needs; the agent is us."""
    assert "user-agent" not in signed(kind, stored(kind))


def test_a_source_that_is_gone_or_another_providers_now_signs_nothing() -> None:
    kept = stored("stripe")
    assert sign_again({}, kept, now_s()) is None
    assert sign_again({"shop": source_of("paystack")}, kept, now_s()) is None
    assert sign_again({"other": source_of("stripe")}, kept, now_s()) is None


def pointed_at(kind: str, *secrets: str) -> Provider:
    scheme = "verif-hash" if kind == "flutterwave-v3" else None
    return PROVIDERS[PROVIDER_OF.get(kind, kind)](Credentials([Secret(each) for each in secrets], scheme))


@pytest.mark.parametrize("kind", sorted(SECRETS.keys() - {"flutterwave-v3"}))
def test_an_event_that_came_with_a_secret_that_is_gone_is_not_signed_with_another(kind: str) -> None:
    kept, live = stored(kind), SECRETS["svix" if kind != "svix" else "standard"]
    assert sign_again({"shop": pointed_at(kind, live)}, kept, now_s()) is None
    assert sign_again({"shop": pointed_at(kind, live, SECRETS[kind])}, kept, now_s()) is not None, "while it is rotated"


def test_a_body_that_a_plain_secret_came_with_is_not_signed() -> None:
    kept = stored("flutterwave-v3")
    assert sign_again({"shop": pointed_at("flutterwave", SECRETS["flutterwave-v3"])}, kept, now_s()) is None


@pytest.mark.parametrize("kind", ["paypal", "standard", "svix", "dodo"])
def test_what_cannot_be_made_up_must_have_been_kept(kind: str) -> None:
    assert sign_again({"shop": source_of(kind)}, stored(kind, {}), now_s()) is None


def test_of_paypals_headers_every_one_is_needed() -> None:
    came = sent("paypal", 0)
    for name in source_of("paypal").kept_headers:
        assert sign_again({"shop": source_of("paypal")}, stored("paypal", {**came, name: came[name]}), 0) is not None
        without = {each: value for each, value in came.items() if each != name}
        assert sign_again({"shop": source_of("paypal")}, stored("paypal", without), 0) is None


def test_razorpays_event_id_is_left_out_where_none_came() -> None:
    came = {name: value for name, value in sent("razorpay", 0).items() if name != "x-razorpay-event-id"}
    assert signed("razorpay", stored("razorpay", came)).keys() == {"x-razorpay-signature"}


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_can_verify_can_sign_again_without_more(kind: str) -> None:
    assert why_it_cannot_sign_again(source_of(kind)) is None
    assert why_it_cannot_sign_again(PayPal(Credentials(webhook_id=Secret("4JH86294D6297924G")))) is None


def test_but_for_a_source_of_public_keys_alone() -> None:
    public = Secret("whpk_" + base64.b64encode(bytes(32)).decode())
    verifies_only = Standard(Credentials([public]))
    assert "public keys only" in str(why_it_cannot_sign_again(verifies_only))
    with pytest.raises(CannotSignError):
        verifies_only.sign(b"", 0, "msg_1")
    assert sign_again({"shop": verifies_only}, stored("standard"), 0) is None
    assert why_it_cannot_sign_again(Standard(Credentials([public, Secret(SECRETS["standard"])]))) is None
