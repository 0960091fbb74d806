"""What all providers' hooks have in common, on a real daemon: forgeries leave nothing, oddities are kept, not lost."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.receive.wire import Answer, ask, new_address, post
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS, reread
from webhookd.providers.provider import Provider
from webhookd.sandbox.dev import dev_credentials
from webhookd.sandbox.samples import sample
from webhookd.store.sqlite.audit import audit

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(52)]

SAMPLES = {
    "stripe": ["payment_intent.succeeded", "charge.refunded", "charge.dispute.created", "checkout.session.completed"],
    "paypal": ["PAYMENT.CAPTURE.COMPLETED", "PAYMENT.CAPTURE.REFUNDED", "CUSTOMER.DISPUTE.CREATED"],
    "flutterwave": ["charge.completed", "transfer.disburse"],
    "paystack": ["charge.success", "refund.processed", "charge.dispute.create", "transfer.success"],
    "razorpay": ["payment.captured", "refund.processed", "payment.dispute.created", "payment.downtime.started"],
    "standard": ["payment.succeeded", "refund.succeeded", "dispute.opened", "subscription.active"],
}
TIMED = {"stripe", "standard"}
"""Whose signature holds its time. PayPal's does too, but it has no tolerance (see its room)."""
dice = Random(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    """Must not have said that anything failed, and must hold all its promises, after all that was sent to it."""
    async with dev_daemon(tmp_path_factory.mktemp("every")) as dev:
        yield dev
        assert await dev.running.stop() == 0
        assert not [line for line in dev.running.log if line.get("level") == "error"]
        assert list(audit(dev.data_dir / "webhookd.db", reread)) == []


def signer(dev: DevDaemon, provider: str, secret: str | None = None) -> Provider:
    return PROVIDERS[provider](dev_credentials(provider, Secret(secret or dev.secret(provider))))


def hook(dev: DevDaemon, provider: str, number: int = 0) -> tuple[bytes, dict[str, str]]:
    """A fresh sample, and its headers."""
    body = sample(provider, SAMPLES[provider][number], int(time.time()), dice)
    return body, signed(dev, provider, body)


def signed(dev: DevDaemon, provider: str, body: bytes, at_s: float | None = None) -> dict[str, str]:
    message_id = f"msg_{dice.getrandbits(64):x}"
    headers = signer(dev, provider).sign(body, int(at_s or time.time()), message_id)
    return {"Content-Type": "application/json", **headers}


async def send(dev: DevDaemon, provider: str, body: bytes, headers: dict[str, str]) -> Answer:
    return await ask(dev.running.port, post(provider, body, headers), address=new_address())


async def log_length(dev: DevDaemon) -> int:
    page = await dev.get("/api/v1/events", limit="500")
    assert page["next_cursor"] is None
    return len(page["data"])


async def test_all_providers_are_here() -> None:
    assert SAMPLES.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("provider", SAMPLES)
async def test_a_hook_is_accepted_once_and_known_again(dev: DevDaemon, provider: str) -> None:
    body, headers = hook(dev, provider)
    first = await send(dev, provider, body, headers)
    assert (first.status, first.json()["status"]) == (200, "accepted"), first.raw
    again = await send(dev, provider, body, headers)
    assert again.json() == {"status": "duplicate", "event_id": first.json()["event_id"]}


def other_secret(provider: str, secret: str) -> str:
    """One of the same kind that is not the source's."""
    return {"standard": "whsec_" + "B" * 43 + "="}.get(provider, "another " + secret)


def forgeries(dev: DevDaemon, provider: str) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    body, headers = hook(dev, provider)
    if provider != "paypal":  # whose secret is a key pair; its room's tests sign with a stranger's
        stranger = signer(dev, provider, other_secret(provider, dev.secret(provider)))
        yield "wrong secret", body, stranger.sign(body, int(time.time()), "msg_1")
    yield "changed body", body.replace(b"1", b"2", 1), headers
    yield "one more byte", body + b" ", headers
    yield "truncated body", body[:-1], headers
    yield "empty body", b"", headers
    needed = [
        name for name in headers if name.lower() in PROVIDERS[provider].kept_headers and "event-id" not in name.lower()
    ]
    assert needed
    for name in needed:
        yield f"without {name}", body, {each: value for each, value in headers.items() if each != name}
        yield f"empty {name}", body, {**headers, name: ""}
        yield f"odd {name}", body, {**headers, name: ";,=|" * 20}
    if provider in TIMED:
        for age in (-400, 400):
            yield f"{age} s away", body, signed(dev, provider, body, time.time() + age)
    for other in SAMPLES.keys() - {provider}:
        yield f"signed by {other}", body, signed(dev, other, body)


@pytest.mark.parametrize("provider", SAMPLES)
async def test_whatever_is_not_signed_by_the_provider_is_401_and_leaves_nothing(dev: DevDaemon, provider: str) -> None:
    before = await log_length(dev)
    answers = set()
    for what, body, headers in forgeries(dev, provider):
        answer = await send(dev, provider, body, headers)
        assert answer.status == 401, (what, answer.raw)
        answers.add(answer.body)
    assert len(answers) == 1, "the answer tells a forger what was wrong"
    assert await log_length(dev) == before


ODD: list[Any] = [
    [],
    ["a"],
    {},
    {"a": []},
    None,
    True,
    "",
    "x" * 300,
    "12",
    "-1",
    "1e5",
    -1,
    0,
    1.5,
    10**30,
    "\u0000",
    "no such state",
]
HUGE = '"@huge@"'


def leaves(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from leaves(value, (*path, key))


def changed(event: Any, path: tuple[Any, ...], value: Any) -> bytes:
    copy = json.loads(json.dumps(event))
    at = copy
    for key in path[:-1]:
        at = at[key]
    if value is ODD:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return json.dumps(copy).replace(HUGE, "9" * 5_000).encode()


@pytest.mark.parametrize("provider", SAMPLES)
async def test_what_is_authentic_but_odd_is_kept_and_answered_200(dev: DevDaemon, provider: str) -> None:
    """Every field in turn is missing, or something it never is; the ledger may take it or leave it."""
    for number in range(len(SAMPLES[provider])):
        event = json.loads(sample(provider, SAMPLES[provider][number], int(time.time()), dice))
        for path in leaves(event):
            value = dice.choice([*ODD, "@huge@", ODD])
            body = changed(event, path, value)
            answer = await send(dev, provider, body, signed(dev, provider, body))
            assert answer.status == 200, (path, value if value is not ODD else "missing", answer.raw)
            assert answer.json()["status"] in ("accepted", "duplicate", "quarantined")
