"""A log that moves from SQLite to PostgreSQL: nothing is lost, and at any time one store is there to be opened."""

import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.making import NOW_MS
from tests.postgres import Server
from tests.store.both_sides import find_differing, tables
from tests.store.killed_move import file_opens, target_opens
from tests.store.old_files import SEAL_OF_3, old_file
from webhookd.providers import reread
from webhookd.store.move import move, source
from webhookd.store.move.move import Move
from webhookd.store.move.writing import NotTakenError, Rows, Writing
from webhookd.store.postgres.audit import audit
from webhookd.store.postgres.database import connect
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.migrate import migrate
from webhookd.upgrade import nobody

RARE = """
    INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, headers, sha256, size,
                       body)
    SELECT max(key) + 1, 7, 'stripe', 'stripe', 'nobodys', 'ping', 'unrouted', received_at, '[]', sha256, size, body
    FROM event WHERE kind IS NOT NULL;
    INSERT INTO past (key, salt, source, provider, provider_event_id, type, state, received_at, sha256, size, taken_at)
    SELECT min(key) - 1, 8, 'stripe', 'stripe', 'forgettable', 'ping', 'accepted', 1, sha256, size, 2 FROM past;
    INSERT INTO audit (at, actor, action) VALUES (1, 'somebody', 'endpoint.pause');
    UPDATE delivery SET state = 'cancelled', due_at = NULL, settled_at = 3
    WHERE state = 'pending' AND endpoint = 3 AND event = (SELECT min(event) FROM delivery);
"""
"""What no release left in the file."""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with something in every table."""
    path = old_file(tmp_path / "log" / "webhookd.db", 4)
    migrate(path, SEAL_OF_3, reread, nobody, stamp="then")
    with closing(driver.connect(path)) as connection:
        connection.executescript(RARE)
    return path


@pytest.mark.fault(1)
def test_killed_at_any_point_it_leaves_one_store_that_opens_and_goes_on(log: Path, tmp_path: Path, postgres: Server):
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.killed_move", str(log), str(tmp_path), postgres.url("killed")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    of_the_file, of_the_target = map(int, done.stdout.split())
    assert of_the_file > 10
    assert of_the_target >= 3


CHANGES = {
    "an attempt": """
        INSERT INTO attempt SELECT event, endpoint, attempts + 1, 1, 1, 200, NULL, x'', 0, 'delivered', NULL, step + 1
        FROM delivery WHERE state = 'pending' LIMIT 1""",
    "a delivery put off": "UPDATE delivery SET due_at = due_at + 1 WHERE state = 'pending'",
    "a delivery called off": "UPDATE delivery SET state = 'cancelled', due_at = NULL, held = 0 WHERE state = 'pending'",
    "a delivery called off once more": "UPDATE delivery SET settled_at = 7 WHERE state = 'cancelled'",
    "a replay": "INSERT INTO replayed SELECT event, endpoint, 5 FROM delivery WHERE state = 'delivered'",
    "a replay of what nobody had asked for": """
        INSERT INTO replayed SELECT key, (SELECT max(number) FROM endpoint), 5 FROM event WHERE state <> 'accepted'""",
    "a body that is gone": "UPDATE event SET body = NULL WHERE key = (SELECT max(key) FROM event)",
    "an event that is past": """
        INSERT INTO past SELECT key, salt, source, provider, provider_event_id, type, state, received_at, occurred_at,
          payment_id, kind, object_id, status, detail, major, minor, counts, amount, currency, exponent, refunded,
          reference, names, sha256, size, 9 FROM event WHERE key = (SELECT min(key) FROM event);
        DELETE FROM attempt WHERE event = (SELECT min(key) FROM event);
        DELETE FROM delivery WHERE event = (SELECT min(key) FROM event);
        DELETE FROM event WHERE key = (SELECT min(key) FROM event)""",
    "a past event that is forgotten": "DELETE FROM past WHERE kind IS NULL; DELETE FROM alias",
    "another name of an event": "UPDATE alias SET event = (SELECT max(key) FROM event)",
    "another body under a known id": "INSERT INTO conflict SELECT max(key), x'00', 1, 1, 1 FROM event",
    "another event": """
        INSERT INTO event (key, salt, source, provider, provider_event_id, type, state, received_at, payment_id, kind,
                           object_id, status, major, minor, counts, names, headers, sha256, size, body)
        SELECT max(key) + 9, 1, source, provider, 'another', type, 'accepted', received_at, payment_id, kind, object_id,
               status, major + 1, minor, counts, names, headers, sha256, size, body
        FROM event WHERE kind = 'payment'""",
    "an endpoint that was paused": "UPDATE endpoint SET state = 'paused', why = 'operator' WHERE state = 'active'",
    "an endpoint that left": "DELETE FROM route WHERE endpoint = (SELECT min(endpoint) FROM route)",
    "a trail that was cut": "DELETE FROM audit WHERE number < (SELECT max(number) FROM audit)",
    "a trail that is gone": "DELETE FROM audit",
    "a deed": "INSERT INTO audit (at, actor, action) VALUES (1, 'somebody', 'endpoint.pause')",
    "a token": "DELETE FROM token WHERE number = (SELECT min(number) FROM token)",
    "a ledger made anew": f"""
        INSERT INTO audit (at, actor, action) VALUES ({NOW_MS}, 'somebody', 'ledger.rebuild');
        UPDATE event SET status = 'failed' WHERE kind = 'payment'; UPDATE ledger SET detail = 'other';
        DELETE FROM reference WHERE name = (SELECT min(name) FROM reference)""",
}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "EVENTS", 2)
    monkeypatch.setattr(move, "SMALL", 0)


@asynccontextmanager
async def moving(path: Path, url: str) -> AsyncIterator[Move]:
    one = await Move.begin(path, url, NOW_MS, lambda *_: None)
    try:
        yield one
    finally:
        await one.close()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("what", CHANGES)
async def test_what_changes_after_it_was_copied_is_copied_again(log: Path, postgres: Server, what: str):
    url = postgres.url()
    before = tables(log)
    async with moving(log, url) as one:
        await one.copy()
        with closing(driver.connect(log)) as connection:
            connection.executescript(CHANGES[what])
        assert tables(log) != before, "nothing has changed"
        await one.copy()
        await one.switch("there", NOW_MS)
    assert await find_differing(log, url) == []
    assert [each for each in await audit(url, reread) if each.check == "integrity"] == []


@pytest.mark.usefixtures("small")
async def test_what_was_copied_while_the_ledger_may_have_been_made_anew_is_copied_again_when_that_is_over(
    log: Path, postgres: Server
):
    with closing(driver.connect(log)) as connection:
        connection.execute(f"INSERT INTO audit (at, actor, action) VALUES ({NOW_MS}, 'somebody', 'ledger.rebuild')")
        connection.commit()
    async with moving(log, postgres.url()) as one:
        stretches = await one.copy(NOW_MS - 1)
        assert await one.copy(NOW_MS - 1) == 0
        assert await one.copy(NOW_MS + 3_600_000) == stretches  # of a daemon that was started after it
        assert await one.copy() == 0


@pytest.mark.usefixtures("small")
async def test_what_has_not_changed_is_not_copied_again(log: Path, postgres: Server):
    async with moving(log, postgres.url()) as one:
        assert await one.copy() >= 4
        assert await one.copy() == 0


async def test_what_does_not_arrive_is_noticed_and_not_kept(
    log: Path, postgres: Server, monkeypatch: pytest.MonkeyPatch
):
    copy = Writing.copy

    async def leaves_one_out(self: Writing, table: str, columns: Sequence[str], rows: Rows) -> None:
        await copy(self, table, columns, rows[1:] if table == "attempt" else rows)

    async with moving(log, postgres.url()) as one:
        monkeypatch.setattr(Writing, "copy", leaves_one_out)
        with pytest.raises(NotTakenError, match="attempt"):
            await one.copy()
        assert await one._target.stretches() == []
        monkeypatch.undo()
        await one.copy()
        await one.switch("there", NOW_MS)


async def test_events_of_old_weeks_lie_in_the_partitions_of_their_weeks(log: Path, postgres: Server):
    url = postgres.url()
    async with moving(log, url) as one:
        await one.copy()
        await one.switch("there", NOW_MS)
    connection = await connect(url, "test")()
    assert await connection.fetchval("SELECT count(*) FROM event") > 0
    for table in ("event", "attempt"):
        assert await connection.fetchval(f"SELECT count(*) FROM {table}_of_no_week") == 0
    await connection.close()


async def test_a_way_back_that_was_cut_off_leaves_the_target_and_can_be_gone_again(log: Path, postgres: Server):
    url = postgres.url()
    async with moving(log, url) as one:
        await one.copy()
        await one.switch("there", NOW_MS)
        await one._target.let_nobody_in()
    assert not file_opens(log)
    assert await target_opens(log, url)
    async with moving(log, url) as again:
        assert await again.undo()
    assert file_opens(log)
    assert not await target_opens(log, url)
    async with moving(log, url) as forth:
        assert await forth.copy() > 0
        await forth.switch("there", NOW_MS)
    assert await find_differing(log, url) == []


async def test_what_a_daemon_was_started_on_is_never_written_over(log: Path, postgres: Server):
    url = postgres.url()
    async with moving(log, url) as one:
        await one.copy()
        await one.switch("there", NOW_MS)
    store = PostgresStore(url)
    await store.open()
    await store.claims(name="a", version="1", role="all").renew((), ())
    await store.close()
    source.mark_unmoved(log)  # as an older copy of the file is
    async with moving(log, url) as one:
        with pytest.raises(StoreError, match="no way back"):
            await one.copy()
        with pytest.raises(StoreError, match="no way back"):
            await one.undo()
