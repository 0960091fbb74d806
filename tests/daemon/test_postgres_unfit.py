"""A PostgreSQL that webhookd could not keep its promises with is refused at the start, with what to do about it."""

import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.daemon.on_postgres import ask, configured, data_directory, send
from tests.faults.faked_clock import FakedClock, needs_faketime
from tests.postgres import Server, server
from tests.running import daemon
from tests.shell import run
from webhookd.store.postgres import database
from webhookd.store.postgres.database import UnfitDatabaseError
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.errors import StoreUnavailableError

PASSWORD = "aHjWq8ZrT"
_numbers = count(1)


async def refused(directory: Path, url: str, **environment: str) -> str:
    """What `serve` says on its one line, with the exit code of a configuration that cannot be used."""
    (directory / "webhookd.toml").write_text(configured(url))
    ended = await run("serve", cwd=directory, environment=environment)
    assert ended.code == 78, ended.err
    [said] = ended.err.splitlines()
    assert said.startswith("webhookd: store.url: ")
    assert PASSWORD not in said
    return said.removeprefix("webhookd: store.url: ")


@contextmanager
def replica(primary: Server) -> Iterator[Server]:
    """A server that follows the primary, and takes no writes."""
    directory = Path(tempfile.mkdtemp(prefix="webhookd-replica-", dir=primary._directory))
    one = Server(directory)
    try:
        if os.getuid() == 0:
            shutil.chown(directory, "postgres", "postgres")
        copied = "-D", str(one._data), "-d", primary.url().partition("?")[0], "-R", "-c", "fast", "--no-sync"
        one._run("pg_basebackup", *copied)
        with (one._data / "postgresql.conf").open("a") as file:
            file.write(f"port = {one.port}\nunix_socket_directories = '{directory}'\n")
        one.start()
        yield one
        one.stop("immediate")
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def role(postgres: Server, *settings: str) -> AsyncIterator[str]:
    """Another role of the server, which owns nothing: a URL with its name."""
    name, url = f"role_{next(_numbers)}", postgres.url()
    await ask(url, f"CREATE ROLE {name} LOGIN", *(each.format(name) for each in settings))
    yield url.replace("webhookd@", f"{name}@", 1)


async def test_a_database_that_is_not_there(tmp_path: Path, postgres: Server):
    url = postgres.url().replace("/postgres?", "/nothing?")
    assert await refused(tmp_path, url) == 'database "nothing" does not exist'


@pytest.mark.parametrize("password", ["", f":{PASSWORD}"])
async def test_a_password_that_is_wrong_or_missing(tmp_path: Path, password: str):
    with server() as own:
        await ask(own.url(), "ALTER ROLE webhookd PASSWORD 'another'")
        (await data_directory(own.url()) / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
        own.stop()
        own.start()
        said = await refused(tmp_path, own.url().replace("webhookd@", f"webhookd{password}@", 1))
        assert "password" in said


async def test_a_role_that_is_not_there(tmp_path: Path, postgres: Server):
    assert "role" in await refused(tmp_path, postgres.url().replace("webhookd@", "nobody@", 1))


async def test_a_role_that_may_make_no_schema(tmp_path: Path, postgres: Server):
    async with role(postgres) as url:
        said = await refused(tmp_path, url)
    assert "GRANT CREATE ON DATABASE to it, or make the schema yourself" in said


async def test_a_role_that_owns_its_schema_needs_no_other_right(tmp_path: Path, postgres: Server):
    url = postgres.url("made_before")
    async with role(postgres, "CREATE SCHEMA made_before AUTHORIZATION {}") as its:
        name = its.partition("//")[2].partition("@")[0]
        async with daemon(tmp_path, configured(url.replace("webhookd@", f"{name}@", 1))) as running:
            assert (await send(running, "evt_1"))[0] == 200


async def test_a_schema_that_holds_what_is_another_programs(tmp_path: Path, postgres: Server):
    url = postgres.url("shop")
    await ask(url, "CREATE SCHEMA shop", "CREATE TABLE shop.orders (id bigint)")
    said = await refused(tmp_path, url)
    assert said == "the schema shop holds tables that are not webhookd's: name another with ?search_path="
    assert await ask(url, "SELECT relname::text FROM pg_class WHERE relnamespace = 'shop'::regnamespace") == [
        ("orders",)
    ]


async def test_a_schema_of_another_version(tmp_path: Path, postgres: Server):
    url = postgres.url("of_tomorrow")
    async with daemon(tmp_path, configured(url)):
        pass
    await ask(url, "UPDATE of_tomorrow.webhookd SET schema_version = 99")
    assert "has version 99" in await refused(tmp_path, url)


@needs_faketime
@pytest.mark.parametrize(("ahead_s", "said"), [(3_600, "s ahead of the server's"), (-60, "s behind the server's")])
async def test_a_machine_whose_clock_is_another_one_than_the_servers(
    tmp_path: Path, postgres: Server, ahead_s: int, said: str
):
    clock = FakedClock(tmp_path)
    clock.set(ahead_s)
    refusal = await refused(tmp_path, postgres.url(), **clock.environment)
    assert refusal.startswith("this machine's clock is ")
    assert refusal.endswith(f"{said}, and nodes must agree on what is due: set it, see timedatectl")


@needs_faketime
async def test_a_clock_that_is_set_while_a_daemon_runs_is_spoken_of_once(tmp_path: Path, postgres: Server):
    clock = FakedClock(tmp_path)
    async with daemon(tmp_path, configured(postgres.url()), **clock.environment) as running:
        clock.set(-40)
        said = await running.logged("clock_is_off")
        assert "40 s behind the server's" in said["why"]
        assert (await send(running, "evt_1"))[0] == 200
        clock.set(0)
        await running.logged("clock_is_right")
    assert len([line for line in running.log if line["event"] == "clock_is_off"]) == 1


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_a_server_that_does_not_write_safely(tmp_path: Path, name: str):
    with server() as own:
        await ask(own.url(), f"ALTER SYSTEM SET {name} = off", "SELECT pg_reload_conf()")
        own.stop()
        own.start()
        said = await refused(tmp_path, own.url())
    assert f"the server has {name} = off, and 200 would not mean that an event is on the disk" in said
    assert f"set {name} = on" in said


async def test_a_role_that_does_not_wait_for_the_disk(tmp_path: Path, postgres: Server):
    rights = "GRANT CREATE ON DATABASE postgres TO {}", "ALTER ROLE {} SET synchronous_commit = off"
    async with role(postgres, *rights) as url:
        assert "the server has synchronous_commit = off" in await refused(tmp_path, url)
    url = f"{postgres.url()}&synchronous_commit=off"
    assert "the server has synchronous_commit = off" in await refused(tmp_path, url)


async def test_a_database_that_is_not_encoded_in_utf_8(tmp_path: Path, postgres: Server):
    url = postgres.url()
    await ask(url, "CREATE DATABASE old_words ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    said = await refused(tmp_path, url.replace("/postgres?", "/old_words?"))
    assert said == "the database is encoded in SQL_ASCII: make one with ENCODING 'UTF8'"


async def test_a_setting_that_the_server_does_not_know(tmp_path: Path, postgres: Server):
    assert '"nonsense"' in await refused(tmp_path, f"{postgres.url()}&nonsense=1")


async def test_tls_that_the_server_does_not_do_or_that_no_certificate_vouches_for(tmp_path: Path, postgres: Server):
    assert "rejected SSL upgrade" in await refused(tmp_path, f"{postgres.url()}&sslmode=require")
    (tmp_path / "ca.pem").write_text("none")
    await refused(tmp_path, f"{postgres.url()}&sslmode=verify-full&sslrootcert={tmp_path}/ca.pem")


async def test_a_server_that_is_too_old(postgres: Server, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "SERVER_VERSION_MIN", 990_000)
    with pytest.raises(UnfitDatabaseError, match=r"the server is PostgreSQL \d\d, and webhookd needs 99 or later"):
        await PostgresStore(postgres.url()).open()


async def test_a_server_that_became_unfit_while_it_was_away_is_not_written_to(
    postgres: Server, monkeypatch: pytest.MonkeyPatch
):
    store = PostgresStore(postgres.url())
    await store.open()
    try:
        monkeypatch.setitem(database._MUST_BE, "fsync", ("of another machine",))
        await store.look()
        assert store.stalled
        assert "the server has fsync = on" in str(store.away)
        with pytest.raises(StoreUnavailableError):
            await store._writer.query("SELECT 1")
        monkeypatch.undo()
        await store.look()
        assert not store.stalled
    finally:
        await store.close()


async def test_a_server_that_says_nothing_for_ten_seconds_is_given_up(postgres: Server):
    store = PostgresStore(postgres.url())
    await store.open()
    await store.look()
    try:
        assert store._writer._connection is not None
        its = store._writer._connection._transport.get_extra_info("socket")
        assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        assert its.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert its.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
    finally:
        await store.close()


async def test_a_replica_is_refused_alone_and_passed_over_beside_its_primary(tmp_path: Path):
    with server() as primary, replica(primary) as standby:
        alone = primary.url().replace(str(primary.port), str(standby.port))
        assert "the server is a replica, which takes no writes: name the primary" in await refused(tmp_path, alone)
        both = primary.url().replace(
            f"@127.0.0.1:{primary.port}", f"@127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        )
        async with daemon(tmp_path, configured(both)) as running:
            assert (await send(running, "evt_1"))[0] == 200
