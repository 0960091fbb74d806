"""Bad HTTP, made up by the thousand, to both listeners of a real daemon.

Each connection ends by itself, with answers that are documented and quote nothing, or with none; nothing is stored that
nobody signed; nothing grows; and the next good hook is taken as ever.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.faults.flood import Footprint, assert_no_growth, assert_quiet, flood, hurried, settled
from tests.faults.http_grammar import MARK, Draft
from tests.faults.stranger import Heard, assert_problem_body
from tests.receive.wire import Headers, ask, event, head, post, standard, stripe
from tests.running import RunningDaemon, configuration
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.driver import driver

pytestmark = pytest.mark.fault(51)
OF_HTTP = frozenset({100, 400, 404, 405, 408, 413, 415, 417, 431, 501})
TO_HOOKS = OF_HTTP | {200, 401, 429}
"""As the contract has it. 503 is for what is wrong here, and here nothing is."""
TO_OPERATORS = OF_HTTP | {204, 303, 421}
"""Beside what the description of the API has: 204 is for OPTIONS, 303 leads to another page, 421 is another's name."""
NO_ANSWER_ENDS = ("/api/v1/stream",)
CHANGES = (
    *(("POST", "/api/v1/endpoints"), ("PATCH", "/api/v1/endpoints/nothing"), ("DELETE", "/api/v1/endpoints/nothing")),
    *(
        ("POST", "/api/v1/replays"),
        ("POST", "/api/v1/events"),
        ("POST", "/api/v1/reconcile/stripe"),
        ("POST", "/login"),
    ),
)
PAGES = ("/", "/login", "/events", "/payments", "/static/nothing.js", "/metrics", "/openapi.json", "/nothing")


class Hooks:
    """Good hooks, and what else may be asked of the same listener. It remembers what was rightly signed."""

    def __init__(self) -> None:
        self.signed: set[bytes] = set()

    def draft(self, dice: Random) -> Draft:
        kind = dice.random()
        if kind < 0.1:
            return Draft(b"GET", dice.choice((b"/healthz", b"/readyz")), (b"Host: hooks.example",))
        body = event(
            f"evt_{MARK.decode()}_{dice.getrandbits(64):x}", note=MARK.decode(), pad="x" * dice.choice((0, 0, 0, 9_000))
        )
        source, headers = "stripe", stripe(body)
        if kind < 0.3:
            source, headers = "standard", standard(body, f"msg_{dice.getrandbits(64):x}")
        if kind > 0.9:
            headers = {"Stripe-Signature": f"t=1,v1={MARK.decode()}"}
        else:
            self.signed.add(hashlib.sha256(body).digest())
        return Draft(b"POST", f"/webhooks/{source}".encode(), (b"Host: hooks.example", *_lines(headers)), body)


class Operators:
    """What may be asked of the admin listener, mostly by somebody with a token."""

    def __init__(self, running: RunningDaemon, described: Any) -> None:
        self._token = running.token
        self._looks = [
            path.replace("{", "").replace("}", "")
            for path, item in described["paths"].items()
            if "get" in item and path not in NO_ANSWER_ENDS
        ]
        self.statuses = TO_OPERATORS | {
            int(status)
            for item in described["paths"].values()
            for operation in item.values()
            for status in operation["responses"]
        }

    def draft(self, dice: Random) -> Draft:
        method, path = dice.choice(CHANGES) if dice.random() < 0.3 else ("GET", dice.choice((*self._looks, *PAGES)))
        token = self._token if dice.random() < 0.8 else MARK.decode()
        mark, query = MARK.decode(), dice.choice(("", "", "?limit=5", "?q=", "?since=", "?cursor="))
        query += mark if query.endswith("=") else ""
        body = b"" if method == "GET" else json.dumps({dice.choice(("name", "url", "type", mark)): mark}).encode()
        fields = _lines({"Host": "localhost", "Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        return Draft(method.encode(), (path + query).encode(), fields, body)


def _lines(headers: Headers) -> tuple[bytes, ...]:
    return tuple(
        name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        for name, value in headers.items()
    )


def as_the_contract_has_it(back: Heard) -> None:
    for told in back.answers():
        assert told.status in TO_HOOKS, told
        if told.status >= 400:
            assert_problem_body(told)
        elif told.status == 200:
            answer = json.loads(told.body)
            assert answer["status"] in ("accepted", "duplicate", "quarantined", "ok"), told
    assert MARK not in back.received.lower(), back.received


def as_described(statuses: frozenset[int]) -> Callable[[Heard], None]:
    def judge(back: Heard) -> None:
        for told in back.answers():
            assert told.status in statuses, told
            # A page says what is wrong as a page.
            if told.status >= 400 and not told.headers["content-type"].startswith("text/html"):
                assert_problem_body(told)

    return judge


async def good_hook(running: RunningDaemon, name: str) -> bytes:
    """It is taken. Returns what was stored of it."""
    body = event(name)
    answer = await ask(running.port, post("stripe", body, stripe(body)))
    assert (answer.status, answer.json()["status"]) == (200, "accepted")
    return hashlib.sha256(body).digest()


def stored(running: RunningDaemon) -> set[bytes]:
    """The digests of all bodies in the log, once the daemon has stopped."""
    path = running.directory / "data" / "webhookd.db"
    with closing(driver.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return {bytes(digest) for (digest,) in connection.execute("SELECT sha256 FROM event")}


async def flooded(running: RunningDaemon, port: int, good: Any, judge: Any, seed: int, many: int) -> None:
    """A third to warm up, and then the rest: nothing grows by it."""
    alone = Footprint.of(running.pid)
    await flood(port, good, judge, seed, range(many // 3))
    warm = await settled(running.pid, alone)
    await flood(port, good, judge, seed, range(many // 3, many))
    assert_no_growth(warm, await settled(running.pid, warm))


async def test_whatever_comes_to_the_hooks_listener_is_answered_as_documented_or_cut(
    tmp_path: Path, torture: bool, seed: int, record_property: Any
) -> None:
    many, hooks = 30_000 if torture else 1_200, Hooks()
    async with hurried(tmp_path, configuration()) as running:
        hooks.signed.add(await good_hook(running, "evt_before"))
        await flooded(running, running.port, hooks.draft, as_the_contract_has_it, seed, many)
        hooks.signed.add(await good_hook(running, "evt_after"))
        assert await running.stop() == 0
        assert_quiet(running.log)
    found = stored(running)
    assert found <= hooks.signed
    assert len(found) > many / 20  # good ones are among them, and were taken
    assert [*audit(tmp_path / "data" / "webhookd.db", reread)] == []
    record_property("bad_inputs", many)


async def test_whatever_comes_to_the_admin_listener_is_answered_as_described_or_cut(
    tmp_path: Path, torture: bool, seed: int, record_property: Any
) -> None:
    many = 10_000 if torture else 800
    async with hurried(tmp_path, configuration()) as running:
        port = int(running.admin.rpartition(":")[2])
        described = await ask(
            port, head("GET /api/v1/openapi.json HTTP/1.1", {"Connection": "close"}, host=b"localhost")
        )
        operators = Operators(running, described.json())
        await flooded(running, port, operators.draft, as_described(operators.statuses), seed, many)
        await good_hook(running, "evt_after")
        assert await running.stop() == 0
        assert_quiet(running.log)
    record_property("bad_inputs", many)
