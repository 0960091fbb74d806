"""A database of every earlier release comes to the present schema whole, or stays as it was."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.making import NOW_MS, SEAL, event, spec
from tests.store.old_files import OLD, SEAL_OF_3, ask, looks, old_file
from webhookd.core.secret import Secret
from webhookd.core.signature import signing_key
from webhookd.providers import reread
from webhookd.store.protocol.backups import NoRoomError
from webhookd.store.protocol.errors import StoreBrokenError, StoreError, StoreUnavailableError
from webhookd.store.seal import Seal
from webhookd.store.sqlite import migrate as migrating
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import SCHEMA_VERSION, OutdatedDatabaseError, WrongDatabaseError, open_writer
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.migrate import Migrated, migrate, outdated
from webhookd.store.sqlite.migrations import LEDGER_OF
from webhookd.store.sqlite.store import SqliteStore
from webhookd.upgrade import nobody

EVERY_OLD = pytest.mark.parametrize("version", OLD)


def seal_of(version: int) -> Seal:
    return SEAL_OF_3 if version >= 3 else SEAL


def brought(path: Path, version: int, **more: object) -> Migrated:
    migrated = migrate(path, seal_of(version), reread, nobody, stamp="20260101T000000Z", **more)  # type: ignore[arg-type]
    assert migrated is not None
    return migrated


@pytest.fixture
async def fresh(tmp_path: Path) -> Path:
    store = SqliteStore(tmp_path / "fresh.db")
    await store.open()
    await store.close()
    return tmp_path / "fresh.db"


def test_there_is_a_database_of_every_schema_before_this_one():
    assert list(range(1, SCHEMA_VERSION)) == OLD


@EVERY_OLD
async def test_what_was_brought_up_to_date_is_made_of_what_a_new_file_is_made_of(
    tmp_path: Path, fresh: Path, version: int
):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    assert brought(path, version).schema == version
    assert looks(path) == looks(fresh)
    assert ask(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


@EVERY_OLD
def test_nothing_is_wrong_with_it_and_nothing_is_missing(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    counted = "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM delivery), (SELECT count(*) FROM attempt)"
    pending = "SELECT event, endpoint, due_at, attempts, step FROM delivery WHERE state = 'pending' ORDER BY 1, 2"
    payments = "SELECT id, status, amount, refunded FROM payment ORDER BY id"
    before = [ask(path, query) for query in (counted, pending, payments)]
    brought(path, version)
    assert [ask(path, query) for query in (counted, pending, payments)] == before
    assert list(audit(path, reread)) == []


@EVERY_OLD
def test_the_copy_from_before_has_the_schema_of_before_and_is_the_owners_alone(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    before = looks(path)
    backup = brought(path, version).backup
    assert backup == tmp_path / "data" / "backups" / f"before-schema-{SCHEMA_VERSION}-20260101T000000Z.db"
    assert looks(backup) == before
    assert ask(backup, "PRAGMA user_version") == [(version,)]
    assert {each.stat().st_mode & 0o077 for each in (path, backup, backup.parent)} == {0}
    assert [each.name for each in backup.parent.iterdir()] == [backup.name]


@pytest.mark.parametrize("version", [1, 2])
async def test_a_secret_that_was_plain_is_sealed_and_still_the_one_that_signs(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    plain = dict(ask(path, "SELECT name, secret FROM endpoint"))
    brought(path, version)
    for secret in plain.values():
        assert secret.encode() not in path.read_bytes()  # nor in a page that is no longer used
    store = SqliteStore(path)
    await store.open()
    await store.unlock(SEAL)
    adopted = await store.adopt([spec("shop"), spec("books")], NOW_MS)
    await store.close()
    hook = ("evt_1", 1_700_000_000, b"a body")
    signed = {each.spec.name: [key.key.sign(*hook) for key in each.keys] for each in adopted}
    assert signed == {name: [signing_key(plain[name]).sign(*hook)] for name in ("shop", "books")}


@pytest.mark.parametrize("version", [1, 2])
def test_an_endpoint_that_stood_still_says_why(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    brought(path, version)
    assert ask(path, "SELECT name, state, why FROM endpoint ORDER BY number") == [
        ("shop", "active", None),
        ("books", "active", None),
        ("gone", "paused", "gone"),
        ("quiet", "paused", "operator"),
        ("left", "disabled", "removed"),
    ]


@pytest.mark.parametrize("version", [1, 2])
async def test_a_number_of_an_endpoint_is_not_used_again(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    with driver.connect(path) as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 41 WHERE name = 'endpoint'")
    connection.close()
    brought(path, version)
    store = SqliteStore(path)
    await store.open()
    await store.unlock(SEAL)
    [added] = [each for each in await store.adopt([spec("another")], NOW_MS) if each.spec.name == "another"]
    await store.close()
    assert added.number == 42


@pytest.mark.parametrize("version", [1, 2])
def test_disputes_that_wait_go_first_from_then_on(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    brought(path, version)
    asked = "SELECT DISTINCT e.type, d.priority FROM delivery AS d JOIN event AS e ON e.key = d.event"
    assert {kind for kind, priority in ask(path, asked) if priority == 0} == {"charge.dispute.created"}


@pytest.mark.parametrize("version", [each for each in OLD if each < LEDGER_OF])
def test_what_an_earlier_release_read_otherwise_is_read_again(tmp_path: Path, version: int):
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    right = ask(path, "SELECT * FROM ledger ORDER BY 1, 2, 3")
    connection = driver.connect(path, isolation_level=None)
    connection.execute("UPDATE event SET amount = 7, status = 'failed' WHERE type = 'payment_intent.succeeded'")
    connection.execute("UPDATE ledger SET amount = 7")
    connection.execute("INSERT INTO reference VALUES ('nobody', 'stripe', 'pi_1')")
    connection.close()
    brought(path, version)
    assert ask(path, "SELECT * FROM ledger ORDER BY 1, 2, 3") == right
    assert list(audit(path, reread)) == []


@pytest.mark.parametrize("version", [each for each in OLD if each >= LEDGER_OF])
def test_what_is_read_by_the_rules_of_today_is_not_read_again(tmp_path: Path, version: int):
    """It would take as long as the log is big, and give the same."""
    path = old_file(tmp_path / "data" / "webhookd.db", version)
    told: list[str] = []
    migrate(path, seal_of(version), reread, lambda what, _done, _total: told.append(what), stamp="now")
    assert "reading events again" not in told


async def test_a_file_of_this_schema_stays_as_it_is(fresh: Path):
    assert outdated(fresh) is None
    assert migrate(fresh, SEAL, reread, nobody, stamp="now") is None
    assert not (fresh.parent / "backups").exists()


def test_where_there_is_no_file_there_is_nothing_to_do(tmp_path: Path):
    assert outdated(tmp_path / "webhookd.db") is None
    (tmp_path / "webhookd.db").touch()
    assert outdated(tmp_path / "webhookd.db") is None


async def test_without_being_brought_up_to_date_it_is_not_opened(tmp_path: Path):
    path = old_file(tmp_path / "webhookd.db", 2)
    with pytest.raises(OutdatedDatabaseError, match=rf"schema 2 .* works with {SCHEMA_VERSION}.*webhookd migrate"):
        await open_writer(path)


@pytest.mark.parametrize(
    ("statement", "message"),
    [("PRAGMA user_version = 99", "schema 99"), ("PRAGMA application_id = 7", "another program")],
)
def test_a_newer_or_a_strangers_file_is_refused_and_left_alone(tmp_path: Path, statement: str, message: str):
    path = old_file(tmp_path / "webhookd.db", 3)
    ask(path, statement)
    before = path.read_bytes()
    with pytest.raises(WrongDatabaseError, match=message):
        migrate(path, SEAL_OF_3, reread, nobody, stamp="now")
    assert path.read_bytes() == before
    assert not (tmp_path / "backups").exists()


def test_a_file_that_no_release_made_is_refused_and_left_as_it_was(tmp_path: Path):
    path = old_file(tmp_path / "webhookd.db", 1)
    ask(path, "DROP TABLE route")
    before = looks(path), ask(path, "PRAGMA user_version")
    with pytest.raises(WrongDatabaseError, match=r"not as a release of webhookd made that one.*nothing was changed"):
        migrate(path, SEAL, reread, nobody, stamp="now")
    assert (looks(path), ask(path, "PRAGMA user_version")) == before


def test_a_file_with_something_of_its_own_in_our_tables_is_refused_and_left_as_it_was(tmp_path: Path):
    path = old_file(tmp_path / "webhookd.db", 2)
    ask(path, "ALTER TABLE alias ADD COLUMN more TEXT")
    before = looks(path)
    with pytest.raises(WrongDatabaseError, match=r"what it is made of differs: table alias\)"):
        migrate(path, SEAL, reread, nobody, stamp="now")
    assert (looks(path), outdated(path)) == (before, 2)


def test_what_points_to_nothing_is_found_before_it_is_kept(tmp_path: Path):
    path = old_file(tmp_path / "webhookd.db", 3)
    with driver.connect(path) as connection:
        connection.execute("DELETE FROM endpoint WHERE name = 'quiet'")
    connection.close()
    with pytest.raises(StoreError, match=r"the copy is not whole.* points to nothing"):
        migrate(path, SEAL_OF_3, reread, nobody, stamp="now")
    connection = migrating.open_alone(path, **migrating._PRAGMAS)
    with pytest.raises(WrongDatabaseError, match=r"points to nothing.*nothing was changed"):
        migrating.bring_up_to_date(connection, 3, SEAL_OF_3, reread, nobody)
    connection.close()
    assert outdated(path) == 3


def test_of_one_whose_disk_failed_the_copy_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = old_file(tmp_path / "webhookd.db", 3)

    def broken(*_given: object) -> None:
        raise StoreBrokenError

    monkeypatch.setattr(migrating, "bring_up_to_date", broken)
    with pytest.raises(StoreBrokenError):
        migrate(path, SEAL_OF_3, reread, nobody, stamp="now")
    assert [each.name for each in (tmp_path / "backups").iterdir()] == [f"before-schema-{SCHEMA_VERSION}-now.db"]


def test_who_comes_in_the_same_second_after_a_kill_makes_a_copy_of_his_own(tmp_path: Path):
    """The first one's stays: whether the database was changed since, nobody can know."""
    path = old_file(tmp_path / "webhookd.db", 3)
    (tmp_path / "backups").mkdir()
    names = [f"before-schema-{SCHEMA_VERSION}-now{end}.db" for end in ("", "-2", "-3")]
    for name in names[:2]:
        (tmp_path / "backups" / name).write_bytes(b"his")
    migrated = migrate(path, SEAL_OF_3, reread, nobody, stamp="now")
    assert migrated is not None
    assert migrated.backup.name == names[2]
    assert [(tmp_path / "backups" / name).read_bytes() for name in names[:2]] == [b"his", b"his"]
    assert ask(migrated.backup, "PRAGMA user_version") == [(3,)]


def test_tables_of_others_stay(tmp_path: Path, fresh: Path):
    """Litestream keeps two of its own in the file."""
    path = old_file(tmp_path / "webhookd.db", 3)
    with driver.connect(path) as connection:
        connection.execute("CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
        connection.execute("INSERT INTO _litestream_seq VALUES (1, 17)")
    connection.close()
    brought(path, 3)
    assert ask(path, "SELECT * FROM _litestream_seq") == [(1, 17)]
    assert [row for row in looks(path) if "_litestream" not in row[1]] == looks(fresh)


def test_it_is_not_begun_without_room_for_the_copy_and_as_much_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = old_file(tmp_path / "webhookd.db", 2)
    size = path.stat().st_size

    class Disk:
        f_bavail, f_frsize = 2 * size - 1, 1

    monkeypatch.setattr("webhookd.store.sqlite.backup.os.statvfs", lambda _path: Disk)
    with pytest.raises(NoRoomError, match=f"takes {2 * size} bytes"):
        migrate(path, SEAL, reread, nobody, stamp="now")
    Disk.f_bavail = 2 * size
    assert migrate(path, SEAL, reread, nobody, stamp="now") is not None


@pytest.mark.parametrize("where", ["copying", "verifying", "reading events again"])
def test_who_does_not_want_to_wait_for_it_finds_the_file_as_it_was(tmp_path: Path, where: str):
    path = old_file(tmp_path / "webhookd.db", 2)

    def told(what: str, _done: int, _total: int) -> None:
        if what == where:
            raise InterruptedError

    with pytest.raises((InterruptedError, StoreUnavailableError)):
        migrate(path, SEAL, reread, told, stamp="now")
    assert outdated(path) == 2
    assert not list((tmp_path / "backups").iterdir()), "who tries again and again would fill the disk"
    brought(path, 2)


@pytest.mark.fault(38)
@EVERY_OLD
def test_kill_nine_at_any_point_leaves_the_old_schema_or_the_new_one(tmp_path: Path, version: int):
    """In a process of its own that kills a child of its own at every point there is."""
    path = old_file(tmp_path / "old" / "webhookd.db", version)
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.killed_migration", str(path), str(tmp_path), str(version)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0, done.stderr
    old, new = map(int, done.stdout.split())
    assert old > 15
    assert new > 5


def test_the_rows_of_an_event_are_not_written_anew_for_a_column_that_is_empty(tmp_path: Path):
    """A log has bodies; to copy them would take as long as the log is big."""
    path = old_file(tmp_path / "webhookd.db", 3)
    with driver.connect(path) as connection:
        connection.execute(
            "UPDATE event SET body = zeroblob(20000000), state = 'quarantined' WHERE type = 'payment.captured'"
        )
    connection.close()
    shutil.copy(path, tmp_path / "copy.db")
    connection = migrating.open_alone(tmp_path / "copy.db", wal_autocheckpoint=0, **migrating._PRAGMAS)
    migrating.bring_up_to_date(connection, 3, SEAL_OF_3, reread, nobody)
    assert (tmp_path / "copy.db-wal").stat().st_size < 2_000_000
    connection.close()


async def test_an_event_that_came_before_is_still_known_after(tmp_path: Path):
    path = old_file(tmp_path / "webhookd.db", 1)
    [(source, known)] = ask(path, "SELECT source, provider_event_id FROM event LIMIT 1")
    brought(path, 1)
    store = SqliteStore(path)
    await store.open()
    again = await store.append(event(source=source, provider_event_id=known))
    await store.close()
    assert again.status == "duplicate"


def test_the_seal_of_another_key_does_not_open_what_was_sealed(tmp_path: Path):
    """The rows of schema 3 are sealed already; bringing them up to date does not touch that."""
    path = old_file(tmp_path / "webhookd.db", 3)
    before = ask(path, "SELECT * FROM secret"), ask(path, "SELECT number, settings FROM endpoint")
    migrate(path, Seal(Secret("another key that is long enough")), reread, nobody, stamp="now")
    assert (ask(path, "SELECT * FROM secret"), ask(path, "SELECT number, settings FROM endpoint")) == before
