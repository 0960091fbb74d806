"""What the operator hears of refused hooks."""

import pytest

from webhookd.receive.complaints import SILENCE_S, Complaints

pytestmark = pytest.mark.fault(51)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []

    class Log:
        def warning(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

        def error(self, event: str, **fields: object) -> None:
            lines.append({"event": event, "level": "error", **fields})

    monkeypatch.setattr("webhookd.receive.complaints._log", Log())
    return lines


def test_the_first_refusal_is_told_at_once_and_a_flood_of_them_as_one_line_a_minute(said: list[dict[str, object]]):
    complaints = Complaints()
    for number in range(1_000):
        complaints.refused("stripe", "wrong_signature", number / 1_000)
    complaints.refused("stripe", "wrong_signature", SILENCE_S)
    assert [line["hooks"] for line in said] == [1, 1_000]


def test_each_source_and_reason_has_a_line_of_its_own(said: list[dict[str, object]]):
    complaints = Complaints()
    for source in ("a", "b"):
        complaints.refused(source, "wrong_signature", 0)
        complaints.refused(source, "stale_timestamp", 0)
        complaints.odd(source, "quarantined", "evt_1", 0)
    assert len(said) == 6


def test_a_forgery_is_an_error_that_names_the_genuine_event(said: list[dict[str, object]]):
    complaints = Complaints()
    for number in range(3):
        complaints.forged("paypal", "evt_genuine", number)
    complaints.forged("paypal", "evt_genuine", SILENCE_S)
    assert [(line["event"], line["level"], line["genuine_event_id"], line["hooks"]) for line in said] == [
        ("hooks_forged", "error", "evt_genuine", 1),
        ("hooks_forged", "error", "evt_genuine", 3),
    ]
