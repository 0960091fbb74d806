"""An event of one's own from the command line, the log as it grows, and the configuration read again."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.publishing import SHIPPED, Publisher, publisher
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon
from tests.shell import Ended, ask, run, start


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningDaemon]:
    async with daemon(tmp_path) as found:
        yield found


@pytest.fixture
async def publish(running: RunningDaemon) -> AsyncIterator[Publisher]:
    async with publisher(running) as found:
        yield found


async def verb(running: RunningDaemon, *arguments: str | Path) -> Ended:
    return await ask(*arguments, "--data-dir", running.directory / "data")


async def events(running: RunningDaemon) -> list[Any]:
    found = (await verb(running, "events", "list", "--json")).json["data"]
    return list(found)


async def test_publish_says_the_event_s_id_and_keeps_every_digit(running: RunningDaemon, tmp_path: Path):
    said = await verb(running, "publish", "order.shipped", "--data", '{"weight": 1.10, "big": 12345678901234567890123}')
    assert said.code == 0, said.err
    [event] = await events(running)
    assert said.out == f"accepted {event['id']}\n"
    body = await verb(running, "events", "show", event["id"], "--body")
    assert body.raw == b'{"type":"order.shipped","data":{"weight": 1.10, "big": 12345678901234567890123}}'


async def test_the_same_command_with_a_key_publishes_once(running: RunningDaemon, tmp_path: Path):
    (tmp_path / "order.json").write_text('{"order": "1001"}')
    command = ("publish", "order.shipped", "--data", f"@{tmp_path}/order.json", "--idempotency-key", "k", "--json")
    first, again = await verb(running, *command), await verb(running, *command)
    assert first.json == again.json == {"status": "accepted", "event_id": (await events(running))[0]["id"]}
    other = await verb(running, "publish", "order.shipped", "--idempotency-key", "k")
    assert other.code == 2
    assert "--idempotency-key: was used for another body" in other.err
    assert len(await events(running)) == 1


async def test_publish_reads_standard_input(running: RunningDaemon, tmp_path: Path):
    process = await asyncio.create_subprocess_shell(
        f'echo \'"from a pipe"\' | "$PYTHON" -m webhookd publish a.b --data - --timestamp 2026-01-31T12:00:00Z '
        f'--data-dir "{running.directory / "data"}"',
        env={"PYTHON": __import__("sys").executable, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
    )
    async with asyncio.timeout(PATIENCE_S):
        assert await process.wait() == 0
    [event] = await events(running)
    assert (event["type"], event["occurred_at"]) == ("a.b", "2026-01-31T12:00:00.000Z")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a.b", "--data", "{"], "--data"),
        (["a.b", "--data", "@/nowhere/at/all"], "--data"),
        (["a..b"], "TYPE: must be words"),
        (["webhookd.x"], "TYPE: "),
        (["a.b", "--timestamp", "now"], "--timestamp: "),
        (["a.b", "--idempotency-key", "caf\xe9"], "--idempotency-key"),
        (["a.b", "--idempotency-key", "k" * 256], "Idempotency-Key"),
    ],
)
async def test_what_cannot_be_published_is_said_in_the_command_s_own_words(
    running: RunningDaemon, arguments: list[str], said: str
):
    found = await verb(running, "publish", *arguments)
    assert (found.code in (1, 2), said in found.err) == (True, True), found.err
    assert await events(running) == []


class Tail:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> str:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stdout.readline()).decode()

    async def ids(self, count: int) -> list[str]:
        return [json.loads(await self.line())["id"] for _ in range(count)]

    async def said(self) -> str:
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            return (await self._process.stderr.readline()).decode()

    async def end(self) -> tuple[int | None, bytes, bytes]:
        self._process.send_signal(signal.SIGINT)
        async with asyncio.timeout(PATIENCE_S):
            out, err = await self._process.communicate()
        return self._process.returncode, out, err


async def test_a_tail_goes_on_over_a_restart_without_a_gap_or_a_repeat(
    running: RunningDaemon, publish: Publisher, tmp_path: Path
):
    ids = [(await publish.done())["event_id"] for _ in range(3)]
    process = await start(
        *("events", "tail", "--follow", "--json", "--limit", "2", "--data-dir", running.directory / "data"),
        cwd=tmp_path,
    )
    tail = Tail(process)
    try:
        assert await tail.ids(2) == ids[1:]
        now = (await publish.done())["event_id"]
        assert await tail.ids(1) == [now]
        await running.kill()
        assert "waiting" in await tail.said()
        await running.start()
        coming = [(await publish.done())["event_id"] for _ in range(3)]
        assert await tail.ids(3) == coming
        await running.stop()
        await tail.said()
        await running.start()
        last = (await publish.done())["event_id"]
        assert await tail.ids(1) == [last]
        assert await tail.end() == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_tail_is_narrowed_as_a_list_is(running: RunningDaemon, publish: Publisher, tmp_path: Path):
    wanted = b'{"type": "invoice.paid", "data": 1}'
    await publish.done()
    first = (await publish.done(wanted))["event_id"]
    process = await start(
        *("events", "tail", "-f", "--json", "--type", "invoice.*", "--provider", "webhookd", "--state", "unrouted"),
        *("--data-dir", running.directory / "data"),
        cwd=tmp_path,
    )
    tail = Tail(process)
    try:
        assert await tail.ids(1) == [first]
        await publish.done(SHIPPED)
        then = (await publish.done(wanted))["event_id"]
        assert await tail.ids(1) == [then]
        assert await tail.end() == (0, b"", b"")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_tail_of_a_daemon_that_is_not_there_ends_with_69(tmp_path: Path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "admin.token").write_text("whd_x")
    found = await run("events", "tail", "--follow", "--url", "http://127.0.0.1:9", cwd=tmp_path)
    assert (found.code, "no daemon answers" in found.err) == (69, True)


async def test_reload_says_what_it_changed(running: RunningDaemon):
    sources = '[sources.new]\nprovider = "stripe"\nsecrets = ["whsec_new"]\n'
    (running.directory / "webhookd.toml").write_text(configuration(sources=sources, server='max_body = "2MiB"'))
    said = await verb(running, "reload")
    assert (said.code, said.out) == (0, "1 sources: added new; removed standard, stripe\n0 endpoints: as before\n")
    assert "server.max_body" in said.err
    assert (await verb(running, "reload", "--json")).json["sources"]["total"] == 1


async def test_a_reload_that_is_refused_ends_with_78_and_every_mistake(running: RunningDaemon):
    (running.directory / "webhookd.toml").write_text(configuration() + "\n[sources.bad]\nprovidr = 1\n[what]\n")
    said = await verb(running, "reload")
    assert said.code == 78
    assert "sources.bad.providr" in said.err
    assert "what" in said.err


@pytest.mark.parametrize("name", ["publish", "reload"])
async def test_a_verb_teaches_by_an_example(name: str):
    said = await ask(name, "--help")
    assert (said.code, f"webhookd {name}" in said.out) == (0, True)
