"""What is typed into the form of an endpoint, and what of the API's body it means."""

from collections.abc import Iterable
from typing import Any

import pytest
from multidict import MultiDict

from webhookd.admin.dashboard.endpoint_form import again, asked_for, blank, change, form_of, overtaken, was_in
from webhookd.admin.door.reasons import Mistake
from webhookd.admin.endpoint_views import EndpointView

SETTINGS: dict[str, Any] = {
    "sources": ["stripe"],
    "events": ["charge.*", "refund.created"],
    "max_in_flight": 3,
    "rate_limit": None,
    "ordering": "none",
    "signature": "standard",
    "schedule": ["0s", "90s"],
    "timeout": "15s",
    "disable_after": "5d",
    "allow_http": False,
    "headers": {"X-Key": "********", "X-Other": "********"},
    "has_ca": False,
    "has_client_certificate": False,
    "secrets": [],
}


def view(**settings: Any) -> EndpointView:
    return EndpointView(
        name="shop",
        url="https://shop.example/hooks",
        state="active",
        why=None,
        managed_by="api",
        breaker="closed",
        retry_at=None,
        failing_since=None,
        in_flight=0,
        in_flight_limit=8,
        backlog=0,
        dead=0,
        oldest_pending_at=None,
        created_at="2026-01-01T00:00:00.000Z",
        last_failure=None,
        **settings,
    )


def sent(of: EndpointView, without: Iterable[str] = (), **typed: str) -> MultiDict[str]:
    """The form as a browser sends it, after this was typed; `without` are boxes that are not ticked any more."""
    form = form_of(of)
    fields = {name: value for name, value in form.texts.items() if name not in ("sources", "allow_http")}
    given = MultiDict({**fields, "was": form.was, **typed})
    for name in form.sources:
        if name not in without:
            given.add("sources", name)
    if form.text("allow_http") and "allow_http" not in without and "allow_http" not in typed:
        given["allow_http"] = "on"
    return given


def patch(given: MultiDict[str]) -> dict[str, Any]:
    return change(given, was_in(given))


@pytest.mark.parametrize(
    "settings",
    [SETTINGS, {**SETTINGS, "sources": [], "events": [], "headers": {}}, {**SETTINGS, "allow_http": True}, {}],
    ids=["all", "defaults", "plain-http", "unknown"],
)
def test_a_form_that_nobody_touched_changes_nothing(settings: dict[str, Any]):
    assert patch(sent(view(**settings))) == {}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ({"timeout": "30s"}, {"timeout": "30s"}),
        ({"timeout": " "}, {"timeout": None}),
        ({"max_in_flight": "12"}, {"max_in_flight": 12}),
        ({"max_in_flight": "many"}, {"max_in_flight": "many"}),
        ({"schedule": "0s 5s,1h"}, {"schedule": ["0s", "5s", "1h"]}),
        ({"schedule": "0s,90s"}, {}),
        ({"events": ""}, {"events": None}),
        ({"events": "charge.*\r\n\r\nrefund.created\r\n"}, {}),
        ({"url": "https://shop.example/moved"}, {"url": "https://shop.example/moved"}),
        ({"allow_http": "on"}, {"allow_http": True}),
        ({"client_key": "-----BEGIN"}, {"client_key": "-----BEGIN"}),
        ({"no_client_certificate": "on"}, {"client_certificate": None, "client_key": None}),
        ({"no_ca": "on"}, {"ca": None}),
    ],
    ids=lambda value: "-".join(value) or "same",
)
def test_only_what_is_different_is_sent(typed: dict[str, str], expected: dict[str, Any]):
    assert patch(sent(view(**SETTINGS), **typed)) == expected


def test_a_box_that_is_not_ticked_any_more_is_a_change():
    assert patch(sent(view(**SETTINGS), without=["stripe"])) == {"sources": None}
    assert patch(sent(view(**{**SETTINGS, "allow_http": True}), without=["allow_http"])) == {"allow_http": False}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("X-Key: ********\nX-Other: ********", "same"),
        ("X-Key: new\nX-Other: ********", {"X-Key": "new"}),
        ("X-Other: ********", {"X-Key": None}),
        ("X-Key: ********\nX-Other: ********\nX-New: a:b", {"X-New": "a:b"}),
        ("X-Key: ********\nX-Other: ********\nX-New: ********", {"X-New": "********"}),
        ("X-Key: ********\nX-Other: ********\nno colon", {"no colon": ""}),
        ("", None),
    ],
    ids=["untouched", "another-value", "one-gone", "one-more", "stars-for-a-value", "no-colon", "none-left"],
)
def test_a_header_in_stars_stays_and_one_that_is_gone_is_taken_away(lines: str, expected: Any):
    assert patch(sent(view(**SETTINGS), headers=lines)) == ({} if expected == "same" else {"headers": expected})


def test_what_somebody_else_has_changed_meanwhile_is_told_and_not_replaced_unasked():
    given = sent(view(**SETTINGS), timeout="30s", rate_limit="5/s")
    others = view(**{**SETTINGS, "timeout": "20s", "max_in_flight": 7, "sources": []})
    assert overtaken(view(**{**SETTINGS, "max_in_flight": 7}), given, was_in(given)) is None
    form = overtaken(others, given, was_in(given))
    assert form is not None
    assert [*form.mistakes] == ["timeout"]
    assert "is 20s by now" in form.wrong("timeout")[0]
    assert (form.text("timeout"), form.text("rate_limit"), form.text("max_in_flight"), form.sources) == (
        *("30s", "5/s", "7", []),
    )
    again_sent = sent(others, timeout="30s", rate_limit="5/s", was=form.was)
    assert overtaken(others, again_sent, was_in(again_sent)) is None
    assert patch(again_sent) == {"timeout": "30s", "rate_limit": "5/s"}


def test_a_form_whose_beginning_cannot_be_read_sends_all_of_it():
    given = sent(view(**SETTINGS), was="{")
    assert patch(given)["timeout"] == "15s"


def test_a_new_endpoint_is_asked_for_with_what_was_filled_in():
    given = MultiDict({"name": " shop ", "url": " https://shop.example ", "events": "", "max_in_flight": "0"})
    given.extend(
        [
            ("sources", "stripe"),
            ("sources", "crm"),
            ("secret_kind", "ed25519"),
            ("secret", " whsec_x "),
            ("headers", "X: y"),
        ]
    )
    assert asked_for(given) == {
        "name": "shop",
        "url": "https://shop.example",
        "sources": ["crm", "stripe"],
        "max_in_flight": 0,
        "secret_kind": "ed25519",
        "secret": "whsec_x",
        "headers": {"X": "y"},
    }


def test_what_was_typed_is_shown_again_but_no_secret():
    given = sent(view(**SETTINGS), headers="X-Key: ********\nX-Other: hidden", client_key="hidden", timeout="1x")
    given["secret"] = "hidden"
    mistakes = [
        Mistake("timeout", "is wrong"),
        Mistake("headers.X-Other", "is wrong too"),
        Mistake("schedule[1]", "no"),
    ]
    form = again(given, mistakes, was_in(given))
    assert "hidden" not in str(form)
    assert (form.text("timeout"), form.text("headers"), form.sources) == (
        "1x",
        "X-Key: ********\nX-Other: ",
        ["stripe"],
    )
    assert form.was == form_of(view(**SETTINGS)).was
    assert (form.wrong("timeout"), form.wrong("headers")) == (["is wrong"], ["X-Other is wrong too"])
    assert (form.wrong("schedule"), form.wrong("url")) == (["[1] no"], ())
    assert blank().wrong("name") == ()
