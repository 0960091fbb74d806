"""Who gets in at the admin listener: with which token, under which name, and how slowly who only guesses."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import make_mocked_request

from tests.admin.desk import Desk, desk
from tests.receive.wire import Answer, ask, assert_problem, head, new_address, wire
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon
from webhookd.admin.door.hosts import Hosts
from webhookd.admin.door.reasons import RefusedError
from webhookd.store.protocol.tokens import TOKEN_SCOPES

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "webhookd.internal"
SERVER = f'admin_hosts = ["{NAME}", "Proxy.Example."]'
SECURITY = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


class Door:
    """A daemon with a token of each scope, and one that has expired; all of them made before its last restart."""

    def __init__(self, running: RunningDaemon, tokens: dict[str, str]) -> None:
        self.running, self.tokens = running, tokens

    async def knock(
        self,
        line: str,
        token: str | None = None,
        *,
        host: bytes | None = b"127.0.0.1",
        address: str = "127.0.0.1",
        body: bytes = b"",
        **headers: str,
    ) -> Answer:
        """One request as it is written here, from an address of its own if need be."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            given["Authorization"] = f"Bearer {token}"
        if body:
            given |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        port = int(self.running.admin.rpartition(":")[2])
        return await ask(port, head(line, dict(given), host=host) + body, address=address)

    async def all_that_comes(self, line: str, host: bytes | None) -> bytes:
        """For what is answered as HTTP/1.0 has it."""
        async with wire(int(self.running.admin.rpartition(":")[2])) as connection:
            await connection.send(head(line, {"Connection": "close"}, host=host))
            return await connection.rest()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    directory = tmp_path_factory.mktemp("access")
    async with daemon(directory, configuration(server=SERVER)) as running:
        tokens = {}
        async with desk(running) as before:
            for name in (*TOKEN_SCOPES, "expired"):
                asked = {"name": name, "scope": name if name in TOKEN_SCOPES else "admin", "expires_in": "30d"}
                tokens[name] = (await before.done("POST", "/tokens", asked))["token"]
        await running.stop()
        with closing(sqlite3.connect(directory / "data" / "webhookd.db")) as database:
            database.execute("UPDATE token SET expires_at = created_at + 1 WHERE name = 'expired'")
            database.commit()
        await running.start()
        yield Door(running, tokens)


@pytest_asyncio.fixture(loop_scope="module")
async def operator(door: Door) -> AsyncIterator[Desk]:
    async with desk(door.running) as found:
        yield found


def told(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """All that an answer says, but when."""
    return answer.status, answer.body, {name: value for name, value in answer.headers.items() if name != "date"}


def data(door: Door) -> Path:
    return door.running.directory / "data"


# --- Tokens


@pytest.mark.fault(51)
async def test_missing_unknown_and_expired_tokens_get_one_answer_and_a_small_scope_another(door: Door):
    """Row 60."""
    line = "GET /api/v1/tokens HTTP/1.1"
    address = new_address()
    refused = [
        await door.knock(line, token, address=address) for token in (None, "whd_unknown", door.tokens["expired"])
    ]
    refused.append(await door.knock(line, address=address, Authorization="Basic d2hkOndoZA=="))
    assert [told(each) for each in refused] == [told(refused[0])] * 4
    assert_problem(refused[0], 401)
    assert refused[0].headers["www-authenticate"] == "Bearer"
    small = await door.knock(line, door.tokens["read"], address=address)
    assert_problem(small, 403)
    assert small.json()["detail"] == 'The token "read" is good for read, and this needs one for admin.'
    assert 'error="insufficient_scope", scope="admin"' in small.headers["www-authenticate"]


@pytest.mark.parametrize("path", ["status", "events", "events/evt_1/body", "audit", "nothing"])
@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer ", "whd_wrong", "Basic d2hkOndoZA=="])
async def test_without_a_token_there_is_no_answer(door: Door, path: str, given: str | None):
    headers = {} if given is None else {"Authorization": given}
    assert_problem(await door.knock(f"GET /api/v1/{path} HTTP/1.1", **headers), 401)


@pytest.mark.parametrize("form", ["{}", "Basic {}", "Bearer {}x", "Bearer x{}", "Bearer {}=", "Bearer {} {}"])
async def test_a_token_that_is_nearly_right_is_wrong(door: Door, form: str):
    given = form.format(door.running.token, door.running.token)
    found = await door.knock("GET /api/v1/status HTTP/1.1", address=new_address(), Authorization=given)
    assert_problem(found, 401)


@pytest.mark.parametrize("token", [b"\xff\xfe", b"\xc3", "gehëim".encode("latin-1"), b"whd_" + b"x" * 5_000])
async def test_a_token_of_any_bytes_is_just_a_wrong_one(door: Door, token: bytes):
    given = head("GET /api/v1/status HTTP/1.1", {"Authorization": b"Bearer " + token}, host=b"localhost")
    assert_problem(await ask(int(door.running.admin.rpartition(":")[2]), given, address=new_address()), 401)


EXAMPLES = {
    "read": ("GET /api/v1/status", b""),
    "replay": ("POST /api/v1/replays", b'{"ids":["evt_x"]}'),
    "admin": ("POST /api/v1/endpoints/nobody/pause", b""),
    "publish": ("POST /api/v1/events", b"not json"),
}
"""An operation of each scope, asked for so that it finds something wrong in what is asked, or nothing to do."""


@pytest.mark.parametrize("needed", EXAMPLES)
@pytest.mark.parametrize("scope", TOKEN_SCOPES)
async def test_a_token_opens_what_its_scope_includes_and_nothing_else(door: Door, scope: str, needed: str):
    included = {"publish": {"publish"}, "read": {"read"}, "replay": {"read", "replay"}, "admin": {*EXAMPLES}}
    line, body = EXAMPLES[needed]
    answer = await door.knock(f"{line} HTTP/1.1", door.tokens[scope], body=body)
    assert (answer.status not in (401, 403)) == (needed in included[scope]), answer.raw


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/", "/api/v1/status/x"])
async def test_what_is_not_there_is_told_to_whoever_has_a_token(door: Door, path: str):
    assert_problem(await door.knock(f"GET {path} HTTP/1.1"), 401)
    assert_problem(await door.knock(f"GET {path} HTTP/1.1", door.tokens["publish"]), 404)


async def test_a_method_that_is_not_there_is_told_to_whoever_has_a_token(door: Door):
    assert_problem(await door.knock("PUT /api/v1/status HTTP/1.1"), 401)
    answer = await door.knock("PUT /api/v1/status HTTP/1.1", door.tokens["publish"])
    assert_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


async def test_a_token_works_at_once_until_it_is_removed_and_then_no_longer(door: Door, operator: Desk):
    made = await operator.done("POST", "/tokens", {"name": "brief", "scope": "read"})
    assert made["token"].startswith("whd_")
    assert (made["expires_at"], made["is_expired"], made["used_at"]) == (None, False, None)
    assert (await door.knock("GET /api/v1/status HTTP/1.1", made["token"])).status == 200
    removed = await operator.done("DELETE", "/tokens/brief")
    assert removed["used_at"] is not None
    assert "token" not in removed
    assert_problem(await door.knock("GET /api/v1/status HTTP/1.1", made["token"]), 401)
    assert (await operator.ask("DELETE", "/tokens/brief")).status == 404


async def test_a_stream_ends_when_its_token_is_removed_and_no_other_does(door: Door, operator: Desk):
    token = (await operator.done("POST", "/tokens", {"name": "follower", "scope": "read"}))["token"]
    url, headers = f"{door.running.admin}/api/v1/stream", [{"Authorization": f"Bearer {token}"}]
    headers.append({"Authorization": f"Bearer {door.tokens['read']}"})
    async with (
        asyncio.timeout(PATIENCE_S),
        aiohttp.ClientSession() as session,
        session.get(url, headers=headers[0]) as follower,
        session.get(url, headers=headers[1]) as other,
    ):
        for each in (follower, other):
            while b"hello" not in await each.content.readline():
                pass
        await operator.done("DELETE", "/tokens/follower")
        with pytest.raises(aiohttp.ClientPayloadError):  # cut off: it has not come to its end
            await follower.content.read()
        await operator.ask("POST", "/events", {"type": "order.shipped", "data": {}})
        while b"order.shipped" not in await other.content.readline():
            pass


async def test_tokens_are_listed_in_pages_and_without_what_opens_the_door(door: Door, operator: Desk):
    everything = await operator.ask("GET", "/tokens")
    names = [each["name"] for each in everything.json["data"]]
    assert names[:5] == [*TOKEN_SCOPES, "expired"]
    assert [each["is_expired"] for each in everything.json["data"][:5]] == [False] * 4 + [True]
    assert not any(token.encode() in everything.body for token in door.tokens.values())
    met, cursor = [], {}
    while True:
        page = await operator.get("/tokens", limit="2", **cursor)
        met += [each["name"] for each in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert met == names


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"scope": "read"}, "name"),
        ({"name": "", "scope": "read"}, "name"),
        ({"name": "-x", "scope": "read"}, "name"),
        ({"name": "a b", "scope": "read"}, "name"),
        ({"name": "x" * 65, "scope": "read"}, "name"),
        ({"name": "admin.token", "scope": "read"}, "name"),
        ({"name": "webhookd", "scope": "read"}, "name"),
        ({"name": "x"}, "scope"),
        ({"name": "x", "scope": "nobody"}, "scope"),
        ({"name": "x", "scope": "root"}, "scope"),
        ({"name": "x", "scope": "read", "expires_in": "59s"}, "expires_in"),
        ({"name": "x", "scope": "read", "expires_in": "367d"}, "expires_in"),
        ({"name": "x", "scope": "read", "expires_in": 5}, "expires_in"),
        ({"name": "x", "scope": "read", "sha256": "00"}, "sha256"),
    ],
)
async def test_a_token_that_cannot_be_made_is_refused_by_its_field(operator: Desk, asked: dict[str, Any], field: str):
    assert (await operator.ask("POST", "/tokens", asked)).wrong.keys() == {field}


@pytest.mark.fault(53)
async def test_no_token_is_in_the_log_or_in_the_database(door: Door):
    kept = b"".join(path.read_bytes() for path in data(door).iterdir() if path.name.startswith("webhookd.db"))
    log = json.dumps(door.running.log)
    for token in door.tokens.values():
        assert token.removeprefix("whd_").encode() not in kept
        assert token not in log


# --- Guessing


@pytest.mark.fault(51)
async def test_six_wrong_tokens_in_a_minute_are_slowed_and_the_right_one_passes_from_the_same_address(
    door: Door, operator: Desk
):
    """Row 62."""
    line, address = "GET /api/v1/status HTTP/1.1", new_address()
    found = [await door.knock(line, f"whd_guess-{number}", address=address) for number in range(8)]
    assert [each.status for each in found] == [401] * 5 + [429] * 3
    for each in found[5:]:
        assert_problem(each, 429)
    assert [int(each.headers["retry-after"]) for each in found[5:]] == [60, 120, 240]
    assert (await door.knock(line, door.tokens["read"], address=address)).status == 200
    assert (await door.knock(line, "whd_guess", address=new_address())).status == 401
    audit = await operator.get("/audit", action="guessing.*")
    assert [each["address"] for each in audit["data"]].count(address) == 1
    assert [each["address"] for each in door.running.log if each["event"] == "guessing_slowed"].count(address) == 1


async def test_a_hundred_wrong_tokens_at_once_do_not_lock_out_a_right_one(door: Door):
    line, address = "GET /api/v1/status HTTP/1.1", new_address()
    found = await asyncio.gather(*(door.knock(line, f"whd_{number}", address=address) for number in range(100)))
    assert {each.status for each in found} == {401, 429}
    assert (await door.knock(line, door.tokens["read"], address=address)).status == 200


# --- Names


@pytest.mark.parametrize(
    "host",
    [
        *(b"localhost", b"LOCALHOST:8081", b"grafana.localhost", b"127.0.0.1", b"127.0.0.1:1", b"127.9.9.9:80"),
        *(b"[::1]", b"[::1]:8081", b"webhookd.internal", b"WebhookD.Internal.:8081", b"proxy.example"),
        b"[::ffff:127.0.0.1]:8081",
    ],
)
async def test_under_its_own_names_the_admin_listener_answers(door: Door, host: bytes):
    assert (await door.knock("GET /metrics HTTP/1.1", host=host)).status == 200


@pytest.mark.parametrize(
    "line", ["GET /metrics", "GET /api/v1/status", "GET /nothing", "POST /api/v1/events", "GET /api/v1/x"]
)
@pytest.mark.parametrize(
    "host",
    [
        *(b"evil.example", b"evil.example:8081", b"127.0.0.1.evil.example", b"localhost.evil.example", b"notlocalhost"),
        *(
            b"10.0.0.1",
            b"[2001:db8::1]",
            b"0.0.0.0",
            b"webhookd.internal.evil.example",
            b"127.1",
            b"x",
            b"[",
            b"::1:80",
        ),
    ],
)
@pytest.mark.fault(51)
async def test_under_another_name_it_answers_nothing_whoever_asks(door: Door, line: str, host: bytes):
    """Row 20."""
    answer = await door.knock(f"{line} HTTP/1.1", door.tokens["admin"], host=host)
    assert_problem(answer, 421)
    assert "server.admin_hosts" in answer.json()["detail"]
    assert host not in answer.body


async def test_the_host_of_an_absolute_form_counts_too(door: Door):
    line = "GET http://evil.example/metrics HTTP/1.1"
    assert_problem(await door.knock(line, host=b"localhost"), 421)
    assert_problem(await door.knock("GET http://localhost/metrics HTTP/1.1", host=b"evil.example"), 421)
    assert (await door.knock("GET http://localhost:81/metrics HTTP/1.1", host=b"localhost")).status == 200


async def test_another_name_is_no_guess(door: Door):
    address = new_address()
    for _ in range(10):
        assert (await door.knock("GET /api/v1/status HTTP/1.1", "whd_x", host=b"x", address=address)).status == 421
    assert (await door.knock("GET /api/v1/status HTTP/1.1", "whd_x", address=address)).status == 401


async def test_what_a_proxy_says_of_the_host_is_not_asked(door: Door):
    forwarded = {"X_Forwarded_Host": "localhost", "Forwarded": "host=localhost"}
    assert_problem(await door.knock("GET /metrics HTTP/1.1", host=b"evil.example", **forwarded), 421)


@pytest.mark.parametrize("host", [None, b""])
@pytest.mark.fault(51)
async def test_without_a_host_nothing_is_answered(door: Door, host: bytes | None):
    """Row 19: HTTP/1.0 need not have one, and gets none the better for it."""
    answer = await door.all_that_comes("GET /metrics HTTP/1.0", host)
    assert answer.startswith(b"HTTP/1.0 400 ")
    assert b"application/problem+json" in answer
    assert b"Send a Host header" in answer
    assert (await door.all_that_comes("GET /metrics HTTP/1.0", b"localhost")).startswith(b"HTTP/1.0 200 ")


@pytest.mark.fault(51)
async def test_http_1_1_without_a_host_is_not_http(door: Door):
    """Row 18."""
    assert (await door.all_that_comes("GET /metrics HTTP/1.1", None)).partition(b" ")[2].startswith(b"400 ")


@pytest.mark.parametrize(
    ("dialled", "host", "is_ours"),
    [
        ("10.1.2.3", "10.1.2.3:8081", True),
        ("10.1.2.3", "10.1.2.4:8081", False),
        ("::ffff:10.1.2.3", "10.1.2.3", True),
        ("2001:db8::5", "[2001:DB8:0::5]:8081", True),
        ("2001:db8::5", "[2001:db8::6]", False),
        ("fe80::1%eth0", "[fe80::1]", True),
        ("10.1.2.3", "10.1.2.3.evil.example", False),
        (None, "10.1.2.3", False),
        (None, "localhost", True),
    ],
)
async def test_the_address_that_was_dialled_is_its_own_whoever_opened_the_socket(
    dialled: str | None, host: str, is_ours: bool
):
    """Also where systemd did, or where it listens on every address."""

    class Transport:
        def get_extra_info(self, name: str, default: Any = None) -> Any:
            return (dialled, 8081) if name == "sockname" and dialled is not None else default

    asked = make_mocked_request("GET", "/metrics", headers={"Host": host}, transport=Transport())
    if is_ours:
        Hosts([]).check(asked)
        return
    with pytest.raises(RefusedError) as found:
        Hosts([]).check(asked)
    assert found.value.status == 421


# --- Headers


@pytest.mark.parametrize(
    ("line", "status"),
    [
        *(("GET /metrics", 200), ("GET /api/v1/status", 401), ("GET /nothing", 404), ("POST /metrics", 405)),
        ("DELETE /api/v1/status", 401),
    ],
)
async def test_every_answer_is_kept_by_nobody_and_embedded_nowhere(door: Door, line: str, status: int):
    answer = await door.knock(f"{line} HTTP/1.1")
    assert (answer.status, {**answer.headers, **SECURITY}) == (status, answer.headers)
