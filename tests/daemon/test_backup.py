"""A backup of a real daemon under load, its end by SIGKILL, and what the copy is good for."""

import asyncio
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import Desk, desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from tests.shell import run

SLOWLY = [sys.executable, "-m", "tests.daemon.slow_backups", "serve"]


class Load:
    """Payments, one after another, until it is over or the daemon is; `acked` are the ids of their events."""

    def __init__(self, running: RunningDaemon) -> None:
        self._running = running
        self.acked: list[str] = []
        self._news = asyncio.Condition()

    async def run(self) -> None:
        number = 0
        while True:
            number += 1
            body = stripe_event(f"evt_{number}")
            try:
                status, answer = await post(self._running, "stripe", body, stripe_headers(body))
            except OSError:
                return
            assert status == 200, answer
            async with self._news:
                self.acked.append(answer["event_id"])
                self._news.notify_all()

    async def has(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: len(self.acked) >= count)


async def over(operator: Desk) -> Any:
    """The last backup once it is over: asked for again and again, for nothing announces it."""
    async with asyncio.timeout(PATIENCE_S):
        while (found := await operator.get("/backup"))["state"] == "running":
            pass
    return found


def backups_of(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "data" / "backups").iterdir())


@pytest.mark.fault(39)
async def test_after_a_backup_under_load_and_a_kill_the_copy_is_whole_and_what_was_pending_is_delivered(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first, second):
        directory.mkdir()
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port))
        async with daemon(first, config) as running, desk(running) as operator:
            await operator.done("POST", "/endpoints/shop/pause")
            load = Load(running)
            loading = asyncio.create_task(load.run())
            await load.has(30)
            before = set(load.acked)
            made = await run("backup", "monday.db", "--json", cwd=first)
            assert made.code == 0, made.err
            during = len(load.acked)
            await load.has(during + 10)
            await running.kill()
            await loading
        copy = first / "data" / "backups" / "monday.db"
        assert made.json["path"] == str(copy)
        assert made.json["size"] == copy.stat().st_size
        assert len(before) <= made.json["events"] <= during + 1

        # As docs/backup.md has it: the copy, the key, another directory.
        (second / "data").mkdir(mode=0o700)
        shutil.copy(copy, second / "data" / "webhookd.db")
        shutil.copy(first / "data" / "store.key", second / "data" / "store.key")
        (second / "webhookd.toml").write_text(config)
        verdict = await run("verify", cwd=second)
        assert (verdict.code, verdict.err) == (0, ""), verdict.out
        assert shop.got == []
        async with daemon(second, config) as restored, desk(restored) as operator:
            await operator.done("POST", "/endpoints/shop/resume")
            got = await shop.has(made.json["events"])
            assert before <= {each.headers["webhook-id"] for each in got} <= set(load.acked)
            async with asyncio.timeout(PATIENCE_S):
                while (await operator.get("/status"))["backlog"]:
                    pass
            assert (await run("verify", cwd=second)).code == 0
            assert len(shop.got) == made.json["events"]


@pytest.mark.fault(39)
async def test_a_kill_in_the_middle_of_a_backup_leaves_no_backup_and_the_next_start_clears_up(tmp_path: Path):
    async with daemon(tmp_path, command=SLOWLY) as running, desk(running) as operator:
        answer = await operator.ask("POST", "/backup", {"file": "monday.db"})
        assert (answer.status, answer.json["state"]) == (202, "running")
        async with asyncio.timeout(PATIENCE_S):
            while (await operator.get("/backup"))["done"] == 0:
                pass
        running.send_signal(signal.SIGKILL)
        await running.ended()
        assert backups_of(tmp_path) == [".monday.db.unfinished"]
        await running.start()
        await running.logged("unfinished_backups_removed", count=1)
        assert backups_of(tmp_path) == []
        assert (await operator.get("/backup"))["state"] == "never"
        assert (await run("verify", cwd=tmp_path)).code == 0


async def test_a_daemon_that_is_stopped_does_not_wait_for_a_backup(tmp_path: Path):
    async with daemon(tmp_path, command=SLOWLY) as running, desk(running) as operator:
        await operator.ask("POST", "/backup", {"file": "monday.db"})
        assert await running.stop() == 0
        assert backups_of(tmp_path) == []
        await running.logged("backup_failed", kind="InterruptedError")


async def test_one_at_a_time_and_hooks_are_taken_meanwhile(tmp_path: Path):
    async with daemon(tmp_path, command=SLOWLY) as running, desk(running) as operator:
        await operator.ask("POST", "/backup", {"file": "monday.db"})
        again = await operator.ask("POST", "/backup", {"file": "tuesday.db"})
        assert again.status == 409
        body = stripe_event()
        assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200
        assert (await operator.get("/backup"))["state"] == "running"


async def test_the_api_tells_how_far_it_is_and_who_began_it_is_on_record(tmp_path: Path):
    async with daemon(tmp_path) as running, desk(running) as operator:
        assert (await operator.get("/backup"))["state"] == "never"
        assert (await operator.ask("POST", "/backup", {"file": "monday.db"})).status == 202
        found = await over(operator)
        path = tmp_path / "data" / "backups" / "monday.db"
        size = path.stat().st_size
        assert {name: found[name] for name in ("state", "file", "path", "size", "events", "error", "step")} == {
            "state": "done",
            "file": "monday.db",
            "path": str(path),
            "size": size,
            "events": 0,
            "error": None,
            "step": None,
        }
        assert found["done"] == found["total"] > 0
        assert found["begun_at"] <= found["ended_at"]
        [row] = (await operator.get("/audit", action="backup.create"))["data"]
        assert row["detail"] == {"file": "monday.db"}


async def test_without_a_name_it_bears_the_time(tmp_path: Path):
    async with daemon(tmp_path) as running, desk(running) as operator:
        await operator.ask("POST", "/backup")
        found = await over(operator)
        assert found["state"] == "done"
        assert backups_of(tmp_path) == [found["file"]]
        assert found["file"].startswith("webhookd-20")


@pytest.mark.parametrize("name", ["", ".hidden", "../x", "a/b", "x.db-wal", "a\n", "a" * 200])
async def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str):
    async with daemon(tmp_path) as running, desk(running) as operator:
        assert (await operator.ask("POST", "/backup", {"file": name})).wrong.keys() == {"file"}
        assert not (tmp_path / "data" / "backups").exists()


async def test_a_name_that_is_taken_is_a_conflict_on_the_command_line_too(tmp_path: Path):
    async with daemon(tmp_path) as running, desk(running) as operator:
        assert (await run("backup", "monday.db", cwd=tmp_path)).code == 0
        before = (tmp_path / "data" / "backups" / "monday.db").read_bytes()
        assert (await operator.ask("POST", "/backup", {"file": "monday.db"})).status == 409
        again = await run("backup", "monday.db", cwd=tmp_path)
        assert (again.code, "is there already" in again.err) == (1, True)
        assert (tmp_path / "data" / "backups" / "monday.db").read_bytes() == before


async def test_with_too_little_of_the_disk_left_none_is_begun(tmp_path: Path):
    config = configuration().replace('min_free = "1MiB"', 'min_free = "1000000GiB"')
    async with daemon(tmp_path, config) as running, desk(running) as operator:
        answer = await operator.ask("POST", "/backup", {"file": "monday.db"})
        assert (answer.status, "make room" in answer.json["detail"]) == (507, True)


async def test_a_file_in_another_directory_is_put_there(tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with daemon(tmp_path):
        made = await run("backup", elsewhere / "monday.db", "--json", cwd=tmp_path)
        assert (made.code, made.json["path"]) == (0, str(elsewhere / "monday.db"))
        assert [path.name for path in elsewhere.iterdir()] == ["monday.db"]
        assert (elsewhere / "monday.db").stat().st_mode & 0o777 == 0o600
        assert backups_of(tmp_path) == []
        assert (await run("verify", elsewhere / "monday.db", cwd=tmp_path)).code == 0
        again = await run("backup", elsewhere / "monday.db", cwd=tmp_path)
        assert (again.code, "is there already" in again.err) == (2, True)
        nowhere = await run("backup", tmp_path / "nowhere" / "monday.db", cwd=tmp_path)
        assert (nowhere.code, "no directory" in nowhere.err) == (2, True)


async def test_without_a_daemon_the_command_makes_it_itself(tmp_path: Path):
    async with daemon(tmp_path) as running:
        body = stripe_event()
        await post(running, "stripe", body, stripe_headers(body))
        await running.kill()
    made = await run("backup", "monday.db", cwd=tmp_path)
    assert (made.code, "1 events" in made.out) == (0, True), made.err
    assert (await run("verify", tmp_path / "data" / "backups" / "monday.db", cwd=tmp_path)).code == 0
    again = await run("backup", "monday.db", cwd=tmp_path)
    assert (again.code, "is there already" in again.err) == (1, True)


async def test_where_there_is_no_database_there_is_no_backup(tmp_path: Path):
    found = await run("backup", "monday.db", "--data-dir", tmp_path / "none", cwd=tmp_path)
    assert (found.code, "no such database" in found.err) == (2, True)
    assert not (tmp_path / "none").exists()
