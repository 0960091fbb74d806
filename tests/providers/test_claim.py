"""What is shown of a refused hook's signature: enough to see what is wrong with it, and never the signature."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.application import KINDS, body_of, now_s, sent, source_of
from webhookd.core.event import Hook
from webhookd.core.units import time_text
from webhookd.providers.provider import TOLERANCE_S, Verified


def hook(kind: str, headers: Mapping[str, str]) -> Hook:
    return Hook({name.lower(): value for name, value in headers.items()}, body_of(kind), 0)


def signed(kind: str) -> dict[str, str]:
    return {name.lower(): value for name, value in sent(kind, now_s()).items()}


@pytest.mark.parametrize("kind", KINDS)
def test_no_part_of_a_signature_is_in_what_is_shown_of_it(kind: str):
    headers = signed(kind)
    claim = source_of(kind).claim(hook(kind, headers))
    shown = " ".join(looks for _, looks in claim.headers)
    for name, value in headers.items():
        if name in dict(claim.headers) and name not in (
            "paypal-cert-url",
            "paypal-auth-algo",
            "paypal-transmission-time",
        ):
            parts = [part for part in value.replace(",", " ").replace("=", " ").split() if len(part) >= 12]
            assert not [part for part in parts if part in shown], name


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_shown_names_every_header_that_a_verdict_takes(kind: str):
    """So that a hook of which only these are kept can be judged again."""
    headers, provider = signed(kind), source_of(kind)
    names = {name for name, _ in provider.claim(hook(kind, headers)).headers}
    whole = provider.verify(hook(kind, headers), now_s(), {})
    kept = provider.verify(hook(kind, {name: headers[name] for name in names}), now_s(), {})
    assert type(kept) is type(whole)
    assert not isinstance(kept, Verified) or kept == whole


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_without_a_signature_claims_nothing(kind: str):
    claim = source_of(kind).claim(hook(kind, {"content-type": "application/json"}))
    assert (list(claim.headers), claim.at_ms) == ([], None)


def test_a_stripe_signature_shows_its_time_and_its_shape():
    headers = {"stripe-signature": f"t=1795268750,v1={'a' * 64},v0={'b' * 63}x"}
    claim = source_of("stripe").claim(hook("stripe", headers))
    assert claim.headers == [("stripe-signature", "t=1795268750,v1=64 hex,v0=64 base64")]
    assert claim.at_ms == 1_795_268_750_000


def test_a_standard_signature_shows_each_of_its_headers():
    headers = signed("standard")
    headers["webhook-timestamp"] = "1795268750"
    claim = source_of("standard").claim(hook("standard", headers))
    shown = dict(claim.headers)
    assert shown["webhook-timestamp"] == "1795268750"
    assert shown["webhook-signature"] == "v1,44 base64"
    assert claim.at_ms == 1_795_268_750_000


def test_a_secret_that_is_sent_as_it_is_is_not_shown_though_it_be_short_and_a_number():
    claim = source_of("flutterwave").claim(hook("flutterwave", {"verif-hash": "123456"}))
    assert claim.headers == [("verif-hash", "6 hex")]


@pytest.mark.parametrize("kind", KINDS)
@given(st.data())
@settings(max_examples=40)
def test_whatever_a_header_says_it_is_shown_short_and_printable_or_as_it_is_named(kind: str, data: st.DataObject):
    """Header bytes that are not text arrive as lone surrogates; times may be of any century."""
    provider = source_of(kind)
    names = [name for name, _ in provider.claim(hook(kind, signed(kind))).headers]
    texts = st.text(st.characters() | st.just("\udcff"), max_size=80) | st.from_regex(
        r"(t=|v1[=,])?[0-9]{1,14}", fullmatch=True
    )
    headers = {name: data.draw(texts, name) for name in names}
    claim = provider.claim(hook(kind, headers))
    for _, looks in claim.headers:
        assert looks.isprintable(), looks
        assert len(looks) <= 160
    assert claim.at_ms is None or time_text(claim.at_ms)


def test_the_window_that_advice_speaks_of_is_the_one_that_is_kept():
    assert TOLERANCE_S == 300
