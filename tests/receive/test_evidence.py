"""A provider that must see something from outside before it can judge, as PayPal must see a certificate."""

import pytest

from tests.receive.inside import Log
from webhookd.core.event import Appended, Hook, Reading
from webhookd.core.identifier import KeyMint
from webhookd.providers.provider import VERIFIED, Evidence, Needs, Refused, Request, Verdict
from webhookd.receive.intake import EvidenceUnavailableError, Intake, Source

CERTIFICATE = Request("https://provider.example/certificate")


class Certified:
    """Accepts what the certificate names."""

    name = "certified"
    kept_headers = ("certified-signature",)
    event_types = frozenset({"payment.made"})

    def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
        if CERTIFICATE not in evidence:
            return Needs(CERTIFICATE)
        return VERIFIED if evidence[CERTIFICATE] in hook.body else Refused("wrong_signature")

    def read(self, hook: Hook) -> Reading:
        return Reading("evt_1", "payment.made")

    def sign(self, body: bytes, now_s: int, message_id: str) -> dict[str, str]:
        return {}


def intake(log: Log, fetched: list[Request], certificate: bytes | None) -> Intake:
    async def fetch(url: Request) -> bytes:
        fetched.append(url)
        if certificate is None:
            raise EvidenceUnavailableError
        return certificate

    return Intake(log, KeyMint(), lambda: 1, fetch)


@pytest.mark.parametrize(("certificate", "accepted"), [(b"genuine", True), (b"another", False)])
async def test_what_a_provider_needs_is_fetched_once_and_then_it_judges(certificate: bytes, accepted: bool) -> None:
    log, fetched = Log(), list[str]()
    source = Source("paypal", Certified())
    answer = await intake(log, fetched, certificate).take_in(source, Hook({}, b"genuine", 0))
    assert isinstance(answer, Appended if accepted else Refused)
    assert fetched == [CERTIFICATE]
    assert len(log.events) == accepted


async def test_what_cannot_be_fetched_now_is_neither_accepted_nor_called_a_forgery() -> None:
    log = Log()
    with pytest.raises(EvidenceUnavailableError):
        await intake(log, [], None).take_in(Source("paypal", Certified()), Hook({}, b"genuine", 0))
    assert log.events == []


async def test_a_provider_that_asks_again_for_what_it_was_given_ends_the_matter() -> None:
    class Greedy(Certified):
        def verify(self, hook: Hook, now_s: int, evidence: Evidence) -> Verdict:
            return Needs(CERTIFICATE)

    fetched: list[Request] = []
    with pytest.raises(EvidenceUnavailableError):
        await intake(Log(), fetched, b"x").take_in(Source("paypal", Greedy()), Hook({}, b"", 0))
    assert fetched == [CERTIFICATE]
