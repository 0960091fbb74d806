"""A key in PayPal's place, and what a source that trusts it is answered when it asks for the certificate."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from webhookd.core.event import Hook
from webhookd.core.secret import Secret
from webhookd.providers.paypal import PayPal
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.providers.provider import Needs, Provider, Request, Verdict
from webhookd.sandbox import paypal_keys
from webhookd.sandbox.dev import dev_credentials

MADE_AT_S = 1_700_000_000


@cache
def _signing_keys() -> list[str]:
    return [paypal_keys.new_signing_key(datetime.fromtimestamp(MADE_AT_S, UTC)) for _ in range(2)]


def signing_key(number: int = 0) -> str:
    """One of two keys, with its certificates; valid for ten years from MADE_AT_S on."""
    return _signing_keys()[number]


@cache
def _rooms() -> list[PayPal]:
    return [PayPal(dev_credentials("paypal", Secret(key))) for key in _signing_keys()]


def paypal(number: int = 0) -> PayPal:
    """A source that signs with the key, and trusts the key's authority only."""
    return _rooms()[number]


def at_home(number: int = 0) -> dict[str, bytes]:
    """What is answered where the certificate of the key is said to be."""
    return {HOME_CERT_URL: paypal_keys.certificate(signing_key(number))}


def judged(room: Provider, hook: Hook, now_s: int, answers: Mapping[str, bytes]) -> Verdict:
    """The verdict, with the answers by URL; or what is needed beyond them."""
    evidence: dict[Request, bytes] = {}
    verdict = room.verify(hook, now_s, evidence)
    while isinstance(verdict, Needs) and verdict.request not in evidence and verdict.request.url in answers:
        evidence[verdict.request] = answers[verdict.request.url]
        verdict = room.verify(hook, now_s, evidence)
    return verdict
