"""Whatever is killed, and when: a committed payment's event is in the log once, and one that is not committed never."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import Merchant, merchant
from tests.daemon.on_postgres import configured
from tests.faults.settled import log_of
from tests.postgres import Server, server
from tests.relay.relaying import left, until
from tests.relay.shop import PostgresShop, Shop, SqliteShop, source
from tests.running import PATIENCE_S, configuration, daemon, endpoint

pytestmark = pytest.mark.fault(43)


def told(shop: Merchant) -> list[str]:
    """The payments that it was told of, each as often as under another webhook-id."""
    by_id = {got.headers["webhook-id"]: got.body.decode().rpartition(': "')[2].partition('"')[0] for got in shop.got}
    return sorted(by_id.values())


async def test_killed_between_the_log_and_the_table_it_takes_the_rows_again_and_they_are_there_once(
    tmp_path: Path, shop: Shop
):
    payments = [f"pay_{number:02}" for number in range(20)]
    async with merchant() as fulfilment:
        config = configuration(sources=source(shop), endpoints=endpoint("fulfilment", fulfilment.port))
        await shop.pay(*payments)
        holder = await shop.hold()  # rows may be read, and not deleted
        async with daemon(tmp_path, config) as running:
            async with asyncio.timeout(PATIENCE_S):
                while len(await log_of(running)) < len(payments):
                    await asyncio.sleep(0.01)
            running.send_signal(signal.SIGKILL)
            await running.ended()
            await holder.release()
            assert await left(shop) == len(payments), "they are in the log and still in the table"
            await running.start()
            await until(shop, 0)
            assert len(await log_of(running)) == len(payments)
            async with desk(running) as operator:
                [its] = (await operator.get("/sources"))["data"]
                assert its["duplicates"] == len(payments)
            async with asyncio.timeout(PATIENCE_S):
                while told(fulfilment) != payments:
                    await asyncio.sleep(0.01)


async def test_killed_again_and_again_while_rows_come_it_loses_none(tmp_path: Path, shop: Shop):
    payments: list[str] = []
    async with merchant() as fulfilment:
        config = configuration(sources=source(shop), endpoints=endpoint("fulfilment", fulfilment.port))
        async with daemon(tmp_path, config) as running:
            for life in range(4):
                for number in range(30):
                    name = f"pay_{life}_{number:02}"
                    await shop.pay(name)
                    payments.append(name)
                    if number == 10 + life:
                        running.send_signal(signal.SIGKILL)
                await running.ended()
                await running.start()
            await until(shop, 0)
            assert len(await log_of(running)) == len(payments)
            async with asyncio.timeout(PATIENCE_S):
                while told(fulfilment) != payments:
                    await asyncio.sleep(0.01)


PAYING = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for number in range(10_000):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO payment VALUES (?, 1050)", (f"pay_{number:05}",))
    print(number, flush=True)
    connection.execute(
        "INSERT INTO webhookd_outbox (type, body) VALUES ('payment.captured', json_object('payment', ?))",
        (f"pay_{number:05}",),
    )
    connection.execute("COMMIT")
"""


async def test_an_application_that_is_killed_has_told_of_what_it_committed_and_of_nothing_else(tmp_path: Path):
    shop = SqliteShop(tmp_path)
    config = configuration(sources=source(shop))
    async with daemon(tmp_path, config) as running:
        for _ in range(3):
            await shop.ask("DELETE FROM payment")
            known = len(await log_of(running))
            paying = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", PAYING, str(shop.file)), stdout=asyncio.subprocess.PIPE
            )
            assert paying.stdout is not None
            async with asyncio.timeout(PATIENCE_S):
                while int(await paying.stdout.readline()) < 50:
                    pass
            os.kill(paying.pid, signal.SIGKILL)
            await paying.communicate()
            [(committed,)] = await shop.ask("SELECT count(*) FROM payment")
            await until(shop, 0)
            assert len(await log_of(running)) == known + committed


async def test_a_database_that_crashes_and_comes_back_is_waited_for(tmp_path: Path):
    with server() as own:
        shop = await PostgresShop(own, "crashing").make()
        config = configuration(sources=source(shop))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            await running.logged("outbox_follows")
            await shop.pay("pay_1")
            await until(shop, 0)
            own.stop("immediate")
            await running.logged("outbox_waits")
            [its] = (await operator.get("/sources"))["data"]
            assert (its["outbox"]["state"], "PostgreSQL" in its["outbox"]["why"]) == ("waits", True)
            assert 'webhookd_outbox_state{source="shop",state="waits"} 1.0' in await operator.metrics()
            assert (await operator.get("/status"))["ready"], "hooks are taken meanwhile"
            running.log.clear()
            own.start()
            await running.logged("outbox_follows")
            await shop.pay("pay_2")
            await until(shop, 0)
            assert len(await log_of(running)) == 2


async def test_of_two_nodes_one_takes_and_the_other_goes_on_when_it_is_killed(tmp_path: Path, postgres: Server):
    shop = await PostgresShop(postgres, "two_nodes").make()
    store = postgres.url()
    config = configured(store, sources=source(shop))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with daemon(tmp_path / "a", config) as first:
        await first.logged("outbox_follows")
        async with daemon(tmp_path / "b", config) as second, desk(second) as operator:
            await second.logged("outbox_stands_by")
            [its] = (await operator.get("/sources"))["data"]
            assert its["outbox"]["state"] == "stands_by"
            await shop.pay(*(f"pay_{number}" for number in range(5)))
            await until(shop, 0)
            await first.kill()
            await shop.pay(*(f"pay_{number}" for number in range(5, 10)))
            await second.logged("outbox_follows")
            await until(shop, 0)
            found = await log_of(second)
            assert len(found) == len(set(found)) == 10


async def test_a_node_that_is_frozen_loses_its_turn_and_does_no_harm_when_it_goes_on(tmp_path: Path, postgres: Server):
    shop = await PostgresShop(postgres, "frozen").make()
    config = configured(postgres.url(), sources=source(shop))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with daemon(tmp_path / "a", config) as first:
        await first.logged("outbox_follows")
        async with daemon(tmp_path / "b", config) as second:
            await second.logged("outbox_stands_by")
            first.send_signal(signal.SIGSTOP)
            try:
                await shop.pay(*(f"pay_{number}" for number in range(5)))
                await second.logged("outbox_follows")
                await until(shop, 0)
            finally:
                first.send_signal(signal.SIGCONT)
            first.log.clear()
            await first.logged("outbox_stands_by")
            await shop.pay("pay_5")
            await until(shop, 0)
            found = await log_of(second)
            assert len(found) == len(set(found)) == 6
