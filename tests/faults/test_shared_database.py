"""Others at the same database: one who reads for ever, one who holds the lock for writing, and a second daemon."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.test_life import exit_of
from tests.faults.bystander import READS, WRITES, bystander
from tests.faults.trade import ENOUGH, trade
from tests.making import event
from tests.running import configuration
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.durable import CHECKPOINT_FRAMES
from webhookd.store.sqlite.store import SqliteStore
from webhookd.store.sqlite.wal import WAL_BYTES_MAX

Record = Callable[[str, object], None]
MIB = 2**20
SEVERAL_CHECKPOINTS = 3 * CHECKPOINT_FRAMES * 4_096
"""Bytes in the WAL."""


@pytest.mark.fault(13)
async def test_the_wal_grows_while_somebody_reads_and_is_used_again_once_he_is_gone(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    async with trade(tmp_path, dice) as shop:
        async with bystander(shop.database, *READS):
            await shop.has_a_wal_of(WAL_BYTES_MAX + MIB if torture else SEVERAL_CHECKPOINTS)
            if torture:
                await shop.running.logged("wal_large")
        await shop.begins_the_wal_anew()
        if torture:
            await shop.running.logged("wal_has_shrunk")
        largest = shop.wal.stat().st_size
        await shop.begins_the_wal_anew()
        assert shop.wal.stat().st_size <= largest
        await shop.ends_well()
        record_property("acks", shop.provider.acked)


@pytest.mark.fault(14)
async def test_while_another_process_writes_hooks_wait_and_are_then_refused(
    tmp_path: Path, dice: random.Random, torture: bool, record_property: Record
):
    async with trade(tmp_path, dice) as shop:
        pid = shop.running.pid
        for _ in range(5 if torture else 1):
            await shop.provider.acked_more(ENOUGH)
            async with bystander(shop.database, *WRITES):
                await shop.provider.refused_more(1)
                assert await shop.status_of("/healthz") == 200
            await shop.provider.acked_more(ENOUGH)
        assert shop.running.pid == pid
        assert not {"store_broken", "unhandled", "duty_failed"} & {line["event"] for line in shop.running.log}
        await shop.ends_well()
        record_property("acks", shop.provider.acked)


@pytest.mark.fault(19)
async def test_a_second_daemon_is_refused_and_the_first_does_not_notice(tmp_path: Path, dice: random.Random):
    async with trade(tmp_path, dice) as shop:
        await shop.provider.acked_more(ENOUGH)
        inodes = [path.stat().st_ino for path in (shop.database, shop.wal)]
        code, said = await exit_of(tmp_path, (tmp_path / "webhookd.toml").read_text())
        assert (code, "in use by another webhookd" in said) == (78, True)
        assert [path.stat().st_ino for path in (shop.database, shop.wal)] == inodes
        assert shop.provider.refusals == 0
        await shop.ends_well()


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("statement", "message"),
    [("PRAGMA user_version = 99", "schema 99"), ("PRAGMA application_id = 7", "another program")],
)
async def test_a_database_that_is_not_ours_to_write_is_refused_and_left_as_it_is(
    tmp_path: Path, statement: str, message: str
):
    (data := tmp_path / "data").mkdir(mode=0o700)
    store = SqliteStore(data / "webhookd.db")
    await store.open()
    await store.append(event())
    await store.close()
    connection = driver.connect(data / "webhookd.db")
    connection.execute(statement)
    connection.close()
    before = (data / "webhookd.db").read_bytes()
    code, said = await exit_of(tmp_path, configuration())
    assert (code, message in said) == (78, True), said
    assert (data / "webhookd.db").read_bytes() == before
