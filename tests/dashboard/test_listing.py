"""Lists that are narrowed by their URL: what is late, clean, and looked at again; and advice with a place."""

from typing import Any, cast

import pytest
from aiohttp.test_utils import make_mocked_request

from tests.fake_clock import FakeClock
from webhookd.admin.dashboard.advised import advised
from webhookd.admin.dashboard.deliveries import Deliveries
from webhookd.admin.dashboard.events import Events
from webhookd.admin.dashboard.frame.render import Renderer
from webhookd.admin.dashboard.frame.visit import Visit
from webhookd.admin.dashboard.listing import COST_MAX, FRESH_S_MIN, clean, fresh_s, ranges
from webhookd.admin.sources import SourceList
from webhookd.core.story import Advice, Story, Subject
from webhookd.store.protocol.errors import StoreUnavailableError


class LateVisit(Visit):
    """To a store that finds nothing in time."""

    async def ask(self, operation: str, **_asked: Any) -> Any:
        if operation == "GET /api/v1/sources":
            return SourceList([])
        raise StoreUnavailableError("too late")


def visit(path: str) -> Visit:
    renderer = Renderer(FakeClock())
    nobody = cast("Any", None)
    return LateVisit(make_mocked_request("GET", path), nobody, nobody, nobody, renderer)


@pytest.mark.parametrize(("part", "path"), [(Events, "/events"), (Deliveries, "/deliveries")], ids=["events", "owed"])
async def test_a_store_that_does_not_answer_in_time_leaves_the_form_and_says_what_to_do(part: Any, path: str):
    response: Any = await part(FakeClock()).list(visit(f"{path}?type=rare.*"))
    assert response.status == 503
    assert "did not answer in time" in response.text
    assert "Narrow it by time" in response.text
    assert 'value="rare.*"' in response.text
    assert "data-fresh" not in response.text


@pytest.mark.parametrize(
    ("query", "cleaned"),
    [
        ("", None),
        ("?type=a", None),
        ("?type=a&source=&q=", "/events?type=a"),
        ("?source=", "/events"),
        ("?type=a%26b&q=", "/events?type=a%26b"),
    ],
)
def test_a_url_has_nothing_in_it_that_says_nothing(query: str, cleaned: str | None):
    assert clean(visit(f"/events{query}")) == cleaned


def test_a_range_of_time_keeps_the_other_filters_and_begins_at_the_first_page():
    found = dict(ranges(visit("/events?type=a&cursor=x&until=2026-01-01T00:00:00Z"), "2026-01-31T12:00:00.123Z"))
    assert found["last hour"] == "/events?type=a&since=2026-01-31T11%3A00%3A00Z"
    assert found["any time"] == "/events?type=a"
    assert "any time" not in dict(ranges(visit("/events?type=a"), "2026-01-31T12:00:00.123Z"))


@pytest.mark.parametrize("took_s", [0.0, 0.01, 0.2, 1.9])
def test_what_takes_long_to_read_is_read_again_seldom(took_s: float):
    again_s = fresh_s(took_s)
    assert again_s >= FRESH_S_MIN
    assert took_s <= COST_MAX * again_s
    assert fresh_s(took_s, 600) == 600


@pytest.mark.parametrize(
    ("command", "place"),
    [
        ("webhookd endpoints resume shop", "/endpoints/shop"),
        ("webhookd endpoints show shop", "/endpoints/shop"),
        ("webhookd endpoints list", "/endpoints"),
        ("webhookd why evt_1", "/events/evt_1"),
        ("webhookd replay evt_1", "#deliveries"),
        ("webhookd replay evt_1 --endpoint NAME", "#deliveries"),
        ("webhookd replay dlv_1", "#dlv_1"),
        ("webhookd events show evt_1 --body", "#body"),
        ("webhookd elsewhere", None),
        (None, None),
    ],
)
def test_advice_leads_to_the_place_where_it_can_be_followed(command: str | None, place: str | None):
    subject = Subject("evt_1", "stripe", "stripe", "evt_2", "a.b", "accepted", "2026-01-31T12:00:00.000Z", None)
    story = Story(subject, None, "", (), 0, [Advice("Do it.", command)])
    [found] = advised(story)
    assert (found.place, found.command) == (place, command)
