"""Restarts, upgrades and kill -9 behind sockets that somebody else holds, under a load that never pauses.

Refused is a connection that was not established. Lost is a request that was written whole and got no answer. A kept
connection that was closed before anything was written on it is neither: every client opens another.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tests.daemon.supervisor import Supervisor, sockets
from tests.daemon.test_end_to_end import stripe_event, stripe_headers
from tests.running import PATIENCE_S, configuration

KEPT, NEW = 12, 4
"""Senders at one time: those that keep their connection, and those that open one for each hook."""
RESTARTS = 4


class LostError(Exception):
    """A request was written, and no answer came."""


class Senders:
    """Signed hooks over raw connections, each sender one after another until told to stop."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._number = count(1)
        self._going = True
        self.refused = 0
        self.lost = 0
        self.reconnected = 0
        self.answers: Counter[int] = Counter()
        self.acknowledged: list[str] = []
        """The provider's ids of the events that got a 2xx."""
        self.may_be_killed = False
        """Whether what was lost is sent again, as every provider does."""
        self._answered = asyncio.Condition()

    async def keeps(self) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        while self._going:
            event_id, request = self._next()
            for _ in range(100):
                if connection is None or connection[0].at_eof():
                    self.reconnected += connection is not None
                    await _close(connection)
                    connection = await self._connect()
                try:
                    ends = await self._exchange(connection, event_id, request)
                except LostError:
                    await _close(connection)
                    connection = None
                    if not self._may_send_again():
                        break
                else:
                    if ends:
                        await _close(connection)
                        connection = None
                    break
        await _close(connection)

    async def opens(self) -> None:
        while self._going:
            event_id, request = self._next()
            for _ in range(100):
                connection = await self._connect()
                try:
                    await self._exchange(connection, event_id, request)
                    break
                except LostError:
                    if not self._may_send_again():
                        break
                finally:
                    await _close(connection)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """All of them send; at the end each is heard out."""
        async with asyncio.TaskGroup() as group:
            for sender in [self.keeps] * KEPT + [self.opens] * NEW:
                group.create_task(sender())
            await self.have_answers(200)
            yield
            await self.have_answers(200)
            self._going = False

    async def have_answers(self, more: int) -> None:
        """Wait until so many more hooks are answered."""
        wanted = self.answers.total() + more
        async with asyncio.timeout(PATIENCE_S), self._answered:
            await self._answered.wait_for(lambda: self.answers.total() >= wanted)

    def _may_send_again(self) -> bool:
        if not self.may_be_killed:
            self.lost += 1
        return self.may_be_killed

    def _next(self) -> tuple[str, bytes]:
        event_id = f"evt_{next(self._number)}"
        body = stripe_event(event_id)
        headers = {"Host": "hooks.example", "Content-Length": str(len(body)), **stripe_headers(body)}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return event_id, f"POST /webhooks/stripe HTTP/1.1\r\n{head}\r\n".encode() + body

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection("127.0.0.1", self._port)
        except ConnectionRefusedError:
            self.refused += 1
            raise

    async def _exchange(
        self, connection: tuple[asyncio.StreamReader, asyncio.StreamWriter], event_id: str, request: bytes
    ) -> bool:
        """Whether the answer says that the connection ends with it. Raises LostError."""
        reader, writer = connection
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.decode().lower().split("\r\n")
            length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
            await reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise LostError from error
        status = int(head.split()[1])
        if status == 200:
            self.acknowledged.append(event_id)
        async with self._answered:
            self.answers[status] += 1
            self._answered.notify_all()
        return "connection: close" in lines


async def _close(connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None) -> None:
    if connection is not None:
        connection[1].close()
        with suppress(OSError):
            await connection[1].wait_closed()


def executable(path: Path, build: str) -> None:
    """A `webhookd` that says which build it is, put in the place of what is there in one step, as an upgrade does."""
    draft = path.with_suffix(".new")
    draft.write_text(f'#!/bin/sh\necho {build} >> builds\nexec {sys.executable} -m webhookd "$@"\n')
    draft.chmod(0o755)
    draft.replace(path)


@asynccontextmanager
async def supervised(directory: Path, config: str | None = None) -> AsyncIterator[tuple[Supervisor, Senders, Path]]:
    """A daemon behind sockets that are not its own, its executable, and who sends hooks to it."""
    (directory / "webhookd.toml").write_text(config or configuration())
    binary = directory / "webhookd"
    executable(binary, "old")
    with sockets() as (hooks, admin):
        supervisor = Supervisor(directory, hooks, admin, [str(binary), "serve"])
        await supervisor.start()
        try:
            yield supervisor, Senders(supervisor.hooks_port), binary
        finally:
            await supervisor.kill()


async def logged(supervisor: Supervisor) -> list[str]:
    """The provider's ids of all events in the log, as the API lists them."""
    found: list[str] = []
    cursor: str | None = ""
    headers = {"Authorization": f"Bearer {supervisor.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while cursor is not None:
            query = {"limit": "500", **({"cursor": cursor} if cursor else {})}
            url = f"http://127.0.0.1:{supervisor.admin_port}/api/v1/events"
            async with session.get(url, params=query) as response:
                answer = await response.json()
            found += [each["provider_event_id"] for each in answer["data"]]
            cursor = answer["next_cursor"]
    return found


@pytest.mark.fault(24)
async def test_restarts_under_load_refuse_no_connection_and_lose_no_request(tmp_path: Path):
    async with supervised(tmp_path) as (supervisor, senders, _):
        async with senders.at_work():
            for _ in range(RESTARTS):
                assert await supervisor.end() == 0
                await supervisor.start()
                await senders.have_answers(200)
        found = Counter(await logged(supervisor))
    assert (senders.refused, senders.lost) == (0, 0)
    assert set(senders.answers) == {200}
    assert found == Counter(senders.acknowledged)


@pytest.mark.fault(24)
async def test_an_upgrade_under_load_and_its_roll_back_lose_no_request(tmp_path: Path):
    async with supervised(tmp_path) as (supervisor, senders, binary):
        async with senders.at_work():
            for build in ("new", "old"):
                executable(binary, build)
                assert await supervisor.end() == 0
                await supervisor.start()
                await senders.have_answers(200)
        found = Counter(await logged(supervisor))
    assert (tmp_path / "builds").read_text().split() == ["old", "new", "old"]
    assert (senders.refused, senders.lost) == (0, 0)
    assert set(senders.answers) == {200}
    assert found == Counter(senders.acknowledged)


async def test_kill_nine_under_load_refuses_nobody_and_loses_nothing_that_was_acknowledged(tmp_path: Path):
    """What was lost on the wire is sent again: the daemon may have it or not, and has it once."""
    async with supervised(tmp_path) as (supervisor, senders, _):
        senders.may_be_killed = True
        async with senders.at_work():
            for _ in range(RESTARTS):
                assert await supervisor.end(signal.SIGKILL) == -signal.SIGKILL
                await supervisor.start()
                await senders.have_answers(200)
        found = Counter(await logged(supervisor))
    assert senders.refused == 0
    assert set(senders.answers) == {200}
    assert found == Counter(senders.acknowledged)


async def test_a_kept_connection_is_told_with_its_last_answer_that_the_daemon_stops(tmp_path: Path):
    (tmp_path / "webhookd.toml").write_text(configuration())
    with sockets() as (hooks, admin):
        supervisor = Supervisor(tmp_path, hooks, admin, [sys.executable, "-m", "webhookd", "serve"])
        await supervisor.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", supervisor.hooks_port)
            ask = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
            writer.write(ask)
            assert b"Connection" not in await reader.readuntil(b"}")
            ending = asyncio.create_task(supervisor.end())
            with suppress(ConnectionRefusedError):
                while True:  # until it has been told to stop
                    writer.write(ask)
                    if b"Connection: close" in await reader.readuntil(b"}"):
                        break
            assert await reader.read() == b""
            writer.close()
            assert await ending == 0
        finally:
            await supervisor.kill()
