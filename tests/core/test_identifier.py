"""Public ids."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.identifier import (
    SALT_BITS,
    KeyMint,
    UnknownIdError,
    delivery_id,
    event_id,
    key_floor,
    parse_delivery_id,
    parse_event_id,
    parse_replay_id,
    replay_id,
)

KEYS = st.integers(0, 2**63 - 1)
SALTS = st.integers(0, 2**SALT_BITS - 1)
ENDPOINTS = st.integers(0, 2**32 - 1)


@given(KEYS, SALTS)
def test_an_event_id_gives_back_what_it_was_made_of(key: int, salt: int) -> None:
    assert parse_event_id(event_id(key, salt)) == (key, salt)


@given(KEYS, ENDPOINTS)
def test_a_delivery_id_gives_back_its_event_and_its_endpoint(key: int, endpoint: int) -> None:
    assert parse_delivery_id(delivery_id(key, endpoint)) == (key, endpoint)


@given(KEYS)
def test_a_replay_id_gives_back_its_number_and_is_no_other_id(number: int) -> None:
    assert parse_replay_id(replay_id(number)) == number
    for parse in (parse_event_id, parse_delivery_id):
        with pytest.raises(UnknownIdError):
            parse(replay_id(number))


@given(st.lists(st.tuples(KEYS, SALTS), min_size=2, max_size=20))
def test_event_ids_sort_as_text_as_their_events_do_in_the_log(events: list[tuple[int, int]]) -> None:
    assert sorted(event_id(*event) for event in events) == [event_id(*event) for event in sorted(events)]


@given(st.lists(st.tuples(KEYS, ENDPOINTS), min_size=2, max_size=20))
def test_delivery_ids_sort_as_text_by_event_and_then_by_endpoint(pairs: list[tuple[int, int]]) -> None:
    assert sorted(delivery_id(*pair) for pair in pairs) == [delivery_id(*pair) for pair in sorted(pairs)]


@given(st.integers(0, 2**41), st.integers(1, 2**41))
def test_an_event_received_later_has_the_greater_id(at_ms: int, later_by_ms: int) -> None:
    earlier, later = KeyMint().next(at_ms), KeyMint().next(at_ms + later_by_ms)
    assert event_id(earlier, 2**SALT_BITS - 1) < event_id(later, 0)


@pytest.mark.fault(25)
@given(st.lists(st.integers(0, 2**41), min_size=2, max_size=50))
def test_keys_only_ever_grow_whatever_the_clock_does(clock_ms: list[int]) -> None:
    mint = KeyMint()
    keys = [mint.next(now_ms) for now_ms in clock_ms]
    assert all(first < second for first, second in itertools.pairwise(keys))


@pytest.mark.fault(25)
def test_a_clock_that_steps_back_an_hour_does_not_reorder_the_log() -> None:
    mint = KeyMint()
    before = mint.next(1_700_000_000_000)
    assert mint.next(1_700_000_000_000 - 3_600_000) > before


@given(KEYS.filter(lambda key: key < 2**62), st.integers(0, 2**40))
def test_after_a_restart_keys_go_on_above_the_highest_in_the_log(last: int, now_ms: int) -> None:
    assert KeyMint(last).next(now_ms) > last


def test_many_events_in_one_millisecond_get_keys_of_their_own() -> None:
    mint = KeyMint()
    assert len({mint.next(1_700_000_000_000) for _ in range(5_000)}) == 5_000


@given(st.integers(1, 2**41))
def test_a_search_by_time_begins_exactly_at_the_events_of_that_time(at_ms: int) -> None:
    assert KeyMint().next(at_ms) >= key_floor(at_ms)
    assert KeyMint().next(at_ms - 1) < key_floor(at_ms)


@pytest.mark.parametrize("at_ms", [-1, -(10**15), 10**18, 10**30])
def test_a_search_by_an_absurd_time_is_still_a_search(at_ms: int) -> None:
    assert 0 <= key_floor(at_ms) < 2**63


GOOD_EVENT, GOOD_DELIVERY = event_id(2**60 + 10, 2**60 + 11), delivery_id(2**60 + 10, 11)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "evt_",
        GOOD_EVENT.upper(),
        GOOD_EVENT[:4] + GOOD_EVENT[4:].upper(),
        GOOD_EVENT[:-1],
        GOOD_EVENT + "0",
        GOOD_EVENT[4:],
        " " + GOOD_EVENT,
        GOOD_EVENT + "\n",
        GOOD_EVENT[:10] + " " + GOOD_EVENT[10:],
        "evt_" + GOOD_EVENT,
        "evt_" + "g" * 32,
        "evt_" + "f" * 32,
        "evt_" + "0" * 16 + "f" * 16,
        "evt_" + "\N{ARABIC-INDIC DIGIT ONE}" * 32,
        GOOD_DELIVERY,
        "evt_" + GOOD_DELIVERY[4:],
    ],
)
def test_anything_but_the_one_spelling_of_an_event_id_is_refused(text: str) -> None:
    with pytest.raises(UnknownIdError):
        parse_event_id(text)


@pytest.mark.parametrize(
    "text", ["", "dlv_", GOOD_DELIVERY.upper(), GOOD_DELIVERY[:-1], GOOD_DELIVERY + "00", GOOD_EVENT, "dlv_" + "f" * 24]
)
def test_anything_but_the_one_spelling_of_a_delivery_id_is_refused(text: str) -> None:
    with pytest.raises(UnknownIdError):
        parse_delivery_id(text)


@given(st.text())
def test_text_is_either_the_id_it_says_or_refused(text: str) -> None:
    for candidate in (text, "evt_" + text):
        try:
            key, salt = parse_event_id(candidate)
        except UnknownIdError:
            continue
        assert event_id(key, salt) == candidate


def test_the_refusal_of_an_id_does_not_quote_it() -> None:
    with pytest.raises(UnknownIdError) as refused:
        parse_event_id("evt_<script>alert(1)</script>")
    assert "script" not in str(refused.value)
