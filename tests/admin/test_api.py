"""The API: who may ask, what may be asked, and what the answers hold."""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import yarl
from prometheus_client.parser import text_string_to_metric_families

from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.running import PATIENCE_S
from webhookd.core.delivery import DELIVERY_STATES
from webhookd.core.event import EVENT_STATES
from webhookd.core.identifier import delivery_id, event_id, parse_event_id

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS, DELIVERIES = "/api/v1/events", "/api/v1/deliveries"
NO_EVENT, NO_DELIVERY = event_id(5, 5), delivery_id(5, 5)
EVENT_FIELDS = {
    *("id", "source", "provider", "provider_event_id", "type", "state", "received_at", "occurred_at", "size"),
    *("sha256", "payment"),
}
DELIVERY_FIELDS = {
    *("id", "event_id", "endpoint", "state", "attempts", "next_attempt_at", "last_status", "last_error"),
    *("created_at", "settled_at"),
}
ATTEMPT_FIELDS = {"number", "started_at", "duration_ms", "status", "error", "response", "replay"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("api")) as found:
        yield found


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def ask(
    dev: DevDaemon, path: str, method: str = "GET", authorization: str | None = "right", **query: Any
) -> Answer:
    headers = {} if authorization is None else {"Authorization": authorization}
    if authorization == "right":
        headers = {"Authorization": f"Bearer {dev.running.token}"}
    async with dev.session.request(method, dev.running.admin + path, params=query, headers=headers) as response:
        return Answer(response.status, response.headers, await response.read())


def assert_problem(answer: Answer, status: int) -> str:
    """An error as the contract has it; its detail."""
    assert answer.status == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    found = answer.json
    assert {"type", "title", "status", "detail"} <= found.keys()
    assert found["status"] == status
    return str(found["detail"])


# --- Who may ask


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {} "])
async def test_the_token_opens_the_api(dev: DevDaemon, form: str) -> None:
    answer = await ask(dev, "/api/v1/status", authorization=form.format(dev.running.token))
    assert answer.status == 200


async def test_a_post_without_the_token_changes_nothing(dev: DevDaemon) -> None:
    answer = await ask(dev, "/api/v1/endpoints/local/pause", "POST", authorization=None)
    assert_problem(answer, 401)
    (local,) = (await dev.get("/api/v1/status"))["endpoints"]
    assert local["state"] == "active"


async def test_hooks_are_not_taken_on_the_admin_listener_nor_the_api_on_the_public_one(dev: DevDaemon) -> None:
    assert (await ask(dev, "/webhooks/stripe", "POST")).status == 404
    headers = {"Authorization": f"Bearer {dev.running.token}"}
    for path in (EVENTS, "/metrics", "/api/v1/status"):
        async with dev.session.get(dev.running.hooks + path, headers=headers) as response:
            assert response.status == 404


# --- What may be asked


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/v1/",
        "/api/v1/nothing",
        "/api/v2/events",
        f"{EVENTS}/{NO_EVENT}",
        f"{EVENTS}/{NO_EVENT}/body",
        f"{EVENTS}/{NO_EVENT.upper()}",
        f"{EVENTS}/{NO_DELIVERY}",
        f"{EVENTS}/evt_1",
        f"{EVENTS}/%00",
        f"{EVENTS}/..%2f..%2fstatus",
        f"{EVENTS}/{'x' * 3000}",
        f"{DELIVERIES}/{NO_DELIVERY}",
        f"{DELIVERIES}/{NO_EVENT}",
        f"{DELIVERIES}/5",
    ],
)
async def test_what_is_not_there_is_404_and_not_quoted(dev: DevDaemon, path: str) -> None:
    detail = assert_problem(await ask(dev, path), 404)
    assert path.rpartition("/")[2][:20] not in detail or path.endswith("/")


async def test_an_event_is_not_found_by_its_place_in_the_log_alone(dev: DevDaemon) -> None:
    found = await dev.send(stripe_event("salted"))
    key, salt = parse_event_id(found)
    assert (await ask(dev, f"{EVENTS}/{found}")).status == 200
    for path in (f"{EVENTS}/{event_id(key, salt ^ 1)}", f"{EVENTS}/{event_id(key, salt ^ 1)}/body"):
        assert_problem(await ask(dev, path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/api/v1/status", {"GET", "HEAD"}),
        ("DELETE", EVENTS, {"GET", "HEAD"}),
        ("PUT", f"{EVENTS}/{NO_EVENT}", {"GET", "HEAD"}),
        ("PATCH", DELIVERIES, {"GET", "HEAD"}),
        ("GET", "/api/v1/endpoints/local/pause", {"POST"}),
        ("POST", "/metrics", {"GET", "HEAD"}),
    ],
)
async def test_a_wrong_method_is_405_and_says_which_are_right(
    dev: DevDaemon, method: str, path: str, allowed: set[str]
) -> None:
    answer = await ask(dev, path, method)
    assert_problem(answer, 405)
    assert {each.strip() for each in answer.headers["Allow"].split(",")} >= allowed


@pytest.mark.parametrize("path", [EVENTS, DELIVERIES])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("colour", "green"),
        ("State", "accepted"),
        ("state", "wrong"),
        ("state", ""),
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "501"),
        ("limit", "ten"),
        ("limit", ""),
        ("limit", "1.5"),
        ("limit", "1e2"),
        ("limit", "٥"),
        ("limit", " 5"),
        ("limit", "000000001999"),
        ("limit", "000000001" + "9" * 30),
        ("limit", "1" + "0" * 5_000),
        ("cursor", ""),
        ("cursor", "nonsense"),
        ("cursor", "é"),
        ("cursor", "bnVsbA"),
        ("cursor", "Wy0xXQ"),
        ("cursor", "WzEsMiwzXQ"),
        ("cursor", "WzkyMjMzNzIwMzY4NTQ3NzU4MDhd"),
        ("since", "yesterday"),
        ("since", ""),
        ("since", "2026-01-31"),
        ("since", "2026-01-31T12:00:00"),
        ("since", "1700000000"),
        ("since", "2026-W05-6T12:00:00Z"),
        ("since", "20260131T120000Z"),
        ("since", "2026-01-31T12:00:00+99:00"),
        ("until", "2026-13-31T12:00:00Z"),
        ("until", "2026-01-31T12:00:00 Z"),
        ("until", "0001-01-01T00:00:00Z"),
    ],
)
async def test_a_parameter_that_makes_no_sense_is_422_and_named(
    dev: DevDaemon, path: str, name: str, value: str
) -> None:
    detail = assert_problem(await ask(dev, path, **{name: value}), 422)
    assert name in detail
    assert len(detail) < 300


@pytest.mark.parametrize("value", ["", "5", NO_DELIVERY, NO_EVENT.upper()])
async def test_events_after_something_that_is_no_event_is_422(dev: DevDaemon, value: str) -> None:
    assert "after" in assert_problem(await ask(dev, EVENTS, after=value), 422)


@pytest.mark.parametrize("query", ["source=%ff%fe", "type=%00", "provider=%F0%9F%92%B8", "type=[", "type=[^", "q"])
async def test_any_bytes_in_a_query_are_answered_and_never_an_error_of_ours(dev: DevDaemon, query: str) -> None:
    url = yarl.URL(f"{dev.running.admin}{EVENTS}?{query}", encoded=True)
    async with dev.session.get(url, headers={"Authorization": f"Bearer {dev.running.token}"}) as response:
        assert response.status in {200, 422}


async def test_a_wrong_parameter_is_answered_with_the_right_ones(dev: DevDaemon) -> None:
    assert "limit" in assert_problem(await ask(dev, EVENTS, limt="5"), 422)
    for state in EVENT_STATES:
        assert state in assert_problem(await ask(dev, EVENTS, state="dead"), 422)
    for state in DELIVERY_STATES:
        assert state in assert_problem(await ask(dev, DELIVERIES, state="accepted"), 422)


async def test_a_list_of_events_knows_no_endpoint(dev: DevDaemon) -> None:
    assert "endpoint" in assert_problem(await ask(dev, EVENTS, endpoint="local"), 422)


@pytest.mark.parametrize("path", ["/api/v1/status", EVENTS, f"{EVENTS}/{NO_EVENT}", "/metrics", "/nothing"])
async def test_no_answer_is_cached_sniffed_or_framed(dev: DevDaemon, path: str) -> None:
    headers = (await ask(dev, path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]


# --- What the answers hold


async def test_an_event_carries_what_the_contract_says(dev: DevDaemon) -> None:
    body = json.dumps(stripe_event("whole", note="2 × mug"), ensure_ascii=False).encode()
    found = await dev.send(body)
    event = await dev.get(f"{EVENTS}/{found}")
    assert event.keys() >= EVENT_FIELDS | {"headers", "deliveries"}
    assert (event["id"], event["source"], event["provider"]) == (found, "stripe", "stripe")
    assert (event["provider_event_id"], event["type"], event["state"]) == ("evt_whole", "charge.refunded", "accepted")
    assert (event["size"], event["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert event["payment"] == {"provider": "stripe", "id": "pi_whole"}
    assert event["occurred_at"] == "2023-11-14T22:13:20.000Z"
    assert TIME.fullmatch(event["received_at"])
    assert event["headers"]["content-type"] == "application/json"
    assert event["headers"]["stripe-signature"].startswith("t=")
    assert event["headers"].keys() <= {"content-type", "stripe-signature", "user-agent"}


async def test_a_delivery_carries_what_the_contract_says(dev: DevDaemon) -> None:
    found = await dev.send(stripe_event("to-deliver"))
    async with asyncio.timeout(PATIENCE_S):
        in_event = await dev.delivered(found)
    delivery = await dev.get(f"{DELIVERIES}/{in_event['id']}")
    assert delivery == in_event
    assert delivery.keys() >= DELIVERY_FIELDS | {"history"}
    assert (delivery["event_id"], delivery["endpoint"], delivery["state"]) == (found, "local", "delivered")
    assert (delivery["attempts"], delivery["next_attempt_at"]) == (1, None)
    assert (delivery["last_status"], delivery["last_error"]) == (200, None)
    assert delivery["created_at"] <= delivery["settled_at"]
    (attempt,) = delivery["history"]
    assert attempt.keys() >= ATTEMPT_FIELDS
    assert (attempt["number"], attempt["status"], attempt["error"], attempt["replay"]) == (1, 200, None, False)
    assert attempt["response"] == "thank you"
    for at in (delivery["created_at"], delivery["settled_at"], attempt["started_at"]):
        assert TIME.fullmatch(at)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id":"evt_exact","type":"charge.refunded" , "price": 1.0}\n',
        b"not json at all \x00\xff\xfe",
        b"<script>alert(document.cookie)</script>",
        b"",
    ],
    ids=ascii,
)
async def test_a_body_comes_back_byte_for_byte_as_a_download_and_never_as_a_page(dev: DevDaemon, body: bytes) -> None:
    found = await dev.send(body)
    answer = await ask(dev, f"{EVENTS}/{found}/body")
    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{found}.json"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]


async def test_a_body_that_is_no_event_is_quarantined_visible_and_owed_to_nobody(dev: DevDaemon) -> None:
    found = await dev.send(b'{"type": "charge.refunded", "but": "no id"}')
    event = await dev.get(f"{EVENTS}/{found}")
    assert (event["state"], event["type"], event["deliveries"]) == ("quarantined", "webhookd.quarantined", [])
    listed = await dev.get(EVENTS, state="quarantined")
    assert found in [each["id"] for each in listed["data"]]


async def pages(dev: DevDaemon, path: str, limit: int, **query: Any) -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    while True:
        page = await dev.get(path, limit=limit, **query, **({"cursor": cursor} if cursor else {}))
        assert page.keys() >= {"data", "next_cursor"}
        assert len(page["data"]) <= limit
        found.append(page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 4, 11, 12, 13, 500])
async def test_paging_visits_every_event_once_the_newest_first(dev: DevDaemon, limit: int) -> None:
    kind = f"paging.by_{limit}"
    sent = [await dev.send(stripe_event(f"{kind}-{number}", kind)) for number in range(12)]
    visited = [event["id"] for page in await pages(dev, EVENTS, limit, type=kind) for event in page]
    assert visited == sent[::-1]
    deliveries = [each["event_id"] for page in await pages(dev, DELIVERIES, limit, type=kind) for each in page]
    assert deliveries == sent[::-1]


async def test_events_that_come_while_somebody_pages_shift_nothing(dev: DevDaemon) -> None:
    sent = [await dev.send(stripe_event(f"shift-{number}", "shift")) for number in range(6)]
    first = await dev.get(EVENTS, type="shift", limit=3)
    await dev.send(stripe_event("shift-late", "shift"))
    second = await dev.get(EVENTS, type="shift", limit=3, cursor=first["next_cursor"])
    assert [event["id"] for event in first["data"] + second["data"]] == sent[::-1]


async def test_a_cursor_of_one_list_is_not_taken_by_the_other(dev: DevDaemon) -> None:
    for number in range(2):
        await dev.send(stripe_event(f"cursor-{number}"))
    for path, other in ((EVENTS, DELIVERIES), (DELIVERIES, EVENTS)):
        cursor = (await dev.get(path, limit=1))["next_cursor"]
        assert "cursor" in assert_problem(await ask(dev, other, cursor=cursor), 422)


async def test_events_after_one_come_in_the_order_they_were_received(dev: DevDaemon) -> None:
    sent = [await dev.send(stripe_event(f"after-{number}", "after")) for number in range(4)]
    newer = await dev.get(EVENTS, after=sent[0], type="after")
    assert [event["id"] for event in newer["data"]] == sent[1:]


async def test_a_list_of_events_says_how_their_deliveries_stand_where_that_is_asked_for(dev: DevDaemon) -> None:
    event = await dev.send(stripe_event("states", "states.one"))
    await dev.delivered(event)
    [plain] = (await dev.get(EVENTS, type="states.*"))["data"]
    [counted] = (await dev.get(EVENTS, type="states.*", delivery_states="true"))["data"]
    assert plain.keys() == EVENT_FIELDS
    assert counted == {**plain, "delivery_states": {"delivered": 1}}


async def test_a_list_can_be_narrowed_by_each_of_its_filters(dev: DevDaemon) -> None:
    stripe = await dev.send(stripe_event("narrow", "narrow.stripe"))
    standard = await dev.send({"type": "narrow.standard"}, "standard", "msg_narrow")

    async def ids(path: str = EVENTS, **query: str) -> list[str]:
        found = await dev.get(path, **{"type": "narrow.*", **query})
        return [each["id" if path == EVENTS else "event_id"] for each in found["data"]]

    for path in (EVENTS, DELIVERIES):
        assert await ids(path) == [standard, stripe]
        assert await ids(path, source="stripe") == [stripe]
        assert await ids(path, provider="standard") == [standard]
        assert await ids(path, type="narrow.stripe") == [stripe]
        assert await ids(path, type="narrow.s*e") == [stripe]
        assert await ids(path, source="stripe", provider="standard") == []
        assert await ids(path, source="' OR 1=1 --") == []
        assert await ids(path, since="1970-01-01T00:00:00Z", until="9999-12-31T23:59:59Z") == [standard, stripe]
        assert await ids(path, since="9999-12-31T23:59:59Z") == []
        assert await ids(path, until="1970-01-01T00:00:00Z") == []
    assert await ids(state="accepted") == [standard, stripe]
    assert await ids(state="unrouted") == []
    assert await ids(DELIVERIES, endpoint="local") == [standard, stripe]
    assert 'no endpoint "nobody"' in assert_problem(await ask(dev, DELIVERIES, endpoint="nobody"), 422)
    assert await ids(DELIVERIES, state="dead") == []


async def test_since_and_until_divide_the_log_at_the_millisecond(dev: DevDaemon) -> None:
    sent = [await dev.send(stripe_event(f"time-{number}", "time")) for number in range(3)]
    events = (await dev.get(EVENTS, type="time"))["data"]
    middle = events[1]["received_at"]
    since = [each["id"] for each in (await dev.get(EVENTS, type="time", since=middle))["data"]]
    assert since == [each["id"] for each in events if each["received_at"] >= middle]
    assert sent[1] in since
    zoned = middle.replace("Z", "+00:00")
    assert [each["id"] for each in (await dev.get(EVENTS, type="time", since=zoned))["data"]] == since


async def test_the_status_counts_what_happened(dev: DevDaemon) -> None:
    before = await dev.get("/api/v1/status")
    found = await dev.send(stripe_event("counted"))
    async with asyncio.timeout(PATIENCE_S):
        await dev.delivered(found)
        # What was delivered is counted once it is on record: who asks in that very moment is a moment early.
        while (after := await dev.get("/api/v1/status"))["delivered"] <= before["delivered"]:
            pass
    assert (after["ready"], after["why_not_ready"]) == (True, None)
    assert after["accepted"] == before["accepted"] + 1
    (local,) = after["endpoints"]
    assert local.keys() >= {"name", "url", "state", "in_flight", "backlog", "managed_by"}
    assert (local["name"], local["state"], local["managed_by"]) == ("local", "active", "config")


async def test_a_paused_endpoint_keeps_what_it_is_owed_until_it_is_resumed(dev: DevDaemon) -> None:
    paused = await ask(dev, "/api/v1/endpoints/local/pause", "POST")
    assert (paused.status, paused.json["name"], paused.json["state"]) == (200, "local", "paused")
    found = await dev.send(stripe_event("held"))
    (held,) = (await dev.get(f"{EVENTS}/{found}"))["deliveries"]
    assert (held["state"], held["attempts"]) == ("pending", 0)
    assert held["next_attempt_at"] is not None
    assert (await dev.get("/api/v1/status"))["backlog"] >= 1
    resumed = await ask(dev, "/api/v1/endpoints/local/resume", "POST")
    assert (resumed.status, resumed.json["state"]) == (200, "active")
    async with asyncio.timeout(PATIENCE_S):
        await dev.delivered(found)


@pytest.mark.parametrize("verb", ["pause", "resume"])
@pytest.mark.parametrize("name", ["nobody", "LOCAL", "lo%63al%00"])
async def test_an_endpoint_that_is_not_there_cannot_be_paused(dev: DevDaemon, verb: str, name: str) -> None:
    assert_problem(await ask(dev, f"/api/v1/endpoints/{name}/{verb}", "POST"), 404)


# --- Metrics

METRICS = {
    "webhookd_hooks": ("counter", {"source", "result"}),
    "webhookd_attempts": ("counter", {"endpoint", "result"}),
    "webhookd_deliveries": ("counter", {"endpoint", "state"}),
    "webhookd_backlog": ("gauge", {"endpoint"}),
    "webhookd_oldest_pending_seconds": ("gauge", {"endpoint"}),
    "webhookd_ack_seconds": ("histogram", {"le"}),
    "webhookd_commit_seconds": ("histogram", {"le"}),
    "webhookd_attempt_seconds": ("histogram", {"le"}),
    "webhookd_hook_to_delivered_seconds": ("histogram", {"le"}),
}


async def metrics(dev: DevDaemon) -> dict[str, Any]:
    answer = await ask(dev, "/metrics", authorization=None)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    return {family.name: family for family in text_string_to_metric_families(answer.body.decode())}


async def test_the_metrics_have_the_names_and_labels_of_the_contract_and_need_no_token(dev: DevDaemon) -> None:
    found = await dev.send(stripe_event("measured"))
    async with asyncio.timeout(PATIENCE_S):
        await dev.delivered(found)
    families = await metrics(dev)
    for name, (kind, labels) in METRICS.items():
        assert families[name].type == kind, name
        assert {label for sample in families[name].samples for label in sample.labels} == labels, name
    names = {sample.name for family in families.values() for sample in family.samples}
    assert {"webhookd_hooks_total", "webhookd_attempts_total", "webhookd_deliveries_total"} <= names


async def test_hooks_are_counted_by_source_and_result(dev: DevDaemon) -> None:
    def count(families: dict[str, Any], **labels: str) -> float:
        samples = families["webhookd_hooks"].samples
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    before = await metrics(dev)
    first = await dev.send(stripe_event("tallied"))
    assert await dev.send(stripe_event("tallied")) == first
    await dev.send(b"no event at all, of its own kind")
    async with dev.session.post(f"{dev.running.hooks}/webhooks/stripe", data=b"{}") as response:
        assert response.status == 401
    after = await metrics(dev)
    for result in ("accepted", "duplicate", "quarantined", "no_signature"):
        labels = {"source": "stripe", "result": result}
        assert count(after, **labels) == count(before, **labels) + 1, result


async def test_no_stranger_can_make_the_metrics_grow(dev: DevDaemon) -> None:
    before = await metrics(dev)
    for number in range(20):
        async with dev.session.post(f"{dev.running.hooks}/webhooks/source-{number}", data=b"{}") as response:
            assert response.status == 404
    after = await metrics(dev)
    assert len(after["webhookd_hooks"].samples) <= len(before["webhookd_hooks"].samples) + 2
