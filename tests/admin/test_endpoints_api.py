"""The endpoints' part of the API: what it shows, what it refuses, and by which name."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import Merchant, merchant
from tests.running import ENDPOINT_SECRET, configuration, daemon, endpoint
from webhookd.admin.endpoints import PINGS_MAX
from webhookd.admin.registry import SECRETS_MAX
from webhookd.config.model import EndpointSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

FIELDS = {
    *("name", "url", "state", "why", "managed_by", "breaker", "retry_at", "failing_since", "in_flight", "backlog"),
    *("in_flight_limit", "dead", "oldest_pending_at", "created_at", "sources", "events", "max_in_flight", "rate_limit"),
    *("ordering", "signature", "schedule", "timeout", "disable_after", "allow_http", "headers", "has_ca"),
    *("has_client_certificate", "secrets", "last_failure"),
}
WHOLE = {
    "url": "http://127.0.0.1:10999/hooks?a=b",
    "sources": ["stripe"],
    "events": ["charge.*", "refund.created"],
    "max_in_flight": 3,
    "rate_limit": "50/s",
    "ordering": "payment",
    "signature": "standard",
    "schedule": ["0s", "90s", "2h"],
    "timeout": "2500ms",
    "disable_after": "never",
    "allow_http": True,
    "headers": {"X-Key": "the value of a header"},
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Merchant]:
    async with merchant() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def operator(tmp_path_factory: pytest.TempPathFactory, shop: Merchant) -> AsyncIterator[Desk]:
    """Of a daemon with a configured endpoint, which listens on a port that can be foretold."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        own = taken.getsockname()[1]
    config = configuration(endpoints=endpoint("configured", shop.port) + endpoint("itself", own))
    config = config.replace('listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{own}"', 1)
    async with daemon(tmp_path_factory.mktemp("api"), config) as running, desk(running) as found:
        yield found


Add = Callable[..., Any]


@pytest_asyncio.fixture(loop_scope="module")
async def new(operator: Desk) -> AsyncIterator[Add]:
    """Adds endpoints that are removed after the test."""
    names = []

    async def add(name: str, **settings: Any) -> Any:
        names.append(name)
        return await operator.done("POST", "/endpoints", {"name": name, "url": "http://127.0.0.1:10999/", **settings})

    yield add
    for name in names:
        await operator.ask("DELETE", f"/endpoints/{name}")


# --- What is shown


async def test_an_endpoint_is_shown_as_it_was_asked_for_and_its_secrets_never_again(operator: Desk, new: Add):
    added = await new("whole", **WHOLE, secret_kind="ed25519")
    assert added.keys() == FIELDS | {"secret"}
    assert added["secret"].startswith("whsk_")
    answer = await operator.ask("GET", "/endpoints/whole")
    shown = answer.json
    assert shown.keys() == FIELDS
    assert {name: shown[name] for name in WHOLE} == {**WHOLE, "headers": {"X-Key": "********"}}
    assert (shown["state"], shown["why"], shown["breaker"], shown["managed_by"]) == ("active", None, "closed", "api")
    [secret] = shown["secrets"]
    assert (secret["kind"], secret["public_key"][:5], secret["until"]) == ("ed25519", "whpk_", None)
    listed = (await operator.ask("GET", "/endpoints")).body + (await operator.ask("GET", "/status")).body
    for text in (added["secret"], added["secret"].removeprefix("whsk_"), "the value of a header"):
        assert text.encode() not in answer.body + listed


async def test_what_nobody_asked_for_is_the_configurations_default(new: Add):
    added = await new("plain")
    assert (added["sources"], added["events"], added["headers"]) == ([], [], {})
    assert (added["max_in_flight"], added["rate_limit"], added["timeout"]) == (8, None, "15s")
    assert added["schedule"] == ["0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"]
    assert (added["disable_after"], added["ordering"], added["signature"]) == ("5d", "none", "standard")


async def test_a_secret_that_was_given_is_shown_to_nobody(operator: Desk, new: Add):
    assert "secret" not in await new("given", secret=ENDPOINT_SECRET)
    assert ENDPOINT_SECRET.encode() not in (await operator.ask("GET", "/endpoints/given")).body


async def test_a_patch_changes_what_it_names_and_null_takes_back_to_the_default(operator: Desk, new: Add):
    await new("patched", **WHOLE)
    patch = {"rate_limit": None, "timeout": None, "max_in_flight": 5, "headers": {"X-Other": "value", "X-Key": None}}
    changed = await operator.done("PATCH", "/endpoints/patched", patch)
    expected = {**WHOLE, "rate_limit": None, "timeout": "15s", "max_in_flight": 5, "headers": {"X-Other": "********"}}
    assert {name: changed[name] for name in WHOLE} == expected
    assert await operator.done("PATCH", "/endpoints/patched", {}) == changed
    assert await operator.done("PATCH", "/endpoints/patched", {"headers": None}) == {**changed, "headers": {}}


async def test_a_patch_knows_a_header_however_its_name_is_written(operator: Desk, new: Add):
    async def patched(**headers: str | None) -> Any:
        return (await operator.done("PATCH", "/endpoints/keyed", {"headers": headers}))["headers"].keys()

    await new("keyed")
    assert await patched(Nobody=None) == set(), "null for what is not there is nothing"
    assert await patched(Authorization="Bearer x", Other="y") == {"Authorization", "Other"}
    assert await patched(AUTHORIZATION="Bearer z") == {"AUTHORIZATION", "Other"}
    assert await patched(authorization=None, Nobody=None) == {"Other"}
    twice = await operator.ask("PATCH", "/endpoints/keyed", {"headers": {"other": "a", "OTHER": "b"}})
    assert twice.wrong == {"headers.OTHER": "is there twice"}


async def test_what_is_shown_can_be_asked_for_again(operator: Desk, new: Add):
    shown = await new("again", **WHOLE)
    settings = {name: shown[name] for name in WHOLE if name != "headers"}
    copy = await new("copy", **settings)
    assert {name: copy[name] for name in settings} == settings


# --- What is refused

HTTPS_ONLY = {"url": "http://93.184.216.34/"}
BAD_URLS = [
    *("", "shop.example", "file:///etc/passwd", "gopher://shop.example/", "ftp://shop.example/", "https://"),
    *("https://user:pass@shop.example/", "https://user@shop.example/", "https://shop.example/#part"),
    *("https://shop.example:22/", "https://shop.example:99999/", "https://shop.example:0/", "https://shop .example/"),
    *("https://shop.example/\r\nx-evil: 1", "https://shop.example/" + "a" * 2100, "https://sh\x00p.example/"),
    *("http://93.184.216.34/", "https://10.0.0.1/", "https://192.168.1.1/", "https://[::1]/", "https://[fd00::1]/"),
    *("https://[::ffff:10.0.0.1]/", "https://[64:ff9b::a00:1]/", "https://[2002:a00:1::]/", "https://169.254.169.254/"),
    *("https://2130706433/", "https://0x7f.1/", "https://127.1/", "https://0177.0.0.1/", "https://[fe80::1]/"),
    *("https://169.254.169.254.", "https://[::ffff:169.254.169.254]/", "https://metadata.google.internal:22/"),
]
BAD_FIELDS: list[tuple[str, Any]] = [
    *(("url", url) for url in (*BAD_URLS, None, 5, ["https://shop.example/"])),
    *(("name", name) for name in ("", "Shop", "shop/1", "sh op", "..", "a" * 65, None, 5, ["shop"], "shöp")),
    *(("secret", secret) for secret in ("whsec_short", "whsec_%", "plain", "", 5, [], "env:HOME", "file:/etc/passwd")),
    ("secret_kind", "rsa"),
    ("secret_kind", []),
    ("old_secrets", [ENDPOINT_SECRET]),
    *(("sources", sources) for sources in (["nobody"], "stripe", [5], {"stripe": 1})),
    *(("events", events) for events in (["charge.[a-z]"], [""], ["a" * 256], "charge.*", [5], ["\x00"])),
    *(("max_in_flight", count) for count in (0, -1, 10_001, 2.5, "8", True)),
    *(("rate_limit", rate) for rate in ("0/s", "50", "50/d", "-1/s", "1e3/s", "10001/s", 50, "", "50/s/s")),
    *(("ordering", word) for word in ("", "Payment", "fifo", 1)),
    *(("signature", word) for word in ("", "hmac", 1)),
    *(("schedule", waits) for waits in ([], "0s", ["0s"] * 101, ["-1s"], [5], ["400d"])),
    *(("timeout", text) for text in ("0s", "99ms", "6m", "", 15, "15 parsecs")),
    *(("disable_after", text) for text in ("0s", "soon", 5, "400d")),
    *(("allow_http", value) for value in ("yes", 1, "true")),
    *(("headers", value) for value in ([], "X: y", {"X Key": "v"}, {"X-Key": "a\r\nb"}, {"X-Key": "\x00"}, {"": "v"})),
    *(("headers", {name: "v"}) for name in ("Host", "content-length", "Transfer-Encoding", "connection")),
    *(("headers", {name: "v"}) for name in ("webhook-signature", "Webhook-Id", "idempotency-key", "webhookd-attempt")),
    *(("headers", {"X-Key": value}) for value in (5, "env:HOME", "file:/etc/passwd", "credential:x")),
    *(("ca", text) for text in ("", "/etc/ssl/certs/ca-certificates.crt", "-----BEGIN CERTIFICATE-----", 5)),
    ("client_certificate", "not PEM"),
    ("client_key", "not PEM"),
    ("max_inflight", 5),
    ("managed_by", "config"),
    ("state", "paused"),
    ("a: b", 1),
]


async def test_no_bad_field_is_forgotten_here():
    """Whatever may be asked for is in the table above."""
    settings = set(EndpointSettings.__struct_fields__) | {"name", "secret_kind"}
    assert settings <= {field for field, _ in BAD_FIELDS}


def fields(named: Collection[str]) -> set[str]:
    """Without what is said of the parts of a field. A certificate and its key are judged together."""
    whole = {name.partition("[")[0].partition(".")[0] for name in named}
    return whole - {"client_key"} | {"client_certificate"} if "client_key" in whole else whole


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda value: ascii(value)[:60])
async def test_a_field_that_is_wrong_is_named_and_nothing_is_kept(operator: Desk, field: str, value: Any):
    asked = {"name": "wrong", "url": "http://127.0.0.1:10999/", field: value}
    answer = await operator.ask("POST", "/endpoints", asked)
    assert fields(answer.wrong) == fields({field})
    assert all(answer.wrong.values())
    assert (await operator.ask("GET", "/endpoints/wrong")).status == 404


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=lambda value: ascii(value)[:60])
async def test_a_patch_that_is_wrong_names_the_field_and_changes_nothing(
    operator: Desk, new: Add, field: str, value: Any
):
    if value is None:
        return  # in a patch: take back to the default
    before = await new("steady", secret=ENDPOINT_SECRET)
    answer = await operator.ask("PATCH", "/endpoints/steady", {field: value})
    assert fields(answer.wrong) == fields({field})
    assert await operator.get("/endpoints/steady") == before


async def test_null_is_no_way_around_the_names_of_settings(operator: Desk, new: Add):
    await new("named")
    for method, path in (("PATCH", "/endpoints/named"), ("POST", "/endpoints")):
        asked = {"name": "other", "url": "http://127.0.0.1:10999/"} if method == "POST" else {}
        assert (await operator.ask(method, path, {**asked, "nonsense": None})).wrong.keys() == {"nonsense"}


async def test_all_mistakes_are_said_at_once(operator: Desk):
    asked = {"name": "No", "url": "ftp://x/", "timeout": "0s", "nonsense": 1, "secret": "x", "secret_kind": "y"}
    answer = await operator.ask("POST", "/endpoints", asked)
    assert answer.wrong.keys() == asked.keys()
    for field, reason in answer.wrong.items():
        assert f"{field}: {reason}" in answer.json["detail"]


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"5", b"{", b"\xff", b'{"name": "x"', b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(operator: Desk, body: bytes):
    expected = {"name", "url"} if body == b"" else {"body"}
    assert (await operator.ask("POST", "/endpoints", body)).wrong.keys() == expected


async def test_a_body_that_is_too_large_is_refused(operator: Desk):
    assert (await operator.ask("POST", "/endpoints", b" " * (2**20 + 1))).status == 413


@pytest.mark.parametrize("name", ["shop", "configured"])
async def test_a_name_that_is_taken_is_a_conflict(operator: Desk, new: Add, name: str):
    await new("shop")
    answer = await operator.ask("POST", "/endpoints", {"name": name, "url": "http://127.0.0.1:10999/"})
    assert (answer.status, name in answer.json["detail"]) == (409, True)


@pytest.mark.parametrize(("method", "path"), [("PATCH", ""), ("DELETE", ""), ("POST", "/rotate-secret")])
async def test_what_the_configuration_manages_the_api_does_not_change(operator: Desk, method: str, path: str):
    before = await operator.get("/endpoints/configured")
    assert before["managed_by"] == "config"
    answer = await operator.ask(method, f"/endpoints/configured{path}", {})
    assert (answer.status, "configuration" in answer.json["detail"]) == (409, True)
    assert await operator.get("/endpoints/configured") == before


@pytest.mark.parametrize("name", ["nobody", "SHOP", "sh%6fp%00", "..%2fstatus"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/ping")),
        ("POST", "/rotate-secret"),
    ],
)
async def test_an_endpoint_that_is_not_there_is_not_found(operator: Desk, method: str, path: str, name: str):
    assert (await operator.ask(method, f"/endpoints/{name}{path}", {} if method == "PATCH" else None)).status == 404


async def test_a_listener_of_its_own_is_no_place_for_deliveries(operator: Desk, new: Add):
    url = (await operator.get("/endpoints/itself"))["url"]
    answer = await operator.ask("POST", "/endpoints", {"name": "loop", "url": url})
    assert "webhookd's own" in answer.wrong["url"]
    await new("elsewhere")
    assert "url" in (await operator.ask("PATCH", "/endpoints/elsewhere", {"url": url})).wrong


# --- Rotation

BAD_ROTATIONS: list[tuple[str, Any]] = [
    *(("overlap", overlap) for overlap in ("", "1 day", 5, None, "400d")),
    *(("secret", secret) for secret in ("whsec_short", 5, "env:HOME", "")),
    *(("secret_kind", kind) for kind in ("rsa", None, 5)),
    ("url", "https://shop.example/"),
]


@pytest.mark.parametrize(("field", "value"), BAD_ROTATIONS, ids=ascii)
async def test_a_rotation_that_is_wrong_changes_no_secret(operator: Desk, new: Add, field: str, value: Any):
    before = (await new("turned", secret=ENDPOINT_SECRET))["secrets"]
    assert (await operator.ask("POST", "/endpoints/turned/rotate-secret", {field: value})).wrong.keys() == {field}
    assert (await operator.get("/endpoints/turned"))["secrets"] == before


async def test_a_secret_may_be_replaced_by_one_of_another_kind_and_stays_of_its_kind_otherwise(
    operator: Desk, new: Add
):
    await new("kinds")
    path = "/endpoints/kinds/rotate-secret"
    first = await operator.done("POST", path, {"secret_kind": "ed25519", "overlap": "0s"})
    second = await operator.done("POST", path, {"overlap": "0s"})
    assert first["secret"].startswith("whsk_")
    assert second["secret"].startswith("whsk_")
    given = await operator.done("POST", path, {"secret": ENDPOINT_SECRET})
    assert "secret" not in given
    assert [each["kind"] for each in given["secrets"]] == ["hmac", "ed25519"]


async def test_no_more_secrets_sign_than_a_header_may_hold(operator: Desk, new: Add):
    await new("often")
    answers = [await operator.ask("POST", "/endpoints/often/rotate-secret") for _ in range(SECRETS_MAX)]
    assert [answer.status for answer in answers] == [200] * (SECRETS_MAX - 1) + [409]
    assert len((await operator.done("POST", "/endpoints/often/rotate-secret", {"overlap": "0s"}))["secrets"]) == 1


# --- Ping


async def test_a_ping_is_one_signed_attempt_that_is_in_no_log(operator: Desk, new: Add, shop: Merchant):
    await new("pinged", url=f"http://127.0.0.1:{shop.port}/pinged", secret=ENDPOINT_SECRET)
    for verb in ("pause", "resume"):
        await operator.done("POST", f"/endpoints/pinged/{verb}")
        found = await operator.done("POST", "/endpoints/pinged/ping")
        assert (found["status"], found["error"], found["response"]) == (200, None, "")
        got = shop.got[-1]  # whose signature the merchant has checked
        assert (got.path, json.loads(got.body)["type"]) == ("/pinged", "webhookd.ping")
        assert (await operator.ask("GET", f"/events/{got.headers['webhook-id']}")).status == 404
    assert (await operator.get("/deliveries", endpoint="pinged"))["data"] == []


async def test_a_ping_says_what_the_merchant_answered(operator: Desk, new: Add, shop: Merchant):
    await new("answering", url=f"http://127.0.0.1:{shop.port}/answering", secret=ENDPOINT_SECRET)
    shop.answer, shop.text = lambda _got: 503, b"\x1b[31mclosed\xff" + b"x" * 10_000
    try:
        found = await operator.done("POST", "/endpoints/answering/ping")
    finally:
        shop.answer, shop.text = lambda _got: 200, b""
    assert (found["status"], found["error"]) == (503, "status")
    assert found["response"].startswith("\x1b[31mclosed\ufffdxxx")
    assert len(found["response"]) == 4096
    assert (await operator.get("/endpoints/answering"))["breaker"] == "closed"


async def test_a_ping_to_nobody_says_so(operator: Desk, new: Add):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        await new("dead", url=f"http://127.0.0.1:{taken.getsockname()[1]}/")
        found = await operator.done("POST", "/endpoints/dead/ping")
    assert (found["status"], found["error"]) == (None, "connect")


async def test_a_ping_goes_past_no_guard(operator: Desk):
    found = await operator.done("POST", "/endpoints/itself/ping")
    assert (found["status"], found["error"]) == (None, "blocked")


async def test_no_more_pings_are_under_way_than_there_may_be(operator: Desk, new: Add, shop: Merchant):
    await new("slow", url=f"http://127.0.0.1:{shop.port}/slow", secret=ENDPOINT_SECRET)
    before, go_on = len(shop.got), asyncio.Event()
    shop.before_answer = go_on.wait
    try:
        pings = [asyncio.create_task(operator.ask("POST", "/endpoints/slow/ping")) for _ in range(PINGS_MAX)]
        await shop.has(before + PINGS_MAX)
        refused = await operator.ask("POST", "/endpoints/slow/ping")
        assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    finally:
        go_on.set()
        shop.before_answer = None
    assert [(await ping).json["status"] for ping in pings] == [200] * PINGS_MAX
    assert (await operator.done("POST", "/endpoints/slow/ping"))["status"] == 200


async def test_a_ping_counts_as_no_attempt(operator: Desk, new: Add, shop: Merchant):
    await new("uncounted", url=f"http://127.0.0.1:{shop.port}/uncounted", secret=ENDPOINT_SECRET)
    await operator.done("POST", "/endpoints/uncounted/ping")
    assert not [each for each in await samples(operator, "webhookd_attempts") if each["endpoint"] == "uncounted"]


# --- What a list is narrowed by


async def test_endpoints_are_found_by_a_part_of_the_name_and_by_their_state(operator: Desk, new: Add):
    await new("findable-1")
    await new("findable-2")
    await operator.done("POST", "/endpoints/findable-2/pause")

    async def found(**narrower: str) -> list[str]:
        return [each["name"] for each in (await operator.get("/endpoints", **narrower))["data"]]

    assert await found(name="findable") == await found(name="FINDABLE") == ["findable-1", "findable-2"]
    assert await found(name="findable", state="paused") == ["findable-2"]
    assert await found(name="findable", state="disabled") == []
    first = await operator.get("/endpoints", name="findable", limit="1")
    assert await found(name="findable", limit="1", cursor=first["next_cursor"]) == ["findable-2"]


# --- The last failure


async def test_the_last_failure_is_told_with_its_delivery(operator: Desk, new: Add, shop: Merchant):
    settings = {"secret": ENDPOINT_SECRET, "events": ["order.*"], "schedule": ["0s"]}
    added = await new("failing", url=f"http://127.0.0.1:{shop.port}/failing", **settings)
    assert added["last_failure"] is None
    shop.answer = lambda got: 500 if got.path == "/failing" else 200
    try:
        await operator.done("POST", "/events", {"type": "order.paid", "data": {}})
        while not (dead := (await operator.get("/deliveries", endpoint="failing", state="dead"))["data"]):
            pass
    finally:
        shop.answer = lambda _got: 200
    found = (await operator.get("/endpoints/failing"))["last_failure"]
    assert (found["status"], found["error"], found["delivery_id"]) == (500, "status", dead[0]["id"])
    assert found["at"] >= dead[0]["created_at"]


# --- Metrics


async def samples(operator: Desk, family: str) -> list[dict[str, Any]]:
    text = await operator.metrics()
    found = next((each for each in text_string_to_metric_families(text) if each.name == family), None)
    return [] if found is None else [{**sample.labels, "value": sample.value} for sample in found.samples]


async def test_the_metrics_say_in_which_state_each_endpoint_is(operator: Desk, new: Add):
    await new("measured")
    await operator.done("POST", "/endpoints/measured/pause")
    for family, state in (("webhookd_endpoint_state", "paused"), ("webhookd_breaker_state", "closed")):
        mine = [each for each in await samples(operator, family) if each["endpoint"] == "measured"]
        assert len(mine) == 3
        assert {each["state"] for each in mine if each["value"] == 1} == {state}
    for family in ("webhookd_in_flight", "webhookd_backlog", "webhookd_dead"):
        [mine] = [each for each in await samples(operator, family) if each["endpoint"] == "measured"]
        assert mine["value"] == 0
    await operator.done("DELETE", "/endpoints/measured")
    for family in ("webhookd_endpoint_state", "webhookd_backlog"):
        assert "measured" not in {each["endpoint"] for each in await samples(operator, family)}
