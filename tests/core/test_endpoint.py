"""Which events an endpoint wants."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.core.endpoint import EVERYTHING, Route, check_pattern, routes


def test_an_endpoint_that_names_nothing_wants_everything() -> None:
    assert routes((), ()) == [Route(EVERYTHING, EVERYTHING)]


def test_an_endpoint_wants_every_pattern_of_every_source_it_names() -> None:
    wanted = routes(("live", "test"), ("charge.*", "refund.created"))
    assert {(each.source, each.pattern) for each in wanted} == {
        ("live", "charge.*"),
        ("live", "refund.created"),
        ("test", "charge.*"),
        ("test", "refund.created"),
    }


def test_what_is_asked_for_twice_is_wanted_once() -> None:
    wanted = routes(("live", "test", "live"), ("a", "webhookd.*", "b", "a", "webhookd.*"))
    assert [(each.source, each.pattern) for each in wanted] == [
        ("webhookd", "webhookd.*"),
        *(("live", "a"), ("live", "b"), ("test", "a"), ("test", "b")),
    ]


def test_what_webhookd_says_itself_is_asked_for_by_its_name_whatever_the_sources() -> None:
    assert routes(("live",), ("webhookd.*", "charge.*")) == [Route("webhookd", "webhookd.*"), Route("live", "charge.*")]
    assert routes((), ("webhookd.*",)) == [Route("webhookd", "webhookd.*")], "and nothing else"


@pytest.mark.parametrize(
    "pattern", ["payment_intent.succeeded", "PAYMENT.CAPTURE.*", "*", "charge.?", "v2:core/thing", "a" * 255]
)
def test_a_glob_over_event_types_is_taken(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern", ["", " ", "charge.*, refund.*", "[a-z]", "^charge", "a'b", 'a"b', "café.*", "a\nb", "a" * 256, "{a,b}"]
)
def test_what_can_match_no_event_type_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="not an event glob"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "is_glob"), [("charge.refunded", False), ("charge.*", True), ("charge.?", True), ("*", True)]
)
def test_a_pattern_with_a_wildcard_is_a_glob(pattern: str, is_glob: bool) -> None:
    assert Route("s", pattern).is_glob is is_glob


@given(st.from_regex(r"[\w.\-:/]{1,40}", fullmatch=True).filter(str.isascii))
def test_a_pattern_without_a_wildcard_means_itself_only(pattern: str) -> None:
    check_pattern(pattern)
    assert not Route("s", pattern).is_glob
    with sqlite3.connect(":memory:") as database:
        matches = database.execute("SELECT ? GLOB ?, ? GLOB ?", (pattern, pattern, pattern + "x", pattern)).fetchone()
    database.close()
    assert matches == (1, 0)
