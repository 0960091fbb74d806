"""What is remembered of refused hooks: enough, and never more."""

import re
import tracemalloc
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.fake_clock import FakeClock
from tests.receive.inside import receiving
from tests.receive.wire import ask, event, head, new_address, post, standard, stripe, stripe_v1
from tests.running import STRIPE_SECRET
from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials
from webhookd.providers.stripe import Stripe
from webhookd.receive.bad_signatures import BURST
from webhookd.receive.refusals import (
    ALL_MAX,
    PATH_CHARS_MAX,
    REFUSALS_MAX,
    TEXT_CHARS_MAX,
    TRIED_BYTES_MAX,
    TRIED_MAX,
    TRIED_S,
    TRIED_SOURCES_MAX,
    Refusals,
)

pytestmark = pytest.mark.fault(51, 52)

STRIPE = Stripe(Credentials([Secret(STRIPE_SECRET)]))
HOSTILE = "\x1b]0;x\x07<script>\u202e"


def hook(number: int = 0, size: int = 2) -> Hook:
    signature = f"t=1800000000,v1={number:064x}"
    return Hook({"stripe-signature": signature, "cookie": "not to be kept"}, b"x" * size, 1_800_000_000_000 + number)


def noted(refusals: Refusals, source: str | None = "stripe", found: Hook | None = None, **more: Any) -> None:
    request = make_mocked_request("POST", more.pop("path", f"/webhooks/{source}"), headers=more.pop("headers", {}))
    refusals.note(request, source, more.pop("reason", "wrong_signature"), 401, found, STRIPE if found else None)


def later(clock: FakeClock, seconds: float) -> None:
    clock.call_later(seconds, lambda: None)
    clock.advance_to_next_timer()


# --- As hooks come

REASONS = {
    "no_signature": {},
    "malformed_signature": {"Stripe-Signature": "v1=00"},
    "wrong_signature": {"Stripe-Signature": f"t=1700000000,v1={'0' * 64}"},
    "stale_timestamp": {"Stripe-Signature": f"t=1699999000,v1={stripe_v1(b'{}', '1699999000')}"},
}


@pytest.mark.parametrize("reason", REASONS)
async def test_the_reason_is_remembered_and_the_sender_is_told_none_of_it(reason: str):
    """The clock stands at 1,700,000,000 s."""
    async with receiving() as inside:
        answer = await ask(inside.port, post("stripe", b"{}", {**REASONS[reason]}), address=new_address())
        other = await ask(inside.port, post("stripe", b"{}", {"Stripe-Signature": "x"}), address=new_address())
        assert answer.raw == other.raw
        _, found = inside.refusals
    assert (found.reason, found.status, found.source, found.method, found.size) == (reason, 401, "stripe", "POST", 2)
    if reason == "stale_timestamp":
        assert found.signed_at == 1_699_999_000_000
        assert list(found.signature) == [("stripe-signature", "t=1699999000,v1=64 hex")]


async def test_a_good_hook_leaves_nothing_behind():
    async with receiving() as inside:
        body = event("evt_good")
        for source, headers in (
            ("stripe", stripe(body, at=1_700_000_000)),
            ("standard", standard(body, "msg_1", at=1_700_000_000)),
        ):
            assert (await ask(inside.port, post(source, body, headers))).status == 200
        assert (list(inside.refusals), inside.refusals.count) == ([], 0)
        assert not inside.refusals.to_try("stripe")


async def test_what_is_refused_before_its_body_is_read_is_remembered_too():
    async with receiving(body_bytes_max=10) as inside:
        await ask(inside.port, head("GET /webhooks/stripe HTTP/1.1"))
        await ask(inside.port, head("POST /webhooks/stripe HTTP/1.1", {"Content-Length": "11"}))
        await ask(inside.port, head("POST /webhooks/nobody?secret=1 HTTP/1.1", {"Content-Length": "0"}))
        inside.unready = "it is full"
        await ask(inside.port, post("stripe", b"{}", {}))
        found = [(each.source, each.reason, each.status, each.path, each.sha256) for each in inside.refusals]
    assert found == [
        ("stripe", "unready", 503, "/webhooks/stripe", None),
        (None, "unknown_source", 404, "/webhooks/nobody", None),
        ("stripe", "too_large", 413, "/webhooks/stripe", None),
        ("stripe", "method", 405, "/webhooks/stripe", None),
    ]


async def test_beyond_what_one_address_may_send_nothing_more_is_remembered():
    async with receiving() as inside:
        answers = [(await ask(inside.port, post("stripe", b"{}", {}))).status for _ in range(BURST + 5)]
        assert answers.count(429) == 5
        assert inside.refusals.count == BURST


async def test_another_providers_signature_is_named_and_not_looked_into():
    async with receiving() as inside:
        await ask(inside.port, post("stripe", b"{}", {"X-Razorpay-Signature": "ab" * 32, "X-Other": "y"}))
        (found,) = inside.refusals
    assert dict(found.signature) == {"x-razorpay-signature": "there, and means nothing here"}


# --- Bounds


def test_of_a_source_the_newest_are_remembered():
    refusals = Refusals(FakeClock())
    for number in range(REFUSALS_MAX + 7):
        noted(refusals, found=hook(number))
    assert [each.number for each in refusals] == [*range(REFUSALS_MAX + 7, 7, -1)]


def test_all_sources_together_have_a_bound_and_whoever_has_most_gives():
    refusals = Refusals(FakeClock())
    noted(refusals, "quiet", hook())
    for number in range(40 * REFUSALS_MAX):
        noted(refusals, f"source-{number % 40}", hook())
    found = list(refusals)
    assert len(found) == ALL_MAX
    assert "quiet" in {each.source for each in found}


def test_sources_that_are_not_there_have_one_place_together_however_they_are_called():
    refusals = Refusals(FakeClock())
    for number in range(100):
        noted(refusals, None, path=f"/webhooks/made-up-{number}", reason="unknown_source")
    assert len(list(refusals)) == REFUSALS_MAX


def test_a_flood_of_large_bad_hooks_costs_no_memory_to_speak_of():
    refusals = Refusals(FakeClock())
    request = make_mocked_request("POST", "/webhooks/source")

    def flooded(hooks: int) -> None:
        for number in range(hooks):
            for size in (TRIED_BYTES_MAX - 500, 2**20):
                refusals.note(request, f"source-{number % 10}", "wrong_signature", 401, hook(number, size), STRIPE)

    flooded(50)
    tracemalloc.start()
    try:
        flooded(200)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 10 * TRIED_MAX * TRIED_BYTES_MAX + 2**20


def test_texts_are_short_and_steer_nothing():
    refusals = Refusals(FakeClock())
    headers = {"User-Agent": HOSTILE * 100, "Content-Type": "\x85" * 500, "X-Signature" + "y" * 500: "1"}
    noted(refusals, None, path="/webhooks/" + HOSTILE * 50, headers=headers)
    (found,) = refusals
    assert found.user_agent is not None
    assert found.content_type is not None
    texts = [found.user_agent, found.content_type, *(name for name, _ in found.signature)]
    assert all(text.isprintable() for text in (*texts, found.path))
    assert max(map(len, texts)) <= TEXT_CHARS_MAX
    assert len(found.path) <= PATH_CHARS_MAX


@pytest.mark.fault(53)
@pytest.mark.parametrize("card", ["4242424242424242", "5555 5555 5555 4444", "3782-822463-10005"])
@pytest.mark.parametrize("before", [0, PATH_CHARS_MAX - 12, TEXT_CHARS_MAX - 10])
def test_a_card_number_is_not_remembered_wherever_it_stands(card: str, before: int):
    refusals = Refusals(FakeClock())
    headers = {"User-Agent": "x" * before + f" {card} y", "Content-Type": f"text/plain; {card}"}
    noted(refusals, None, path="/" + "x" * before + f"/{card.replace(' ', '+')}/", headers=headers)
    (found,) = refusals
    for text in (found.path, found.user_agent, found.content_type):
        assert text is not None
        assert len(re.sub(r"\D", "", text)) < 13, text


# --- What is kept whole


def test_only_the_newest_with_a_wrong_signature_are_kept_whole_and_only_what_a_verdict_takes_of_their_headers():
    refusals = Refusals(FakeClock())
    for number in range(TRIED_MAX + 2):
        noted(refusals, found=hook(number))
        noted(refusals, found=hook(number), reason="stale_timestamp")
    kept = refusals.to_try("stripe")
    assert [each.received_at % 100 for each in kept] == [4, 3, 2]
    assert {name for each in kept for name in each.headers} == {"stripe-signature"}
    assert not refusals.to_try("another")


def test_what_is_too_large_is_not_kept():
    refusals = Refusals(FakeClock())
    noted(refusals, found=hook(0, TRIED_BYTES_MAX + 1))
    assert not refusals.to_try("stripe")
    assert len(list(refusals)) == 1


async def test_after_an_hour_nothing_is_kept_whole():
    clock = FakeClock()
    refusals = Refusals(clock)
    noted(refusals, found=hook(1))
    later(clock, TRIED_S / 2)
    noted(refusals, found=hook(2))
    later(clock, TRIED_S / 2)
    await refusals.forget_old()
    assert [each.received_at % 100 for each in refusals.to_try("stripe")] == [2]
    later(clock, TRIED_S / 2)
    await refusals.forget_old()
    assert not refusals.to_try("stripe")
    assert len(list(refusals)) == 2


def test_of_very_many_sources_those_that_were_refused_last_are_kept_whole():
    refusals = Refusals(FakeClock())
    for number in range(TRIED_SOURCES_MAX + 1):
        noted(refusals, f"source-{number}", hook())
    assert not refusals.to_try("source-0")
    assert refusals.to_try("source-1")
