"""One event owed to one endpoint: its states and what moves them."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.delivery import DELIVERY_STATES, TRANSITIONS, Due, Outcome, Settlement, settle
from webhookd.core.endpoint import ENDPOINT_STATES
from webhookd.core.event import EVENT_STATES, Event
from webhookd.core.identifier import delivery_id
from webhookd.core.retry import RetryPolicy

SCHEMA = (Path(__file__).parents[2] / "schema.sql").read_text(encoding="utf-8")
NOW_MS = 1_770_000_000_000
POLICY = RetryPolicy((0, 10_000, 20_000), jitter=0)
EVENT = Event(
    key=NOW_MS << 21,
    salt=1,
    source="stripe",
    provider="stripe",
    provider_event_id="evt_1",
    type="charge.refunded",
    state="accepted",
    received_at=NOW_MS,
    occurred_at=None,
    payment_id=None,
    fact=None,
    alias=None,
    headers=(),
    sha256=b"\0" * 32,
    size=2,
    body=b"{}",
)
SUCCEEDED = Outcome(NOW_MS, 12, 200)
FAILED = Outcome(NOW_MS, 12, 500, "status")
TIMED_OUT = Outcome(NOW_MS, 15_000, None, "timeout")
GONE = Outcome(NOW_MS, 12, 410, "status")


def due(**changes: object) -> Due:
    return msgspec.structs.replace(Due(endpoint=3, event=EVENT, due_at=NOW_MS), **changes)


def settled(outcome: Outcome, **changes: object) -> Settlement:
    return settle(due(**changes), outcome, POLICY, NOW_MS, 0.0)


def test_a_success_delivers() -> None:
    found = settled(SUCCEEDED)
    assert (found.state, found.due_at, found.number) == ("delivered", None, 1)


@pytest.mark.parametrize("outcome", [FAILED, TIMED_OUT], ids=["status", "timeout"])
def test_a_failure_is_due_again_after_the_next_wait_of_the_schedule(outcome: Outcome) -> None:
    first, second = settled(outcome), settled(outcome, attempts=1, step=2)
    assert (first.state, first.due_at, first.step, first.number) == ("pending", NOW_MS + 10_000, 2, 1)
    assert (second.state, second.due_at, second.step, second.number) == ("pending", NOW_MS + 20_000, 3, 2)


def test_after_the_last_wait_of_the_schedule_it_is_dead() -> None:
    found = settled(FAILED, attempts=2, step=3)
    assert (found.state, found.due_at, found.number) == ("dead", None, 3)


def test_the_schedule_makes_exactly_as_many_attempts_as_it_has_waits() -> None:
    now = due()
    made = 0
    while True:
        made += 1
        found = settle(now, FAILED, POLICY, NOW_MS, 0.0)
        if found.state != "pending":
            break
        now = due(attempts=found.number, step=found.step)
    assert (made, found.state) == (3, "dead")


@pytest.mark.parametrize("step", [1, 2, 3, 99])
def test_gone_leaves_it_pending_and_uses_up_no_wait_however_late_it_comes(step: int) -> None:
    found = settled(GONE, step=step, attempts=step - 1)
    assert (found.state, found.due_at, found.step) == ("pending", NOW_MS, step)


def test_a_merchants_retry_after_is_honoured() -> None:
    slow_down = msgspec.structs.replace(FAILED, status=429, retry_after_ms=3_600_000)
    assert settled(slow_down).due_at == NOW_MS + 3_600_000


def test_a_replay_counts_its_attempts_on_from_those_before() -> None:
    found = settled(SUCCEEDED, attempts=10, step=1, replay=True)
    assert (found.number, found.replay, found.state) == (11, True, "delivered")


OUTCOMES = st.builds(
    Outcome,
    started_at=st.just(NOW_MS),
    duration_ms=st.integers(0, 60_000),
    status=st.none() | st.integers(100, 599),
    error=st.none() | st.sampled_from(["status", "redirect", "timeout", "connect", "tls", "internal"]),
    retry_after_ms=st.none() | st.integers(0, 10**10),
)


@given(OUTCOMES, st.integers(1, 5), st.floats(-1, 1))
def test_only_what_is_pending_is_due_and_never_before_now(outcome: Outcome, step: int, jitter: float) -> None:
    found = settle(due(step=step), outcome, RetryPolicy((0, 5, 10), 1.0), NOW_MS, jitter)
    assert (found.state == "pending") == (found.due_at is not None)
    assert found.due_at is None or found.due_at >= NOW_MS
    assert found.state in {"pending", "delivered", "dead"}
    assert outcome.succeeded == (found.state == "delivered")


def test_every_transition_is_made_by_an_attempt_or_by_a_person() -> None:
    by_an_attempt = {
        ("pending", "succeeded"): settled(SUCCEEDED).state,
        ("pending", "failed"): settled(FAILED).state,
        ("pending", "gone"): settled(GONE).state,
        ("pending", "exhausted"): settled(FAILED, step=3).state,
    }
    by_a_person = {key: state for key, state in TRANSITIONS.items() if key[1] in {"cancelled", "replayed"}}
    assert by_an_attempt | by_a_person == TRANSITIONS
    assert not by_an_attempt.keys() & by_a_person.keys()


def test_a_person_can_replay_from_every_state_and_cancel_only_what_is_pending() -> None:
    assert {state for state, happening in TRANSITIONS if happening == "replayed"} == set(DELIVERY_STATES)
    assert {state for state, happening in TRANSITIONS if happening == "cancelled"} == {"pending"}
    assert all(state == "pending" for (_, happening), state in TRANSITIONS.items() if happening == "replayed")


def test_every_state_can_be_reached_and_left() -> None:
    assert {"pending"} | set(TRANSITIONS.values()) == set(DELIVERY_STATES)
    assert {state for state, _ in TRANSITIONS} == set(DELIVERY_STATES)


@pytest.mark.parametrize(
    ("table", "states"),
    [("event", EVENT_STATES), ("endpoint", ENDPOINT_STATES), ("delivery", DELIVERY_STATES)],
)
def test_the_database_admits_exactly_the_states_that_the_code_knows(table: str, states: tuple[str, ...]) -> None:
    definition = re.search(rf"CREATE TABLE {table} \((.*?)\n\) STRICT", SCHEMA, re.DOTALL)
    assert definition is not None
    admitted = re.search(r"CHECK \(state IN \(([^)]*)\)\)", definition[1])
    assert admitted is not None
    assert tuple(re.findall(r"'(\w+)'", admitted[1])) == states


def test_a_delivery_is_named_by_its_event_and_endpoint() -> None:
    assert due().key.id == delivery_id(EVENT.key, 3)


def test_an_event_in_a_traceback_does_not_show_its_body() -> None:
    event = msgspec.structs.replace(EVENT, body=b'{"card":"4242424242424242"}')
    assert "4242" not in f"{event!r} {event}"
    assert "4242" not in repr(due(event=event))
