"""`verify` and `ledger rebuild`: beside a running daemon, on a copy, and on a ledger that somebody broke on purpose."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from tests.dev_daemon import dev_daemon
from tests.running import RunningDaemon, configuration, daemon, endpoint
from tests.shell import Ended, Shell, run
from webhookd.store.sqlite.driver import driver

NOBODY = endpoint("shop", 65000)
"""A merchant who is not there: what is owed to him stays pending."""


def change(directory: Path, statement: str) -> None:
    """From outside, while no daemon runs."""
    with closing(driver.connect(directory / "data" / "webhookd.db")) as connection:
        connection.execute(statement)
        connection.commit()


async def paid(running: RunningDaemon, count: int = 3) -> None:
    """Captured payments, sent by the command itself."""
    sent = await run("trigger", "stripe", "payment_intent.succeeded", "-n", str(count), cwd=running.directory)
    assert sent.code == 0, sent.err


async def verify(directory: Path, *arguments: str | Path) -> Ended:
    return await run("verify", *arguments, cwd=directory)


async def test_beside_a_running_daemon_nothing_is_wrong(tmp_path: Path) -> None:
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        await paid(running)
        found = await verify(tmp_path)
        assert (found.code, found.err) == (0, "")
        assert "nothing is wrong" in found.out
        assert (await verify(tmp_path, "--json")).json["findings"] == []


async def test_a_payment_that_nobody_is_to_hear_of_is_exit_1_and_named(tmp_path: Path) -> None:
    async with daemon(tmp_path, configuration()) as running:
        await paid(running, 2)
        found = await verify(tmp_path, "--json")
    assert found.code == 1
    assert [finding["check"] for finding in found.json["findings"]] == ["payments", "payments"]
    assert found.json["findings"][0]["subject"].startswith("stripe pi_")
    told = await verify(tmp_path)
    assert told.code == 1
    assert "`webhookd why PAYMENT`" in told.err


async def test_a_broken_ledger_is_found_and_put_right_without_a_daemon_and_in_one(tmp_path: Path) -> None:
    harm = "UPDATE ledger SET status = 'failed', major = 99"
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        await paid(running)
        assert await running.stop() == 0
        change(tmp_path, harm)
        found = await verify(tmp_path)
        assert found.code == 1
        assert found.out.count("is not as the log has it: status, major") == 3
        rebuilt = await run("ledger", "rebuild", "--json", cwd=tmp_path)
        assert (rebuilt.code, rebuilt.json["events"], rebuilt.json["put_right"]) == (0, 3, 3)
        assert (await verify(tmp_path)).code == 0

        change(tmp_path, harm)
        await running.start()
        assert (await verify(tmp_path)).code == 1
        rebuilt = await run("ledger", "rebuild", cwd=tmp_path)
        assert (rebuilt.code, rebuilt.out) == (0, "3 events counted, 3 objects of the ledger put right\n")
        assert (await verify(tmp_path)).code == 0


async def test_a_copy_is_verified_wherever_it_lies(tmp_path: Path) -> None:
    async with daemon(tmp_path, configuration(endpoints=NOBODY)) as running:
        await paid(running)
        assert await running.stop() == 0
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    shutil.copy(tmp_path / "data" / "webhookd.db", copy)
    assert (await verify(copy.parent, copy)).code == 0
    whole = copy.read_bytes()
    copy.write_bytes(whole[: len(whole) // 2])
    found = await verify(copy.parent, copy)
    assert (found.code, "Traceback" in found.err) == (1, False)


@pytest.mark.parametrize(("content", "code"), [(None, 2), (b"", 1), (b"no database" * 100, 1)])
async def test_what_is_no_database_of_ours_is_said_plainly(tmp_path: Path, content: bytes | None, code: int) -> None:
    path = tmp_path / "other.db"
    if content is not None:
        path.write_bytes(content)
    found = await verify(tmp_path, path)
    assert found.code == code
    assert str(path) in found.err + found.out
    assert found.err.count("\n") <= 1


async def test_a_rebuild_is_one_at_a_time_and_can_be_watched(tmp_path: Path) -> None:
    async with dev_daemon(tmp_path) as dev:
        assert await dev.get("/api/v1/ledger/rebuild") == {
            "state": "never",
            "events": 0,
            "total": 0,
            "put_right": None,
        }
        done = await Shell(dev, tmp_path).process("ledger", "rebuild", "--json")
        assert done.json == {"state": "done", "events": 0, "total": 0, "put_right": 0}
        assert await dev.get("/api/v1/ledger/rebuild") == done.json
