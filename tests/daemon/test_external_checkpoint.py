"""`store.checkpoint = "external"`: another process moves the WAL into the database while the daemon commits."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.making import event
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon
from tests.shell import ROOT, run
from tests.store.old_files import ask
from webhookd.store.sqlite import wal
from webhookd.store.sqlite.connection import WrongDatabaseError
from webhookd.store.sqlite.driver import driver, has_wal_reset_bug
from webhookd.store.sqlite.store import SqliteStore
from webhookd.store.sqlite.wal import WalWatch

EXTERNAL = configuration() + '\n[store]\ncheckpoint = "external"\n'


shared = pytest.mark.skipif(has_wal_reset_bug(driver.sqlite_version_info), reason="this SQLite must checkpoint alone")


class Replicator:
    moved = 0


@asynccontextmanager
async def replicator(database: Path) -> AsyncIterator[Replicator]:
    """`moved` is told at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.daemon.replicator", str(database)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    found = Replicator()
    async with asyncio.timeout(PATIENCE_S):
        assert await process.stdout.readline() == b"ready\n"
    try:
        yield found
    finally:
        process.stdin.write(b"\n")
        async with asyncio.timeout(PATIENCE_S):
            out, _ = await process.communicate()
        assert process.returncode == 0
        found.moved = int(out)


async def pay(running: RunningDaemon, numbers: range) -> set[str]:
    ids = set()
    for number in numbers:
        body = stripe_event(f"evt_{number}")
        status, answer = await post(running, "stripe", body, stripe_headers(body))
        assert status == 200, answer
        ids.add(answer["event_id"])
    return ids


@shared
async def test_while_another_process_checkpoints_nothing_is_lost_not_even_by_a_kill(tmp_path: Path):
    path = tmp_path / "data" / "webhookd.db"
    async with daemon(tmp_path, EXTERNAL) as running:
        async with replicator(path) as beside:
            acked = await asyncio.gather(*(pay(running, range(first, first + 25)) for first in range(0, 200, 25)))
            running.send_signal(signal.SIGKILL)
            await running.ended()
        assert beside.moved > 1
        verdict = await run("verify", cwd=tmp_path)
        assert (verdict.code, verdict.err) == (0, ""), verdict.out
        assert ask(path, "SELECT count(*) FROM event") == [(len(set().union(*acked)),)] == [(200,)]
        await running.start()
        async with replicator(path):
            assert len(await pay(running, range(200, 210))) == 10
            assert await running.stop() == 0
        assert (await run("verify", cwd=tmp_path)).code == 0


@shared
async def test_a_clean_stop_leaves_the_wal_to_whom_it_belongs(tmp_path: Path):
    data = tmp_path / "data"
    async with daemon(tmp_path, EXTERNAL) as running:
        await pay(running, range(10))
        assert await running.stop() == 0
        left = (data / "webhookd.db-wal").stat().st_size
        assert left > 0
        await running.start()  # nor does a start move anything
        assert (data / "webhookd.db-wal").stat().st_size >= left
        assert await running.stop() == 0
    assert ask(data / "webhookd.db", "SELECT count(*) FROM event") == [(10,)]


@shared
async def test_the_daemon_moves_nothing_itself(tmp_path: Path):
    path = tmp_path / "webhookd.db"
    store = SqliteStore(path, checkpoints=False)
    await store.open()
    before = path.stat().st_size
    for _ in range(20):
        await asyncio.gather(*(store.append(event(body=b"x" * 20_000)) for _ in range(20)))
    during, grown = path.stat().st_size, (tmp_path / "webhookd.db-wal").stat().st_size
    await store.close()
    assert (during, path.stat().st_size) == (before, before)
    assert grown > 8_000_000  # 1,000 pages are 4 MB


async def test_otherwise_it_does_and_takes_the_wal_along_when_it_ends(tmp_path: Path):
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    for _ in range(20):
        await asyncio.gather(*(store.append(event(body=b"x" * 20_000)) for _ in range(20)))
    grown = (tmp_path / "webhookd.db-wal").stat().st_size
    await store.close()
    assert grown < 8_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["webhookd.db"]


async def test_a_sqlite_that_could_lose_commits_by_it_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(driver, "sqlite_version_info", (3, 40, 1))
    store = SqliteStore(tmp_path / "webhookd.db", checkpoints=False)
    with pytest.raises(WrongDatabaseError, match=r'store\.checkpoint: .* 3\.51\.3, or set it to "own"'):
        await store.open()
    assert not (tmp_path / "webhookd.db").exists()


def test_a_wal_is_told_once_when_it_has_grown_and_once_when_it_has_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(wal, "WAL_BYTES_MAX", 1_000)
    watch = WalWatch(tmp_path / "webhookd.db")
    found = []
    for size in (None, 1_000, 1_001, 5_000, 10, 10):
        if size is not None:
            (tmp_path / "webhookd.db-wal").write_bytes(b"x" * size)
        found.append((watch.look(), watch.is_large))
    assert found == [(False, False), (False, False), (True, True), (False, True), (True, False), (False, False)]
