"""Which of two facts stands: the same one whatever order they come in, and however often."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.ledger import COUNTING, KINDS, LISTS, RANKS, SETTLED, TIME_FIRST, Fact, Kind, counts, standing

Told = tuple[Fact, int | None, str]
"""A fact, when it occurred, and the id of its event."""
RANK_FIRST = [kind for kind in KINDS if kind not in TIME_FIRST]
T0 = 1_772_366_400_000
TIMES = st.none() | st.integers(T0, T0 + 3)


def stands(told: Sequence[Told]) -> Told:
    """As a ledger hears of them, one after the other: only what stands higher takes the place of what is there."""
    first, *others = told
    for each in others:
        if (standing(each[0], each[1]), each[2]) > (standing(first[0], first[1]), first[2]):
            first = each
    return first


def state(kind: Kind, *told: tuple[str, int | None]) -> str:
    """What stands after these states and times, which is the same for any order of them and with each of them twice."""
    events = [(Fact(kind, "id_1", status), at, f"evt_{number}") for number, (status, at) in enumerate(told)]
    found = {stands(order)[0].status for order in itertools.permutations(events)}
    found |= {stands([*events, *order])[0].status for order in itertools.permutations(events)}
    assert len(found) == 1
    return found.pop()


def facts(kind: Kind) -> st.SearchStrategy[Told]:
    fact = st.sampled_from(sorted(RANKS[kind])).map(lambda status: Fact(kind, "id_1", status))
    return st.tuples(fact, TIMES, st.sampled_from(["evt_1", "evt_2", "evt_3", "evt_4"]))


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.lists(facts(kind), min_size=1, max_size=8)), st.randoms())
def test_any_order_and_any_repetition_of_the_same_facts_leaves_the_same_one_standing(told, dice):
    events = list({event_id: (fact, at, event_id) for fact, at, event_id in told}.values())
    again = [*events, *dice.choices(events, k=len(events))]
    dice.shuffle(again)
    assert stands(again) == stands(events)


@given(st.sampled_from(KINDS).flatmap(lambda kind: st.lists(facts(kind), min_size=2, max_size=8)))
def test_a_fact_that_is_missing_is_made_up_for_by_any_that_stands_higher(told):
    without_one = told[1:]
    if standing(*stands(without_one)[:2]) > standing(*told[0][:2]):
        assert stands(told) == stands(without_one)


@pytest.mark.parametrize("kind", RANK_FIRST)
def test_where_rank_comes_first_no_time_brings_back_a_state_that_was_left(kind: Kind):
    for (lower, low), (higher, high) in itertools.permutations(RANKS[kind].items(), 2):
        if low < high:
            for late in (None, T0 - 1, T0, T0 + 86_400_000):
                assert state(kind, (higher, T0), (lower, late)) == higher


@pytest.mark.parametrize("kind", sorted(TIME_FIRST))
def test_where_time_comes_first_the_later_state_stands_be_it_further_on_or_back(kind: Kind):
    for earlier, later in itertools.permutations(RANKS[kind], 2):
        assert state(kind, (earlier, T0), (later, T0 + 1)) == later


@pytest.mark.parametrize("kind", sorted(TIME_FIRST))
def test_where_time_comes_first_the_state_further_on_stands_of_two_at_one_time(kind: Kind):
    for (lower, low), (higher, high) in itertools.permutations(RANKS[kind].items(), 2):
        if low < high:
            assert state(kind, (higher, T0), (lower, T0)) == higher


@pytest.mark.parametrize("kind", RANK_FIRST)
def test_of_two_states_as_far_on_the_later_one_stands(kind: Kind):
    for (one, here), (other, there) in itertools.permutations(RANKS[kind].items(), 2):
        if here == there:
            assert state(kind, (one, T0), (other, T0 + 1)) == other


def test_of_two_facts_alike_in_rank_and_time_the_greater_event_id_stands():
    one, other = Fact("refund", "re_1", "failed"), Fact("refund", "re_1", "cancelled")
    assert stands([(one, T0, "evt_2"), (other, T0, "evt_1")]) == (one, T0, "evt_2")
    assert stands([(other, T0, "evt_1"), (one, T0, "evt_2")]) == (one, T0, "evt_2")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fact_without_a_time_gives_way_to_one_of_the_same_state_that_has_one(kind: Kind):
    for status in RANKS[kind]:
        fact = Fact(kind, "id_1", status)
        assert standing(fact, None) < standing(fact, T0)


# --- What the providers do, late and in the wrong order


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("payment", ["captured", "pending"], "captured"),  # Stripe: created comes after succeeded
        ("payment", ["failed", "captured"], "captured"),  # a second try, or Razorpay's late authorization
        ("payment", ["captured", "failed"], "captured"),
        ("payment", ["failed", "pending"], "failed"),
        ("payment", ["failed", "authorized"], "authorized"),
        ("payment", ["authorized", "cancelled"], "cancelled"),
        ("payment", ["cancelled", "captured"], "captured"),
        ("payment", ["refunded", "captured"], "refunded"),
        ("refund", ["pending", "succeeded", "failed"], "failed"),  # Stripe and its kin: the bank sends it back
        ("refund", ["failed", "succeeded"], "failed"),
        ("dispute", ["open", "won", "open"], "open"),  # Razorpay: the next phase
        ("dispute", ["lost", "under_review"], "under_review"),  # Stripe: an appeal
        ("invoice", ["open", "uncollectible", "paid"], "paid"),
        ("invoice", ["partially_paid", "failed"], "partially_paid"),
        ("order", ["approved", "expired", "paid"], "paid"),
        ("subscription", ["active", "past_due", "active"], "active"),
        ("subscription", ["cancelled", "active"], "active"),
        ("transfer", ["succeeded", "failed"], "failed"),  # a payout that the bank sends back
        ("transfer", ["failed", "succeeded"], "succeeded"),
        ("transfer", ["succeeded", "reversed"], "reversed"),
        ("account", ["active", "suspended", "active"], "active"),
        ("fund_account", ["failed", "active"], "active"),
        ("downtime", ["resolved", "started"], "resolved"),
    ],
)
def test_a_story_ends_the_same_however_its_events_arrive(kind: Kind, told: list[str], expected: str):
    assert state(kind, *((status, T0 + number) for number, status in enumerate(told))) == expected


# --- What counts


def test_every_kind_has_its_states_and_what_counts_or_settles_is_among_them():
    assert set(RANKS) == set(KINDS)
    assert set(KINDS) >= TIME_FIRST
    assert set(RANKS["payment"]) >= SETTLED
    for kind, states in COUNTING.items():
        assert set(RANKS[kind]) >= states
    assert sorted(LISTS.values()) == sorted(set(KINDS) - {"payment"})


def test_a_payment_that_counts_never_stops_counting():
    """No state stands above one that counts and does not count itself."""
    least = min(RANKS["payment"][status] for status in COUNTING["payment"])
    assert {status for status, rank in RANKS["payment"].items() if rank >= least} == COUNTING["payment"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_captured_payments_refunds_that_are_through_and_disputes_count_in_the_revenue(kind: Kind):
    expected = {
        "payment": {"captured", "partially_refunded", "refunded"},
        "refund": {"succeeded"},
        "dispute": set(RANKS["dispute"]),
    }.get(kind, set())
    assert {status for status in RANKS[kind] if counts(Fact(kind, "id_1", status))} == expected


def test_a_waiting_customer_has_an_answer_unless_the_money_is_still_on_its_way():
    assert set(RANKS["payment"]) - SETTLED == {"pending", "authorized"}
