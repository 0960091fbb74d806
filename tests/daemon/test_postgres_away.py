"""PostgreSQL is stopped, killed, frozen, not there yet: hooks are refused, nothing is lost, all goes on by itself."""

import asyncio
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.on_postgres import ask, configured, crash, data_directory, send, signal_all
from tests.daemon.test_end_to_end import stripe_event, stripe_headers
from tests.daemon.test_watchdog import OFTEN, Systemd
from tests.faults.namespace import inside, must_be_possible
from tests.faults.settled import log_of, settled
from tests.making import SEAL, spec
from tests.postgres import Server, binaries, server
from tests.running import PATIENCE_S, RunningDaemon, daemon, endpoint
from tests.shell import start
from webhookd.store.postgres.connection import Speaking
from webhookd.store.postgres.store import CLOSE_S_MAX, PostgresStore
from webhookd.store.protocol.errors import StoreUnavailableError

CANNOT_COMMIT = "The store cannot commit at the moment; hooks are refused until it can."


@pytest.fixture(scope="module")
def own() -> Iterator[Server]:
    """A server that only these tests use, up between them."""
    with server() as one:
        yield one


async def readiness(running: RunningDaemon) -> tuple[int, str]:
    """What a load balancer is told, and why."""
    async with aiohttp.ClientSession() as session, session.get(f"{running.hooks}/readyz") as response:
        return response.status, (await response.json()).get("detail", "")


async def until(running: RunningDaemon, status: int) -> None:
    """Asked for until it is so, as a load balancer does."""
    async with asyncio.timeout(PATIENCE_S):
        while (await readiness(running))[0] != status:
            pass


async def refused(running: RunningDaemon, name: str) -> tuple[int, str | None]:
    """The answer's status and Retry-After."""
    body = stripe_event(name)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{running.hooks}/webhooks/stripe", data=body, headers=stripe_headers(body)) as response,
    ):
        return response.status, response.headers.get("Retry-After")


@pytest.mark.parametrize("way", ["stop", "crash"])
async def test_while_the_server_is_away_hooks_are_refused_and_when_it_is_back_all_goes_on(
    tmp_path: Path, own: Server, way: str
):
    async with merchant() as shop:
        answered, data = asyncio.Event(), await data_directory(own.url())
        config = configured(own.url(), endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            shop.before_answer = answered.wait
            _, under_way = await send(running, "evt_1")
            await shop.has(1)
            own.stop("immediate") if way == "stop" else crash(own, data)
            assert "PostgreSQL" in (await running.logged("store_stalled"))["why"]
            answered.set()  # an attempt ends that cannot be recorded now
            assert await readiness(running) == (503, CANNOT_COMMIT)
            status, retry_after = await refused(running, "evt_2")
            assert status == 503
            assert retry_after is not None
            assert (await operator.ask("GET", "/status")).status == 503
            own.start()
            await running.logged("store_goes_on")
            assert (await readiness(running))[0] == 200
            status, after = await send(running, "evt_2")
            assert status == 200
            for event_id in (under_way, after):
                assert event_id is not None
                assert (await settled(running, event_id))["shop"]["attempts"] == 1
            assert len(shop.got) == 2, "what was attempted is not attempted again"
            assert await log_of(running) == ["evt_2", "evt_1"]
            assert not [line for line in running.log if line.get("level") == "error"]
            assert await running.stop() == 0


async def test_nothing_that_was_acknowledged_is_lost_however_often_the_server_is_killed_under_load(
    tmp_path: Path, own: Server
):
    taken: dict[str, str] = {}
    over = asyncio.Event()

    async def provider(running: RunningDaemon, line: int) -> None:
        number = 0
        while not over.is_set():
            name = f"evt_{line}_{number}"
            status, event_id = await send(running, name)
            assert status in (200, 503)
            if event_id is not None:
                taken[name] = event_id
                number += 1

    async with merchant() as shop:
        config = configured(own.url(), endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            providers = [asyncio.create_task(provider(running, line)) for line in range(8)]
            data = await data_directory(own.url())
            for way in (partial(crash, own, data), partial(own.stop, "immediate"), partial(crash, own, data)):
                enough = len(taken) + 30
                async with asyncio.timeout(PATIENCE_S):
                    while len(taken) < enough:
                        await shop.has(len(shop.got) + 1)
                await asyncio.to_thread(way)
                await asyncio.to_thread(own.start)
            await shop.has(len(shop.got) + 30)
            over.set()
            await asyncio.gather(*providers)
            for event_id in taken.values():
                assert (await settled(running, event_id))["shop"]["state"] == "delivered"
            assert taken.keys() <= set(await log_of(running))
            assert await running.stop() == 0
        assert set(taken.values()) <= {got.headers["webhook-id"] for got in shop.got}


async def is_there_once(running: RunningDaemon, shop: Merchant, status: int, event_id: str | None) -> None:
    assert status == 200
    assert event_id is not None
    assert await log_of(running) == ["evt_1"]
    assert (await settled(running, event_id))["shop"]["attempts"] == 1
    assert len(shop.got) == 1


async def test_of_a_crash_in_the_middle_of_a_commit_nobody_hears_yes_until_it_is_stored(tmp_path: Path, own: Server):
    """What is to be checked at its end makes the transaction wait for a lock, which the crash takes away."""
    url = own.url("waits_at_its_end")
    data = await data_directory(url)
    async with merchant() as shop:
        config = configured(url, endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            await ask(
                url,
                "CREATE FUNCTION waits_at_its_end.wait() RETURNS trigger LANGUAGE plpgsql AS "
                "'BEGIN PERFORM pg_advisory_xact_lock(42); RETURN NULL; END'",
                "CREATE CONSTRAINT TRIGGER waits AFTER INSERT ON waits_at_its_end.event DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION waits_at_its_end.wait()",
            )
            holder = await asyncpg.connect(url.partition("?")[0])
            await holder.execute("SELECT pg_advisory_lock(42)")
            sent = asyncio.create_task(send(running, "evt_1"))
            await waiting_for(url, "Lock", "advisory")
            crash(own, data)
            holder.terminate()
            await running.logged("store_stalled")
            assert not sent.done(), "it is not known yet what became of it"
            own.start()
            await is_there_once(running, shop, *await sent)


async def test_what_was_committed_though_the_answer_was_lost_is_there_once_and_delivered(tmp_path: Path, own: Server):
    """A commit that waits for a replica is on the disk of the primary already."""
    url = own.url()
    data = await data_directory(url)
    async with merchant() as shop:
        config = configured(url, endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            await ask(url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
            sent = asyncio.create_task(send(running, "evt_1"))
            await waiting_for(url, "IPC", "SyncRep")
            crash(own, data)
            (data / "postgresql.auto.conf").write_text("")
            own.start()
            await is_there_once(running, shop, *await sent)


@pytest.mark.parametrize("is_heard", [True, False])
async def test_who_changed_something_knows_whether_it_was_committed_though_the_server_forgot_the_transaction(
    own: Server, monkeypatch: pytest.MonkeyPatch, *, is_heard: bool
):
    """What it had not written down when it crashed it gives out again: then others' transactions have that number."""
    url = own.url()
    store, data = PostgresStore(url), await data_directory(url)
    await store.open()
    await store.unlock(SEAL)
    ask_of, crashes = Speaking.ask, iter([True])

    def dies_as_it_commits(speaking: Speaking, sql: str, *given: Any) -> Any:
        if sql != "COMMIT" or not next(crashes, False):
            return ask_of(speaking, sql, *given)
        if is_heard:
            ask_of(speaking, sql, *given)
        crash(own, data)
        own.start()
        others = "DO $$ BEGIN FOR i IN 1..100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        subprocess.run([binaries() / "psql", "-q", "-d", url.partition("?")[0], "-c", others], check=True)
        return ask_of(speaking, "SELECT 'the connection is lost'")

    monkeypatch.setattr(Speaking, "ask", dies_as_it_commits)
    try:
        change = store.adopt([spec("shop")], 0)
        if is_heard:
            await change
        else:
            with pytest.raises(StoreUnavailableError, match="nothing was changed"):
                await change
        assert await store._history_reader.query("SELECT count(*) FROM endpoint") == [(is_heard,)]
    finally:
        await store.close()


async def test_a_server_that_hangs_does_not_keep_the_store_from_being_closed(own: Server):
    store = PostgresStore(own.url())
    await store.open()
    await store.unlock(SEAL)
    data = await data_directory(own.url())
    signal_all(data, signal.SIGSTOP)
    try:
        change = asyncio.ensure_future(store.kept_endpoints())
        async with asyncio.timeout(4 * CLOSE_S_MAX):
            await store.close()
        with pytest.raises(StoreUnavailableError):
            await change
    finally:
        signal_all(data, signal.SIGCONT)


async def waiting_for(url: str, kind: str, event: str) -> None:
    """Return once a commit of the daemon's waits for that."""
    waits = f"SELECT 1 FROM pg_stat_activity WHERE wait_event_type = '{kind}' AND wait_event = '{event}'"
    async with asyncio.timeout(PATIENCE_S):
        while not await ask(url, f"{waits} AND application_name = 'webhookd commits'"):
            pass


async def test_a_server_that_hangs_is_waited_for_and_hooks_are_refused_meanwhile(tmp_path: Path, own: Server):
    async with merchant() as shop:
        config = configured(own.url(), endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            assert (await send(running, "evt_1"))[0] == 200
            data = await data_directory(own.url())
            signal_all(data, signal.SIGSTOP)
            try:
                assert (await send(running, "evt_2"))[0] == 503, "nobody knows whether it is stored"
                await running.logged("store_stalled")
                assert (await refused(running, "evt_3"))[0] == 503
            finally:
                signal_all(data, signal.SIGCONT)
            await until(running, 200)
            _, event_id = await send(running, "evt_2")
            assert event_id is not None
            await settled(running, event_id)
            assert sorted(await log_of(running)) == ["evt_1", "evt_2"]


async def test_a_server_whose_machine_is_gone_is_noticed_within_seconds_though_nobody_says_so(tmp_path: Path):
    must_be_possible()
    found = await inside("tests.daemon.out_of_reach", str(tmp_path))
    assert max(found["noticed_s"]) < 20, "by itself the kernel would wait for a quarter of an hour"
    assert found["refused"] == [503, 503]
    assert set(found["states"]) == {"delivered"}
    assert found["known"] == ["evt_0", "evt_1", "evt_after"]
    assert found["code"] == 0


async def says(process: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """The next line of its log that is of this event."""
    assert process.stderr is not None
    async with asyncio.timeout(PATIENCE_S):
        async for line in process.stderr:
            if (said := json.loads(line))["event"] == event:
                return dict(said)
    raise AssertionError(f"it ended without {event}")


async def test_a_server_that_comes_up_later_is_waited_for(tmp_path: Path, own: Server):
    (tmp_path / "webhookd.toml").write_text(configured(own.url()))
    own.stop()
    process = await start("serve", cwd=tmp_path)
    try:
        assert "cannot be reached" in (await says(process, "store_is_away"))["why"]
        own.start()
        await says(process, "ready")
    finally:
        process.kill()
        await process.wait()


async def test_a_server_that_hangs_up_as_it_is_greeted_is_waited_for():
    """As one does that dies just then, or what stands before it."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as greeted:
        port = greeted.sockets[0].getsockname()[1]
        store = PostgresStore(f"postgresql://webhookd@127.0.0.1:{port}/postgres")
        with pytest.raises(StoreUnavailableError, match="cannot be reached"):
            await store.open()


async def test_who_waits_for_a_server_can_be_stopped(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (tmp_path / "webhookd.toml").write_text(configured(f"postgresql://webhookd@127.0.0.1:{port}/postgres"))
    process = await start("serve", cwd=tmp_path)
    await says(process, "store_is_away")
    process.terminate()
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0


async def test_the_watchdog_is_fed_while_the_server_is_away(tmp_path: Path, own: Server):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)
        systemd = Systemd(channel)
        async with daemon(tmp_path, configured(own.url()), NOTIFY_SOCKET=address, WATCHDOG_USEC=OFTEN) as running:
            own.stop("immediate")
            await running.logged("store_stalled")
            while_it_is_away = [await systemd.hears() for _ in range(60)]  # longer than the bound on a writer's silence
            own.start()
            await running.logged("store_goes_on")
            assert not [said for said in while_it_is_away if "stuck" in said]
            assert await running.stop() == 0


WORDS = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"
GOODBYE = b"E" + (len(WORDS) + 4).to_bytes(4, "big") + WORDS
"""What a server that is stopped says to who asks nothing of it, before it hangs up."""


async def test_a_goodbye_between_two_statements_is_a_connection_lost_and_no_fault_of_ours(postgres: Server):
    store = PostgresStore(postgres.url())
    await store.open()
    await store.unlock(SEAL)
    try:
        assert await store.last_key() == 0
        for session, ask in ((store._history_reader, store.last_key), (store._writer, store.kept_endpoints)):
            assert session._connection is not None
            session._connection._protocol.data_received(GOODBYE)
            with pytest.raises(StoreUnavailableError):
                await ask()
            await ask()  # on another connection
    finally:
        await store.close()
