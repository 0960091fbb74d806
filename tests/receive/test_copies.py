"""Bad-input catalogue, rows 1 to 4 and 59: what the log holds after copies, conflicts and rubbish."""

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.receive.wire import ask, assert_problem, event, head, post, standard, stripe, wire
from tests.running import RunningDaemon, configuration, daemon, endpoint
from webhookd.store.sqlite.driver import driver

pytestmark = pytest.mark.fault(52)

NOBODY = endpoint("shop", 9999)
"""A merchant who is not there: what is owed stays to be counted."""


def rows(directory: Path, query: str) -> list[Any]:
    """What the database says, once the daemon has stopped."""
    path = directory / "data" / "webhookd.db"
    with closing(driver.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return list(connection.execute(query).fetchall())


async def metric(running: RunningDaemon, line: str) -> float:
    host = running.admin.removeprefix("http://")
    request = head("GET /metrics HTTP/1.1", {"Connection": "close"}, host=host.encode())
    answer = await ask(int(host.rpartition(":")[2]), request)
    found = [float(each.rpartition(" ")[2]) for each in answer.body.decode().splitlines() if each.startswith(line)]
    return found[0] if found else 0.0


async def test_a_copy_is_known_and_owes_nothing_new(tmp_path: Path) -> None:
    """Rows 1 and 2."""
    body = event("evt_1")
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        first = (await ask(running.port, post("stripe", body, stripe(body)))).json()
        assert first["status"] == "accepted"
        for age in (0, 60, 200):  # the provider signs every try anew
            again = await ask(running.port, post("stripe", body, stripe(body, at=int(time.time()) - age)))
            assert again.status == 200
            assert again.json() == {"status": "duplicate", "event_id": first["event_id"]}
        assert await running.stop() == 0
    assert rows(tmp_path, "SELECT provider_event_id, state, body FROM event") == [("evt_1", "accepted", body)]
    assert rows(tmp_path, "SELECT count(*) FROM delivery") == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM conflict") == [(0,)]


async def test_another_body_under_a_known_id_is_noted_and_the_first_is_kept(tmp_path: Path) -> None:
    """Row 3."""
    body, other = event("evt_1", attempt=1), event("evt_1", attempt=2)
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        first = (await ask(running.port, post("stripe", body, stripe(body)))).json()
        for _ in range(2):
            again = await ask(running.port, post("stripe", other, stripe(other)))
            assert again.status == 200
            assert again.json() == {"status": "duplicate", "event_id": first["event_id"]}
        assert await metric(running, 'webhookd_conflicts_total{source="stripe"}') == 2
        assert await running.stop() == 0
    assert rows(tmp_path, "SELECT body, sha256 FROM event") == [(body, hashlib.sha256(body).digest())]
    assert rows(tmp_path, "SELECT sha256, times FROM conflict") == [(hashlib.sha256(other).digest(), 2)]
    assert rows(tmp_path, "SELECT count(*) FROM delivery") == [(1,)]


async def test_fifty_copies_at_once_are_one_event(tmp_path: Path) -> None:
    """Row 4: all are told yes, one is told so first."""
    body = event("evt_1")
    hook = post("stripe", body, stripe(body))
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(wire(running.port)) for _ in range(50)]
            await asyncio.gather(*(each.send(hook) for each in wires))
            answers = await asyncio.gather(*(each.answer() for each in wires))
        assert [answer.status for answer in answers] == [200] * 50
        assert sorted(answer.json()["status"] for answer in answers) == ["accepted", *["duplicate"] * 49]
        assert len({answer.json()["event_id"] for answer in answers}) == 1
        assert await running.stop() == 0
    assert rows(tmp_path, "SELECT provider_event_id FROM event") == [("evt_1",)]
    assert rows(tmp_path, "SELECT count(*) FROM delivery") == [(1,)]
    assert rows(tmp_path, "SELECT count(*) FROM conflict") == [(0,)]


async def test_what_is_quarantined_is_kept_to_the_byte_and_owed_to_nobody(tmp_path: Path) -> None:
    """Rows 21 and 47 to 56, as the database has them."""
    bodies = [b"", b"hello", b"\xff\xfe\x00", b"[" * 30_000, b"[]", b"NaN", event(""), event("evt_\x1b[31m")]
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        for number, body in enumerate(bodies):
            for source, signed in (("stripe", stripe(body)), ("standard", standard(body, f"msg_{number}"))):
                if source == "standard" and body.startswith(b"{"):
                    continue  # there the id is not in the body
                answer = await ask(running.port, post(source, body, signed))
                assert answer.status == 200
                assert answer.json()["status"] == "quarantined"
        assert await running.stop() == 0
    kept = rows(tmp_path, "SELECT provider_event_id, type, state, size, body FROM event WHERE source = 'stripe'")
    assert sorted(kept) == sorted(
        (f"sha256:{hashlib.sha256(body).hexdigest()}", "webhookd.quarantined", "quarantined", len(body), body)
        for body in bodies
    )
    assert rows(tmp_path, "SELECT count(*) FROM event WHERE source = 'standard' AND state = 'quarantined'") == [(6,)]
    assert rows(tmp_path, "SELECT count(*) FROM delivery") == [(0,)]


async def test_a_stranger_is_slowed_down_and_writes_nothing(tmp_path: Path) -> None:
    """Row 59. A right signature from the same address is never held up by it."""
    rubbish, body = event("evt_rubbish"), event("evt_good")
    async with daemon(tmp_path) as running:
        answers = [
            await ask(running.port, post("stripe", rubbish, {"Stripe-Signature": "t=1,v1=0"})) for _ in range(300)
        ]
        assert_problem(answers[0], 401)
        assert_problem(answers[-1], 429)
        assert int(answers[-1].headers["retry-after"]) > 0
        assert {answer.status for answer in answers} == {401, 429}
        good = await ask(running.port, post("stripe", body, stripe(body)))
        assert good.json()["status"] == "accepted"
        elsewhere = await ask(running.port, post("stripe", rubbish, {}), address="127.0.0.2")
        assert_problem(elsewhere, 401)
        assert await running.stop() == 0
    assert rows(tmp_path, "SELECT provider_event_id FROM event") == [("evt_good",)]
