"""Bad-input catalogue, rows 5 to 11 and 59: what is not signed as it should be is refused, and told nothing."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from tests.receive.conftest import NEXT_SECRET, OTHER_SECRET
from tests.receive.wire import (
    Answer,
    Headers,
    ask,
    assert_problem,
    event,
    new_address,
    post,
    standard,
    standard_v1,
    stripe,
    stripe_v1,
)
from tests.running import RunningDaemon

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.fault(52)]

BODY = event("evt_never_accepted")
WRONG = "0" * 64


def now(offset: int = 0) -> str:
    return str(int(time.time()) + offset)


def stripe_signed(timestamp: str) -> Headers:
    """Rightly signed for a timestamp that may be anything."""
    stamp = timestamp.encode()
    return {"Stripe-Signature": b"t=%b,v1=%b" % (stamp, stripe_v1(BODY, stamp).encode())}


def standard_signed(timestamp: str, message_id: str = "msg_never") -> Headers:
    return {
        "webhook-id": message_id.encode(),
        "webhook-timestamp": timestamp.encode(),
        "webhook-signature": standard_v1(BODY, message_id, timestamp),
    }


def standard_with(name: str, value: str | bytes | None) -> Headers:
    """Rightly signed but for one header, which is another or (None) missing."""
    headers = standard(BODY, "msg_never")
    del headers[name]
    return headers if value is None else {**headers, name: value}


def cut_last(headers: Headers) -> Headers:
    """The signature, which is the last header, one character short."""
    *_, name = headers
    return {**headers, name: headers[name][:-1]}


ODD_TIMESTAMPS = ["", "NaN", "-1", "1" + "0" * 30, "{now}.5", "+{now}", "{now}e0", "0x{now}", "1_{now}", "{unicode}"]


def odd_timestamp(form: str) -> str:
    unicode_digits = now().translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
    return form.format(now=now(), unicode=unicode_digits)


REFUSED_STRIPE: dict[str, Callable[[], Headers]] = {
    "row 5: no header": dict,
    "row 5: an empty header": lambda: {"Stripe-Signature": ""},
    "row 6: a wrong digest": lambda: {"Stripe-Signature": f"t={now()},v1={WRONG}"},
    "row 6: a truncated digest": lambda: cut_last(stripe(BODY)),
    "row 6: an upper-case digest": lambda: {"Stripe-Signature": f"t={now()},v1={stripe_v1(BODY, now()).upper()}"},
    "row 6: no digest": lambda: {"Stripe-Signature": f"t={now()}"},
    "row 6: an empty digest": lambda: {"Stripe-Signature": f"t={now()},v1="},
    "row 6: not text": lambda: {"Stripe-Signature": b"t=%b,v1=\xff\xfe\xed\xa0\x80" % now().encode()},
    "row 6: another scheme": lambda: {"Stripe-Signature": f"t={now()},v0={stripe_v1(BODY, now())}"},
    "row 6: another timestamp": lambda: {"Stripe-Signature": f"t={now(-9)},v1={stripe_v1(BODY, now())}"},
    "row 6: another body": lambda: stripe(BODY + b" "),
    "row 6: only commas": lambda: {"Stripe-Signature": "," * 4_000},
    "row 9: 301 seconds old": lambda: stripe(BODY, at=int(now(-301))),
    "row 9: in the future": lambda: stripe(BODY, at=int(now(900))),
    "row 10: no timestamp": lambda: {"Stripe-Signature": f"v1={stripe_v1(BODY, now())}"},
    **{
        f"row 10: timestamp {form!r}": lambda form=form: stripe_signed(odd_timestamp(form))  # type: ignore[misc]
        for form in [*ODD_TIMESTAMPS, " {now}"]
    },
    "row 11: another source's secret": lambda: stripe(BODY, OTHER_SECRET),
    "row 11: another provider's signature": lambda: standard(BODY, "msg_never"),
}
REFUSED_STANDARD: dict[str, Callable[[], Headers]] = {
    "row 5: no headers": dict,
    "row 5: no id": lambda: standard_with("webhook-id", None),
    "row 5: no timestamp": lambda: standard_with("webhook-timestamp", None),
    "row 5: no signature": lambda: standard_with("webhook-signature", None),
    "row 6: a wrong digest": lambda: standard_with("webhook-signature", "v1," + "A" * 43 + "="),
    "row 6: a truncated digest": lambda: cut_last(standard(BODY, "msg_never")),
    "row 6: no version": lambda: standard_with("webhook-signature", standard_v1(BODY, "msg_never", now())[3:]),
    "row 6: a version nobody configured": lambda: standard_with(
        "webhook-signature", standard_v1(BODY, "msg_never", now()).replace("v1,", "v1a,")
    ),
    "row 6: not text": lambda: standard_with("webhook-signature", b"v1,\xff\xfe\xed\xa0\x80"),
    "row 6: another body": lambda: standard(BODY + b" ", "msg_never"),
    "row 6: another message's id": lambda: standard_with("webhook-id", "msg_other"),
    "row 6: an id that moves the first dot": lambda: standard_signed(now(), "msg.never"),
    "row 6: an id that is not ASCII": lambda: standard_signed(now(), "msg_ü"),
    "row 6: an id that is empty": lambda: standard_signed(now(), ""),
    "row 6: an id that is too long": lambda: standard_signed(now(), "m" * 256),
    "row 9: 301 seconds old": lambda: standard(BODY, "msg_never", at=int(now(-301))),
    "row 9: in the future": lambda: standard(BODY, "msg_never", at=int(now(900))),
    **{
        f"row 10: timestamp {form!r}": lambda form=form: standard_signed(odd_timestamp(form))  # type: ignore[misc]
        for form in ODD_TIMESTAMPS
    },
    "row 11: another provider's signature": lambda: stripe(BODY),
}


@pytest.mark.parametrize("headers", REFUSED_STRIPE.values(), ids=REFUSED_STRIPE.keys())
async def test_what_stripe_has_not_signed_is_refused(receiver: RunningDaemon, headers: Callable[[], Headers]) -> None:
    """Rows 5, 6, 9, 10, 11."""
    assert_problem(await ask(receiver.port, post("stripe", BODY, headers()), address=new_address()), 401)


@pytest.mark.parametrize("headers", REFUSED_STANDARD.values(), ids=REFUSED_STANDARD.keys())
async def test_what_standard_webhooks_has_not_signed_is_refused(
    receiver: RunningDaemon, headers: Callable[[], Headers]
) -> None:
    """Rows 5, 6, 9, 10, 11."""
    assert_problem(await ask(receiver.port, post("standard", BODY, headers()), address=new_address()), 401)


async def test_the_answer_to_a_forger_does_not_say_what_was_wrong(receiver: RunningDaemon) -> None:
    """Rows 5 to 11: one and the same answer, to the byte."""
    answers = set()
    for source, refused in (("stripe", REFUSED_STRIPE), ("standard", REFUSED_STANDARD)):
        for headers in refused.values():
            answers.add((await ask(receiver.port, post(source, BODY, headers()), address=new_address())).raw)
    assert len(answers) == 1, answers


async def test_a_body_that_is_not_even_json_is_not_looked_at_before_its_signature(receiver: RunningDaemon) -> None:
    """Unsigned rubbish is a matter of the signature, whatever else is wrong with it."""
    for body in (b"", b"{", b"\xff", b"[" * 30_000):
        answer = await ask(receiver.port, post("stripe", body, {"Stripe-Signature": f"t={now()},v1={WRONG}"}))
        assert_problem(answer, 401)


async def test_a_megabyte_of_signature_is_refused_and_the_daemon_lives_on(receiver: RunningDaemon) -> None:
    """Row 6, its last. The connection may be cut before the answer is read: we are still sending."""
    answer: Answer | None = None
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        answer = await ask(receiver.port, post("stripe", BODY, {"Stripe-Signature": "t=1,v1=" + "a" * 2**20}))
    if answer is not None:
        assert_problem(answer, 400)
    assert (await ask(receiver.port, b"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200


async def test_one_good_signature_among_bad_ones_is_enough(receiver: RunningDaemon) -> None:
    """Row 7."""
    stamp = now()
    body = event("evt_row_7")
    several = f"t={stamp},v1={WRONG},v0=abc,v1={stripe_v1(body, stamp)},v1={WRONG[1:]}"
    answer = await ask(receiver.port, post("stripe", body, {"Stripe-Signature": several}))
    assert answer.json()["status"] == "accepted"

    signed = standard(body, "msg_row_7", at=int(stamp))
    signed["webhook-signature"] = f"v1,AAAA v1a,BBBB {signed['webhook-signature']!s} v2,CCCC"
    answer = await ask(receiver.port, post("standard", body, signed))
    assert answer.json()["status"] == "accepted"


async def test_any_of_a_sources_secrets_will_do_while_they_are_rotated(receiver: RunningDaemon) -> None:
    """Row 7: two secrets are active."""
    body = event("evt_rotated")
    answer = await ask(receiver.port, post("rotating", body, stripe(body)))
    assert answer.json()["status"] == "accepted"
    answer = await ask(receiver.port, post("rotating", body, stripe(body, NEXT_SECRET)))
    assert answer.json()["status"] == "duplicate"


async def test_one_providers_event_is_new_to_another_source(receiver: RunningDaemon) -> None:
    """Row 11, its other side: ids are a source's own."""
    body = event("evt_in_two_sources")
    assert (await ask(receiver.port, post("stripe", body, stripe(body)))).json()["status"] == "accepted"
    answer = await ask(receiver.port, post("other", body, stripe(body, OTHER_SECRET)))
    assert answer.json()["status"] == "accepted"


async def test_the_svix_names_of_the_headers_are_understood(receiver: RunningDaemon) -> None:
    body = event("evt_svix")
    headers = {name.replace("webhook-", "svix-"): value for name, value in standard(body, "msg_svix").items()}
    assert (await ask(receiver.port, post("standard", body, headers))).json()["status"] == "accepted"
