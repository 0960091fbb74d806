"""A genuine signature with another body: refused as any bad signature is, and the operator hears of it."""

import pytest

from tests.receive.inside import Log, receiving
from tests.receive.wire import ask, assert_problem, event, post, stripe
from webhookd.core.event import Appended, Event, Hook
from webhookd.core.identifier import KeyMint
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials
from webhookd.providers.stripe import Stripe
from webhookd.receive.complaints import Complaints
from webhookd.receive.intake import EvidenceUnavailableError, Intake, Source

pytestmark = pytest.mark.fault(52)

AT_S = 1_700_000_000


async def test_a_forged_body_gets_the_answer_of_every_bad_signature_and_raises_the_alarm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def forged(_event: Event) -> Appended:
        return Appended("evt_genuine", "forged")

    alarms: list[tuple[str, ...]] = []
    monkeypatch.setattr(Complaints, "forged", lambda _self, *what: alarms.append(what[:2]))
    body = event("evt_1")
    async with receiving() as inside:
        inside.log.append = forged
        answer = await ask(inside.port, post("stripe", body, stripe(body, at=AT_S)))
        bad = await ask(inside.port, post("stripe", body, stripe(b"other", at=AT_S)))
        assert [await inside.meter.results.get() for _ in range(2)] == ["forged", "wrong_signature"]
    assert_problem(answer, 401)
    assert answer.body == bad.body
    assert "evt_genuine" not in answer.body.decode()
    assert alarms == [("stripe", "evt_genuine")]


@pytest.mark.parametrize(
    ("event_type", "status", "counted"),
    [
        ("payment_intent.succeeded", "accepted", []),
        ("payment_intent.teleported", "accepted", ["live"]),
        ("payment_intent.teleported", "duplicate", []),
    ],
)
async def test_a_new_event_of_a_type_nobody_has_heard_of_is_taken_and_counted(
    event_type: str, status: str, counted: list[str]
) -> None:
    async def fetch(_request: object) -> bytes:
        raise EvidenceUnavailableError

    async def append(taken: Event) -> Appended:
        assert taken.type == event_type
        return Appended(taken.id, status)  # type: ignore[arg-type]

    log = Log()
    log.append = append
    unknown: list[str] = []
    provider = Stripe(Credentials([Secret("whsec_1")]))
    body = event("evt_1", type=event_type)
    intake = Intake(log, KeyMint(), lambda: 1, fetch, unknown.append)
    headers = {name.lower(): value for name, value in provider.sign(body, AT_S, "").items()}
    assert await intake.take_in(Source("live", provider), Hook(headers, body, AT_S * 1_000))
    assert unknown == counted
