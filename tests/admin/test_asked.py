"""A request becomes the struct that describes it, or all that is wrong with it is told, field by field."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta
from multidict import MultiDict

from webhookd.admin.door.asked import converted, converted_query
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import Currency, EventKey, Glob, Instant, Limit, Text, Wait
from webhookd.core.identifier import event_id


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    size: int


class Whole(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern="^[a-z]+$")]
    limit: Limit = 50
    at_least: Annotated[int, Meta(ge=1)] = 1
    share: Annotated[float, Meta(ge=0.5, le=1)] = 1
    wanted: bool = False
    state: Literal["on", "off"] | None = None
    text: Text | None = None
    since: Instant | None = None
    type: Glob | None = None
    after: EventKey | None = None
    wait: Wait | None = None
    currency: Currency | None = None
    times: Annotated[Sequence[Instant], Meta(max_length=2)] = ()
    words: Sequence[str] = ()
    part: Part | None = None
    headers: Mapping[str, int] | None = None
    either: int | str | None = None


def wrong(given: Mapping[str, Any]) -> dict[str, str]:
    with pytest.raises(MistakesError) as found:
        converted({"name": "a", **given}, Whole)
    return {each.field: each.reason for each in found.value.mistakes}


def test_what_is_right_becomes_the_struct():
    found = converted(
        {"name": "a", "since": "2026-01-31T12:00:00.5+01:00", "type": "a.*", "wait": "2s", "currency": "eur"}, Whole
    )
    assert (found.since, found.type, found.wait, found.currency) == (1_769_857_200_500, "a.*", 2_000, "EUR")
    assert (found.limit, found.state, found.words) == (50, None, ())


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(MistakesError) as found:
        converted({"limit": 0, "state": "lost", "colour": "red", "part": {}, "wanted": 1}, Whole)
    fields = [each.field for each in found.value.mistakes]
    assert sorted(fields) == ["colour", "limit", "name", "part", "state", "wanted"]


@pytest.mark.parametrize(
    ("given", "field", "reason"),
    [
        ({"name": "A"}, "name", "must be a string like ^[a-z]+$"),
        ({"name": None}, "name", "must be a string like ^[a-z]+$"),
        ({"limit": "5"}, "limit", "must be a whole number from 1 to 500"),
        ({"limit": 5.5}, "limit", "must be a whole number from 1 to 500"),
        ({"limit": True}, "limit", "must be a whole number from 1 to 500"),
        ({"limit": 10**9}, "limit", "must be a whole number from 1 to 500"),
        ({"at_least": 0}, "at_least", "must be a whole number of at least 1"),
        ({"share": 0.25}, "share", "must be a number from 0.5 to 1"),
        ({"wanted": "yes"}, "wanted", "must be true or false"),
        ({"state": "lost"}, "state", "must be one of off, on"),
        ({"state": 5}, "state", "must be one of off, on"),
        ({"text": ""}, "text", "must be a string of 1 to 255 characters"),
        ({"text": "a" * 256}, "text", "must be a string of 1 to 255 characters"),
        ({"since": 5}, "since", "must be a string like 2026-01-31T12:00:00Z"),
        ({"type": "["}, "type", '"[" is not an event glob'),
        ({"type": ""}, "type", "must be a string of 1 to 255 characters"),
        ({"after": "evt_1"}, "after", "must be the id of an event, evt_…"),
        ({"wait": "61s"}, "wait", "must be at most 60s"),
        ({"currency": "EURO"}, "currency", "must be three letters, like EUR"),
        ({"times": "x"}, "times", "must be a list of 0 to 2 of them"),
        ({"times": ["2026-01-31T12:00:00Z"] * 3}, "times", "must be a list of 0 to 2 of them"),
        ({"times": ["2026-01-31T12:00:00Z", "x"]}, "times[1]", "must be an RFC 3339 time"),
        ({"words": ["a", 5]}, "words[1]", "must be a string"),
        ({"part": 5}, "part", "must be an object"),
        ({"part": {"size": "x"}}, "part.size", "must be a whole number"),
        ({"part": {}}, "part", "missing required field `size`"),
        ({"part": {"size": 1, "colour": 2}}, "part", "contains unknown field `colour`"),
        ({"headers": {"X": "x"}}, "headers", "must be a whole number"),
        ({"either": []}, "either", "must be a whole number or a string"),
        ({"colour": 1}, "colour", "is not known; known are name, limit"),
        ({"x" * 500: 1}, "x" * 64, "is not known"),
    ],
    ids=ascii,
)
def test_what_is_wrong_is_said_in_plain_words(given: dict[str, Any], field: str, reason: str):
    [(told, why)] = wrong(given).items()
    assert told == field
    assert reason in why


def test_a_field_that_has_to_be_there_is_missed():
    with pytest.raises(MistakesError, match="name: is missing"):
        converted({}, Whole)


@pytest.mark.parametrize(
    "limit", ["0", "501", "ten", "", "1.5", "1e2", "٥", " 5", "+5", "5 ", "1" + "0" * 400, "-1", "0x5"]
)
def test_a_text_that_is_no_number_is_none(limit: str):
    with pytest.raises(MistakesError, match="limit: must be a whole number from 1 to 500"):
        converted_query(MultiDict(name="a", limit=limit), Whole)


@pytest.mark.parametrize("wanted", ["True", "1", "", "yes", "null"])
def test_a_text_that_is_no_flag_is_none(wanted: str):
    with pytest.raises(MistakesError, match="wanted: must be true or false"):
        converted_query(MultiDict(name="a", wanted=wanted), Whole)


def test_a_query_is_read_by_what_its_parameters_are():
    given = MultiDict(name="a", limit="5", share="0.75", wanted="true", state="on", after=event_id(5, 6), either="x")
    found = converted_query(given, Whole)
    assert (found.limit, found.share, found.wanted, found.state, found.after) == (5, 0.75, True, "on", 5)
    assert found.either == "x"


@pytest.mark.parametrize("text", ["null", "None", ""])
def test_no_word_in_a_query_stands_for_nothing(text: str):
    with pytest.raises(MistakesError, match="state: must be one of"):
        converted_query(MultiDict(name="a", state=text), Whole)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [each.encode_name for each in msgspec.structs.fields(Whole)]


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), JSON, max_size=6))
def test_whatever_is_asked_is_taken_or_told_by_field(asked: dict[str, Any]):
    mistakes: Sequence[Mistake] = ()
    try:
        converted(asked, Whole)
    except MistakesError as error:
        mistakes = error.mistakes
    told = {each.field.partition("[")[0].partition(".")[0] for each in mistakes}
    assert told <= {*asked, "name", *(name.partition("[")[0].partition(".")[0] for name in asked)}
    assert all(each.reason for each in mistakes)
