"""What the API is asked that it should not do: each is refused in a way that says why, and nothing comes of it.

The rows are those of the catalogue of bad input; who may ask at all, and publishing, have tests of their own.
"""

import json
import re
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
import yarl

from tests.admin.desk import Answer
from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.running import PATIENCE_S

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(51)]
JSON = {"Content-Type": "application/json"}


class Door:
    """Asks whatever it is told to, with the right token unless told otherwise."""

    def __init__(self, dev: DevDaemon, described: dict[str, Any]) -> None:
        self.dev = dev
        self.operations = [
            (method.upper(), re.sub(r"\{\w+\}", "nothing", path), each)
            for path, item in described["paths"].items()
            for method, each in item.items()
        ]
        # An export that is reconciled is no JSON object.
        self.changes = [
            (method, path) for method, path, _ in self.operations if method != "GET" and "/reconcile/" not in path
        ]

    async def ask(
        self, method: str, path: str, body: bytes | Any = None, headers: dict[str, str] | None = None, query: str = ""
    ) -> Answer:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"Authorization": f"Bearer {self.dev.running.token}", **(JSON if headers is None else headers)}
        url = yarl.URL(f"{self.dev.running.admin}{path}{query}", encoded=True)
        async with self.dev.session.request(method, url, data=BytesIO(raw), headers=given) as response:
            return Answer(response.status, response.headers, await response.read())

    async def refused(self, *asked: Any, **more: Any) -> str:
        """The detail of a 422."""
        answer = await self.ask(*asked, **more)
        assert answer.status == 422, answer.body
        return str(answer.json["detail"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with dev_daemon(tmp_path_factory.mktemp("bad")) as dev:
        async with dev.session.get(f"{dev.running.admin}/api/v1/openapi.json") as response:
            described = await response.json()
        yield Door(dev, described)


# --- Row 63: from a page of another site


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_a_form_of_another_site_changes_nothing_even_with_a_token(door: Door, media: str):
    foreign = {"Content-Type": media, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await door.ask("POST", "/api/v1/replays", b'{"state": "dead"}', foreign)
    assert (answer.status, "application/json" in answer.json["detail"]) == (415, True)
    async with door.dev.session.post(f"{door.dev.running.admin}/api/v1/endpoints/local/pause", headers=foreign) as got:
        assert got.status == 401
        assert not [name for name in got.headers if name.lower().startswith(("access-control", "set-cookie"))]


# --- Rows 64 to 66: endpoints that must not be

NEW = {"name": "bad", "url": "http://127.0.0.1:10999/"}


@pytest.mark.parametrize(
    "url",
    [
        *("http://93.184.216.34/", "file:///etc/passwd", "gopher://shop.example/", "https://user:pass@shop.example/"),
        *("https://shop.example/#part", "https://shop.example:22/", "https://shop.example/" + "a" * 2_100),
        *("https://shop.example/\r\nX-Evil: 1", "https://shоp.example\x00/"),
    ],
    ids=ascii,
)
async def test_a_url_that_no_hook_should_be_sent_to_is_422(door: Door, url: str):
    assert "url: " in await door.refused("POST", "/api/v1/endpoints", {**NEW, "url": url})


@pytest.mark.parametrize(
    "host",
    [
        *("10.0.0.1", "[fd00::1]", "[::ffff:a00:1]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "169.254.169.254"),
        *("2852039166", "0xa9.0xfe.0xa9.0xfe", "0", "[::]", "255.255.255.255"),
    ],
)
async def test_an_address_inside_is_422_however_it_is_written(door: Door, host: str):
    assert "url: " in await door.refused("POST", "/api/v1/endpoints", {**NEW, "url": f"https://{host}/"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("X Key", "v"), ("X-Key", "a\r\nb"), ("X-Key", "\x00"), ("Host", "v"), ("Content-Length", "5"), ("X:Y", "v")],
)
async def test_a_header_that_would_break_a_request_is_422(door: Door, name: str, value: str):
    assert "headers" in await door.refused("POST", "/api/v1/endpoints", {**NEW, "headers": {name: value}})


# --- Row 69: too much at once


async def test_a_replay_of_everything_is_a_job_and_no_request_that_lasts(door: Door):
    for number in range(3):
        await door.dev.send(stripe_event(f"everything-{number}", "everything"))
    answer = await door.ask("POST", "/api/v1/replays", {"type": "everything", "rate": 0.01})
    assert (answer.status, answer.json["total"], answer.json["state"]) == (202, 3, "running")
    cancelled = await door.ask("POST", f"/api/v1/replays/{answer.json['id']}/cancel")
    assert cancelled.json["state"] == "cancelled"


async def test_more_ids_than_a_person_can_mean_are_422(door: Door):
    assert "ids: " in await door.refused("POST", "/api/v1/replays", {"ids": ["evt_1"] * 1_001})


@pytest.mark.parametrize("limit", ["0", "501", "1000000000", "1" + "0" * 400, "-1", "1e9", "ten", ""])
async def test_a_limit_that_is_none_is_422_for_every_list(door: Door, limit: str):
    lists = [path for method, path, each in door.operations if "limit" in {p["name"] for p in each["parameters"]}]
    assert len(lists) > 15
    for path in lists:
        assert "limit: must be a whole number from 1 to 500" in await door.refused("GET", path, query=f"?limit={limit}")


# --- Row 70: what nobody has asked for


async def test_a_field_that_is_not_known_is_422_and_named_by_every_operation(door: Door):
    assert len(door.changes) > 12
    for method, path in door.changes:
        answer = await door.ask(method, path, {"no_such_field": 1})
        if path.startswith("/api/v1/endpoints/nothing"):  # one that is not there is told first by some
            assert answer.status in (404, 422)
        else:
            assert (answer.status, "no_such_field" in str(answer.json["detail"])) == (422, True), (method, path)


async def test_a_parameter_that_is_not_known_is_422_and_named_by_every_operation(door: Door):
    for method, path, _ in door.operations:
        assert "no_such_parameter: " in await door.refused(method, path, query="?no_such_parameter=1")


async def test_a_parameter_that_is_given_twice_is_422(door: Door):
    assert "limit: is given more than once" in await door.refused("GET", "/api/v1/events", query="?limit=5&limit=6")


async def test_all_that_is_wrong_is_told_at_once(door: Door):
    query = "?limit=0&state=lost&since=yesterday&type=%5B&provider=acme&colour=red"
    answer = await door.ask("GET", "/api/v1/events", query=query)
    assert answer.wrong.keys() == {"limit", "state", "since", "type", "provider", "colour"}
    for field, reason in answer.wrong.items():
        assert f"{field}: {reason}" in answer.json["detail"]


async def test_what_is_wrong_with_the_query_and_with_the_body_is_told_together(door: Door):
    answer = await door.ask("POST", "/api/v1/replays", {"state": "lost", "rate": -1}, query="?colour=red")
    assert answer.wrong.keys() == {"colour", "state", "rate"}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b"5", b'"text"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000]
)
async def test_a_body_that_is_no_json_object_is_422_for_every_operation(door: Door, body: bytes):
    for method, path in door.changes:
        assert "body: must be a JSON object" in await door.refused(method, path, body)


async def test_of_a_field_that_is_there_twice_the_last_one_counts(door: Door):
    answer = await door.ask("POST", "/api/v1/replays", b'{"state": "lost", "state": "dead", "dry_run": true}')
    assert (answer.status, answer.json["selection"]) == (202, {"state": "dead"})


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/octet-stream", "json", ""])
async def test_a_body_that_is_not_called_json_is_415_for_every_operation(door: Door, media: str):
    for method, path in door.changes:
        assert (await door.ask(method, path, b"{}", {"Content-Type": media})).status == 415, (method, path)


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
async def test_a_body_that_is_called_json_is_taken(door: Door, media: str):
    answer = await door.ask("POST", "/api/v1/replays", b'{"state": "dead", "dry_run": true}', {"Content-Type": media})
    assert answer.status == 202


async def test_a_body_that_is_too_large_is_413_for_every_operation(door: Door):
    for method, path in door.changes:
        answer = await door.ask(method, path, b" " * (2**20 + 1))
        assert (answer.status, answer.headers["Content-Type"]) == (413, "application/problem+json"), (method, path)


# --- Row 72: each listener has its own


async def test_nothing_of_the_operator_is_on_the_public_listener_and_the_other_way_round(door: Door):
    paths = {path for _, path, _ in door.operations} | {"/metrics", "/api/v1/openapi.json", "/api/v1/tokens"}
    headers = {"Authorization": f"Bearer {door.dev.running.token}"}
    for path in paths:
        async with door.dev.session.get(door.dev.running.hooks + path, headers=headers) as response:
            assert response.status == 404
    for path in ("/healthz", "/readyz", "/webhooks/stripe"):
        assert (await door.ask("GET", path)).status == 404


# --- What any server is asked


async def test_a_head_is_a_get_without_its_body(door: Door):
    for path in ("/api/v1/events", "/api/v1/status", "/metrics"):
        answer = await door.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")
    assert (await door.ask("HEAD", "/api/v1/events", query="?limit=0")).status == 422


async def test_options_says_what_may_be_asked_and_opens_nothing_to_other_sites(door: Door):
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "DELETE"}
    answer = await door.ask("OPTIONS", "/api/v1/endpoints/local", headers=preflight)
    assert (answer.status, answer.body) == (204, b"")
    assert {each.strip() for each in answer.headers["Allow"].split(",")} >= {"GET", "HEAD", "PATCH", "DELETE"}
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert (await door.ask("OPTIONS", "/api/v1/nothing")).status == 404


async def test_what_a_client_expects_is_met_or_refused_and_never_quoted(door: Door):
    answer = await door.ask(
        "POST", "/api/v1/replays", {"state": "dead", "dry_run": True}, JSON | {"Expect": "100-continue"}
    )
    assert answer.status == 202
    answer = await door.ask("GET", "/api/v1/status", headers={"Expect": "a-miracle"})
    assert (answer.status, answer.headers["Content-Type"]) == (417, "application/problem+json")
    assert b"miracle" not in answer.body


async def test_no_answer_tells_what_it_runs_on(door: Door):
    for path in ("/metrics", "/api/v1/status", "/api/v1/nothing", "/nothing"):
        assert (await door.ask("GET", path)).headers["Server"] == "webhookd"
    async with door.dev.session.get(f"{door.dev.running.admin}/api/v1/status") as response:
        assert (response.status, response.headers["Server"]) == (401, "webhookd")


async def test_after_all_of_it_nothing_has_changed_and_nothing_went_wrong_here(door: Door, tmp_path: Path):
    endpoints = await door.dev.get("/api/v1/endpoints")
    assert [(each["name"], each["state"]) for each in endpoints["data"]] == [("local", "active")]
    assert [line for line in door.dev.running.log if line.get("event") == "admin_request_failed"] == []
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(door.dev.running.hooks + "/readyz") as got,
    ):
        assert got.status == 200
