"""A daemon whose store is in PostgreSQL does what it does with a file of SQLite's."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.daemon.on_postgres import STORE_KEY, ask, configured, send
from tests.daemon.test_end_to_end import post, stripe_headers
from tests.faults.settled import log_of, settled
from tests.postgres import Server
from tests.running import configuration, daemon, endpoint
from tests.shell import run

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
FAST = 'schedule = ["0s", "50ms", "50ms", "50ms", "100ms", "200ms", "500ms", "1s", "1s", "1s"]'


async def test_a_hook_is_taken_in_delivered_and_seen_by_every_way_of_asking(tmp_path: Path, postgres: Server):
    async with merchant() as shop:
        config = configured(postgres.url(), endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            status, event_id = await send(running, "evt_1")
            assert status == 200
            [got] = await shop.has(1)  # it has checked the signature
            assert got.headers["webhook-id"] == event_id
            assert event_id is not None
            await settled(running, event_id)
            assert (await operator.get(f"/events/{event_id}"))["deliveries"][0]["attempts"] == 1
            assert (await operator.get("/status"))["ready"]
            assert "webhookd_hooks_total" in await operator.metrics()
            listed = await run("events", "list", "--json", cwd=tmp_path)
            assert [each["id"] for each in listed.json["data"]] == [event_id]
            shown = await run("status", cwd=tmp_path)
            assert (shown.code, "shop" in shown.out) == (0, True)
            assert (await run("why", event_id, cwd=tmp_path)).code == 0
            assert await running.stop() == 0
        ready = await running.logged("ready")
        assert ready["postgresql"].split(".")[0].isdigit()
        assert "sqlite" not in ready
        assert sorted(each.name for each in (tmp_path / "data").iterdir()) == ["admin.token", "node", "webhookd.lock"]


async def test_the_url_may_come_from_the_environment_alone(tmp_path: Path, postgres: Server):
    given = {
        "WEBHOOKD_STORE__URL": "env:DATABASE_URL",
        "DATABASE_URL": postgres.url(),
        "WEBHOOKD_STORE__KEY": STORE_KEY,
    }
    async with daemon(tmp_path, configuration(), **given) as running:
        assert (await send(running, "evt_1"))[0] == 200
        assert "postgresql" in await running.logged("ready")


@pytest.mark.fault(1)
async def test_kill_nine_of_the_daemon_loses_nothing_that_was_acknowledged(tmp_path: Path, postgres: Server):
    taken: set[str] = set()
    async with merchant() as shop:
        shop.answer = lambda got: (
            500 if (got.headers["webhook-id"][-1], got.headers["webhookd-attempt"]) == ("0", "1") else 200
        )
        config = configured(postgres.url(), endpoints=endpoint("shop", shop.port), delivery=FAST)
        async with daemon(tmp_path, config) as running:
            for life in range(3):
                sending = [asyncio.create_task(send(running, f"evt_{life}_{number}")) for number in range(40)]
                for each in asyncio.as_completed(sending):
                    status, event_id = await each
                    assert status == 200
                    assert event_id is not None
                    taken.add(event_id)
                    if len(taken) == 40 * life + 20:
                        break
                await running.kill()
                for ended in await asyncio.gather(*sending, return_exceptions=True):
                    if isinstance(ended, tuple) and ended[1] is not None:
                        taken.add(ended[1])
                await running.start()
            for event_id in taken:
                assert (await settled(running, event_id))["shop"]["state"] == "delivered"
            assert len(set(await log_of(running))) >= len(taken)
        assert taken <= {got.headers["webhook-id"] for got in shop.got}


async def test_a_daemon_that_is_killed_and_started_again_waits_for_no_lease(tmp_path: Path, postgres: Server):
    async with merchant() as shop:
        config = configured(postgres.url(), endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            await running.kill()
            await running.start()
            async with desk(running) as operator:
                before, after = (await operator.get("/nodes"))["data"]
            assert (before["alive"], before["endpoints"]) == (False, 0)
            assert (after["alive"], after["endpoints"]) == (True, 1)


async def test_two_daemons_of_one_database_cannot_share_a_data_directory(tmp_path: Path, postgres: Server):
    config = configured(postgres.url())
    async with daemon(tmp_path, config):
        ended = await run("serve", cwd=tmp_path)
        assert (ended.code, "is in use by another webhookd" in ended.err) == (78, True)


async def test_another_store_key_than_the_one_it_was_sealed_with_is_refused(tmp_path: Path, postgres: Server):
    made_by_the_store = '[endpoints.shop]\nurl = "http://127.0.0.1:9000/"\n'
    config = configured(postgres.url(), endpoints=made_by_the_store)
    async with daemon(tmp_path, config) as running:
        assert await running.stop() == 0
    (tmp_path / "webhookd.toml").write_text(config.replace(STORE_KEY, STORE_KEY[::-1]))
    ended = await run("serve", cwd=tmp_path)
    assert (ended.code, "store.key" in ended.err) == (78, True)


async def test_a_backup_is_refused_with_what_makes_one(tmp_path: Path, postgres: Server):
    async with daemon(tmp_path, configured(postgres.url())) as running, desk(running) as operator:
        answer = await operator.ask("POST", "/backup", {"file": "monday.db"})
        assert (answer.status, "pg_dump" in answer.json["detail"]) == (409, True)
        here = await run("backup", "monday.db", cwd=tmp_path)
        assert (here.code, "pg_dump" in here.err) == (2, True)
        there = await run(
            *("backup", "monday.db", "--url", running.admin, "--token-file", tmp_path / "data" / "admin.token"),
            cwd=tmp_path,
        )
        assert (there.code, "pg_dump" in there.err) == (1, True)
    assert (await run("migrate", cwd=tmp_path)).code == 2


async def test_every_promise_can_be_verified_and_a_ledger_that_is_wrong_put_right(tmp_path: Path, postgres: Server):
    url = postgres.url("verified")
    async with merchant() as shop:
        config = configured(url, endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config) as running:
            paid = {"id": "pi_1", "object": "payment_intent", "status": "succeeded", "currency": "usd"}
            event = {"id": "evt_1", "object": "event", "type": "payment_intent.succeeded", "created": 1_763_683_200}
            amounts = {"amount": 1050, "amount_received": 1050}
            body = json.dumps({**event, "data": {"object": {**paid, **amounts}}}).encode()
            _, answer = await post(running, "stripe", body, stripe_headers(body))
            await settled(running, answer["event_id"])
            assert (await run("verify", cwd=tmp_path)).code == 0
            await ask(url, "SET search_path = verified", "UPDATE ledger SET status = 'failed'")
            found = await run("verify", "--json", cwd=tmp_path)
            assert (found.code, found.json["findings"][0]["check"]) == (1, "ledger")
            assert (await run("ledger", "rebuild", cwd=tmp_path)).code == 0
            assert (await run("verify", cwd=tmp_path)).code == 0
            await ask(url, "SET search_path = verified", "UPDATE ledger SET status = 'failed'")
            assert await running.stop() == 0
        assert (await run("ledger", "rebuild", cwd=tmp_path)).code == 0, "without a daemon, too"
        assert (await run("verify", cwd=tmp_path)).code == 0


async def test_what_cannot_be_verified_is_said_in_a_line(tmp_path: Path, postgres: Server):
    (tmp_path / "webhookd.toml").write_text(configured(postgres.url()))
    ended = await run("verify", cwd=tmp_path)
    assert (ended.code, ended.err) == (1, "webhookd: store.url: there is no store of webhookd's in this schema\n")
    (tmp_path / "webhookd.toml").write_text(configured("postgresql://webhookd@127.0.0.1:1/postgres"))
    ended = await run("verify", cwd=tmp_path)
    assert (ended.code, len(ended.err.splitlines())) == (1, 1)
    assert "PostgreSQL cannot be reached" in ended.err


async def test_what_the_metrics_say_of_a_disk_is_not_said_of_a_server(tmp_path: Path, postgres: Server):
    config = configured(postgres.url()).replace('min_free = "1MiB"', 'min_free = "1000000GiB"')
    async with daemon(tmp_path, config) as running, desk(running) as operator, aiohttp.ClientSession() as session:
        async with session.get(f"{running.hooks}/readyz") as ready:
            assert ready.status == 200, "there is no need for room on this machine"
        assert "disk_min_free_bytes 0.0" in await operator.metrics()


async def test_the_tables_are_in_a_schema_of_their_own_and_named_by_the_url(tmp_path: Path, postgres: Server):
    url = postgres.url("hooks_of_one")
    async with daemon(tmp_path, configured(url)) as running:
        assert (await send(running, "evt_1"))[0] == 200
    assert await ask(url, "SELECT count(*) FROM hooks_of_one.event") == [(1,)]
    assert await ask(url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_a_password_is_in_no_line_of_the_log_and_in_no_file(tmp_path: Path, postgres: Server):
    url = postgres.url().replace("webhookd@", "webhookd:aHjWq8ZrT@")  # trusted, whatever the password
    async with daemon(tmp_path, configured(url)) as running:
        assert (await send(running, "evt_1"))[0] == 200
        assert await running.stop() == 0
        assert "aHjWq8ZrT" not in json.dumps(running.log)
    assert not any(b"aHjWq8ZrT" in each.read_bytes() for each in (tmp_path / "data").iterdir())


WITHOUT_A_DRIVER = [
    *(sys.executable, "-c"),
    "import sys; sys.modules.update(asyncpg=None, greenlet=None); from webhookd.__main__ import main; main()",
    "serve",
]


async def test_sqlite_needs_none_of_what_postgresql_needs(tmp_path: Path):
    async with daemon(tmp_path, configuration(), command=WITHOUT_A_DRIVER) as running:
        assert (await send(running, "evt_1"))[0] == 200


async def test_a_driver_that_is_not_installed_is_named_at_the_start(tmp_path: Path, postgres: Server):
    (tmp_path / "webhookd.toml").write_text(configured(postgres.url()))
    ended = await asyncio.to_thread(
        subprocess.run, WITHOUT_A_DRIVER, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "pip install 'webhookd[postgres]'" in ended.stderr) == (78, True)
    assert len(ended.stderr.splitlines()) == 1
