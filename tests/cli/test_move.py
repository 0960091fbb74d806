"""`webhookd move`: what it refuses, how it is interrupted and goes on, and the way back."""

import asyncio
import signal
from contextlib import closing
from pathlib import Path

import pytest

from tests.daemon.on_postgres import ask as ask_server
from tests.daemon.on_postgres import send
from tests.postgres import Server
from tests.running import PATIENCE_S, configuration, daemon
from tests.shell import Ended, ask, run, start
from tests.store.both_sides import find_differing
from tests.store.old_files import KEY_OF_3, SEAL_OF_3, old_file
from webhookd.clock import SystemClock
from webhookd.providers import reread
from webhookd.store.postgres.database import UnfitDatabaseError, connect, prepare
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.migrate import migrate
from webhookd.upgrade import nobody

OTHER_KEY = "fedcba9876543210fedcba9876543210"


def configured(store_url: str = "sqlite:webhookd.db", key: str = KEY_OF_3) -> str:
    return configuration() + f'\n[store]\nurl = "{store_url}"\nkey = "{key}"\n'


class Desk:
    """A data directory whose log has something in every table, and who moves it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config = directory / "webhookd.toml"
        self.file = directory / "data" / "webhookd.db"
        self.config.write_text(configured())

    async def move(self, to: str, *arguments: str) -> Ended:
        return await ask("move", "--to", to, "-c", self.config, "--data-dir", self.file.parent, *arguments)

    async def moved(self, to: str) -> None:
        found = await self.move(to)
        assert found.code == 0, found.err

    def change(self, statement: str) -> None:
        with closing(driver.connect(self.file)) as connection:
            connection.execute(statement)
            connection.commit()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    migrate(old_file(made.file, 4), SEAL_OF_3, reread, nobody, stamp="then")
    return made


async def opens(url: str) -> bool:
    """Whether a daemon would open what is there."""
    try:
        await prepare(connect(url, "test"))
    except UnfitDatabaseError:
        return False
    return True


async def test_a_log_with_something_in_every_table_is_the_same_on_the_other_side(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    found = await desk.move(url, "--json")
    assert (found.code, found.json["findings"]) == (0, []), found.err
    assert found.json["rows"]["event"] > 0
    assert await find_differing(desk.file, url) == []
    assert await opens(url)
    assert "*" not in found.json["to"]


async def test_the_next_to_be_added_is_one_that_never_was(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    desk.change("UPDATE sqlite_sequence SET seq = 70 WHERE name IN ('endpoint', 'audit')")
    await desk.moved(url)
    connection = await connect(url, "test")()
    added = "INSERT INTO endpoint (name, url, managed_by, created_at) VALUES ('new', '', 'api', 0) RETURNING number"
    assert await connection.fetchval(added) == 71
    added = "INSERT INTO audit (at, actor, action) VALUES (0, '', '') RETURNING number"
    assert await connection.fetchval(added) == 71
    await connection.close()


async def test_nul_is_kept_as_its_sign(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    desk.change("UPDATE endpoint SET url = url || char(0) || '!'")
    desk.change("UPDATE audit SET subject = 'a' || char(0) || 'b'")
    await desk.moved(url)
    assert await find_differing(desk.file, url) == []
    schema = url.rpartition("=")[2]
    assert await ask_server(url, f"SELECT DISTINCT subject FROM {schema}.audit") in ([("a␀b",)], [])


async def test_ids_that_would_be_one_there_are_refused_and_nothing_is_switched(desk: Desk, postgres: Server) -> None:
    desk.change(
        "UPDATE event SET provider_event_id = 'one' || char(0), source = 's' WHERE key = (SELECT min(key) FROM event)"
    )
    desk.change("UPDATE event SET provider_event_id = 'one␀', source = 's' WHERE key = (SELECT max(key) FROM event)")
    found = await desk.move(postgres.url())
    assert (found.code, "U+2400" in found.err) == (1, True)


@pytest.mark.parametrize(
    ("to", "code", "why"),
    [
        ("nonsense", 2, "must be"),
        ("sqlite:other.db", 2, "names a file"),
        ("env:NOT_SET_ANYWHERE", 2, "is not set"),
        ("postgresql://u:passw0rd@127.0.0.1:1/x", 1, "cannot be reached"),
    ],
)
async def test_a_target_that_cannot_be_is_refused_and_no_password_is_said(
    desk: Desk, to: str, code: int, why: str
) -> None:
    found = await desk.move(to)
    assert (found.code, why in found.err, "passw0rd" in found.err) == (code, True, False), found.err
    assert "--to:" in found.err


async def test_without_what_speaks_to_postgresql_it_says_what_to_install(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookd.cli.move.find_spec", lambda _name: None)
    found = await desk.move("postgresql://webhookd@127.0.0.1/shop")
    assert (found.code, "webhookd[postgres]" in found.err) == (2, True)


async def test_a_server_that_would_not_keep_what_was_acknowledged_is_refused(desk: Desk, postgres: Server) -> None:
    await ask_server(
        postgres.url(), "CREATE ROLE hasty SUPERUSER LOGIN", "ALTER ROLE hasty SET synchronous_commit = off"
    )
    found = await desk.move(postgres.url().replace("webhookd@", "hasty@"))
    assert (found.code, "synchronous_commit" in found.err) == (78, True)


async def test_a_store_that_is_there_already_is_left_alone(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    await prepare(connect(url, "test"))
    found = await desk.move(url)
    assert (found.code, "DROP SCHEMA" in found.err) == (78, True)
    assert await opens(url)


async def test_tables_of_another_program_are_left_alone(desk: Desk, postgres: Server) -> None:
    await ask_server(postgres.url(), "CREATE SCHEMA theirs", "CREATE TABLE theirs.orders (id int)")
    found = await desk.move(postgres.url("theirs"))
    assert (found.code, "not webhookd's" in found.err) == (78, True)


async def test_where_another_log_was_moved_to_is_refused(desk: Desk, postgres: Server, tmp_path: Path) -> None:
    url = postgres.url()
    await desk.moved(url)
    (tmp_path / "other").mkdir()
    other = Desk(tmp_path / "other")
    migrate(old_file(other.file, 3), SEAL_OF_3, reread, nobody, stamp="then")
    found = await other.move(url)
    assert (found.code, "another log" in found.err) == (78, True)


async def test_without_a_log_there_is_nothing_to_move(tmp_path: Path, postgres: Server) -> None:
    found = await Desk(tmp_path).move(postgres.url())
    assert (found.code, "no such database" in found.err) == (2, True)


async def test_a_log_of_an_older_schema_is_to_be_migrated_first(tmp_path: Path, postgres: Server) -> None:
    old = Desk(tmp_path)
    old_file(old.file, 4)
    url = postgres.url()
    found = await old.move(url)
    assert (found.code, "webhookd migrate" in found.err) == (78, True)
    assert await ask_server(url, f"SELECT to_regnamespace('{url.rpartition('=')[2]}') IS NULL") == [(True,)]


async def test_another_key_than_secrets_are_sealed_with_is_found_before_anything_is_copied(
    desk: Desk, postgres: Server
) -> None:
    desk.config.write_text(configured(key=OTHER_KEY))
    url = postgres.url()
    found = await desk.move(url)
    assert (found.code, "store.key" in found.err) == (78, True)
    assert await ask_server(url, f"SELECT to_regnamespace('{url.rpartition('=')[2]}') IS NULL") == [(True,)]


async def test_a_clock_with_which_no_daemon_would_start_there_is_found_first(
    desk: Desk, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    hour_ago = SystemClock().now_ms() - 3_600_000
    monkeypatch.setattr(SystemClock, "now_ms", lambda _self: hour_ago)
    found = await desk.move(postgres.url())
    assert (found.code, "clock" in found.err) == (78, True)


async def test_what_verify_finds_wrong_is_not_moved_until_it_is_put_right(
    desk: Desk, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookd.store.move.source.EVENTS", 2)
    monkeypatch.setattr("webhookd.store.move.move.SMALL", 0)  # what was copied is not copied again without need
    url = postgres.url()
    desk.change("UPDATE ledger SET status = 'failed', major = 99 WHERE kind = 'payment'")
    found = await desk.move(url)
    assert (found.code, "webhookd verify" in found.err, "ledger:" in found.err) == (1, True, True)
    assert not await opens(url)
    assert (await ask("verify", desk.file)).code == 1  # and not that it has moved
    rebuilt = await ask("ledger", "rebuild", "-c", desk.config, "--data-dir", desk.file.parent)
    assert rebuilt.code == 0, rebuilt.err
    await desk.moved(url)
    assert await find_differing(desk.file, url) == []


async def test_a_damaged_file_is_not_moved(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    content = bytearray(desk.file.read_bytes())
    for page in range(20, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    desk.file.write_bytes(content)
    found = await desk.move(url)
    assert found.code in (1, 78)
    assert "Traceback" not in found.err
    assert "webhookd:" in found.err


async def test_interrupted_it_keeps_what_it_has_and_goes_on(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    async with daemon(desk.directory, configured()) as running:
        moving = await start("move", "--to", url, cwd=desk.directory)
        assert moving.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            assert b"stop the daemon now" in await moving.stderr.readline()
            status, event_id = await send(running, "evt_meanwhile")
            assert (status, event_id is not None) == (200, True)
            moving.send_signal(signal.SIGINT)
            _, err = await moving.communicate()
        assert (moving.returncode, b"goes on with it" in err, b"Traceback" in err) == (130, True, False), err
        assert not await opens(url)
        assert (await send(running, "evt_after"))[0] == 200
        assert await running.stop() == 0
    again = await run("move", "--to", url, cwd=desk.directory)
    assert again.code == 0, again.err
    assert await find_differing(desk.file, url) == []


async def test_two_do_not_move_to_the_same_place_at_once(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    async with daemon(desk.directory, configured()):
        moving = await start("move", "--to", url, cwd=desk.directory)
        assert moving.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            await moving.stderr.readline()
            found = await desk.move(url)
            assert (found.code, "another `webhookd move`" in found.err) == (78, True)
            moving.kill()
            await moving.wait()


async def test_after_it_no_daemon_opens_the_file_and_says_where_the_log_is(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    await desk.moved(url)
    for verb in ("serve", "verify", "migrate"):
        found = await run(verb, cwd=desk.directory)
        assert found.code in (1, 78), verb
        assert url.partition("@")[2] in found.err, verb
    again = await desk.move(url)
    assert again.code == 0, again.err
    elsewhere = await desk.move(postgres.url())
    assert (elsewhere.code, "not there" in elsewhere.err) == (78, True)


async def test_it_goes_back_as_long_as_no_daemon_was_there(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    await desk.moved(url)
    elsewhere = await desk.move(postgres.url(), "--undo")
    assert (elsewhere.code, "not there" in elsewhere.err) == (78, True)
    assert (await desk.move(url, "--undo")).code == 0
    assert not await opens(url)
    async with daemon(desk.directory, configured()) as running:
        assert (await send(running, "evt_after"))[0] == 200
        assert await running.stop() == 0
    await desk.moved(url)
    assert await find_differing(desk.file, url) == []
    async with daemon(desk.directory, configured(url)) as running:
        assert await running.stop() == 0
    desk.config.write_text(configured())
    found = await desk.move(url, "--undo")
    assert (found.code, "no way back" in found.err) == (1, True)


async def test_without_the_right_to_make_a_schema_it_says_what_to_grant(desk: Desk, postgres: Server) -> None:
    url = postgres.url()
    await ask_server(url, "CREATE ROLE poor LOGIN")
    found = await desk.move(url.replace("webhookd@", "poor@"))
    assert (found.code, "GRANT" in found.err) == (78, True)
