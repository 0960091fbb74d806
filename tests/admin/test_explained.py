"""What an error is told as, and which of them are faults of ours."""

import pytest

from webhookd.admin.door.explained import explained


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [(ConnectionResetError("Cannot write to closing transport"), 503, 0), (RuntimeError("unforeseen"), 500, 1)],
    ids=["who asked is gone", "a fault of ours"],
)
def test_a_fault_of_ours_is_in_the_log_and_a_client_that_left_is_none(
    monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, said: int
):
    lines: list[dict[str, object]] = []

    class Log:
        def error(self, event: str, **fields: object) -> None:
            lines.append({"event": event, **fields})

    monkeypatch.setattr("webhookd.admin.door.explained._log", Log())
    assert (explained(error).status, len(lines)) == (status, said)
    assert str(error) not in str(lines)  # it might quote what was sent
