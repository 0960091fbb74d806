"""A daemon that is there and does nothing is restarted: systemd hears WATCHDOG=1 only while it works."""

import asyncio
import errno
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon

OFTEN = "300000"
"""Fed every tenth of a second."""


class Systemd:
    """What listens where a service notifies."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    async def hears(self) -> str:
        async with asyncio.timeout(PATIENCE_S):
            return (await asyncio.get_running_loop().sock_recv(self._channel, 4096)).decode()

    async def hears_of(self, words: str) -> list[str]:
        """All that it heard up to and with these words."""
        heard: list[str] = []
        async with asyncio.timeout(PATIENCE_S):
            while not heard or words not in heard[-1]:
                heard.append(await self.hears())
        return heard


@asynccontextmanager
async def watched(directory: Path, *faults: str) -> AsyncIterator[tuple[RunningDaemon, Systemd]]:
    address = str(directory / "notify")
    command = [sys.executable, "-m", "tests.crash.daemon_under_fault", *faults, "serve"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)
        systemd = Systemd(channel)
        async with daemon(
            directory, configuration(), command=command, NOTIFY_SOCKET=address, WATCHDOG_USEC=OFTEN
        ) as running:
            await systemd.hears_of("READY=1")  # which may come after the first feeding
            await systemd.hears_of("WATCHDOG=1")
            yield running, systemd


async def hold(fifo: Path) -> IO[bytes]:
    """Return once the daemon hangs there; it does until this is closed."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                held = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # that is: it is not there yet
                    raise
                await asyncio.sleep(0)
                continue
            fifo.unlink()
            return os.fdopen(held, "wb")


async def send(running: RunningDaemon, name: str) -> int:
    body = stripe_event(name)
    status, _ = await post(running, "stripe", body, stripe_headers(body))
    return status


@pytest.mark.fault(12)
async def test_a_writer_that_hangs_is_not_fed_for_and_said_to_be_stuck_until_it_goes_on(tmp_path: Path):
    fifo = tmp_path / "fifo"
    async with watched(tmp_path, "--hang", f"writer:{fifo}") as (running, systemd):
        assert await send(running, "evt_1") == 200
        os.mkfifo(fifo)
        hook = asyncio.create_task(send(running, "evt_2"))
        with await hold(fifo):
            assert "stuck: writer" in (await systemd.hears_of("STATUS=stuck"))[-1]
            while_it_hangs = [await systemd.hears() for _ in range(10)]
            assert [said for said in while_it_hangs if "writer" not in said or "WATCHDOG=1" in said] == []
            assert "writer" in str((await running.logged("watchdog_not_fed"))["stuck"])
        assert "STATUS=receiving" in (await systemd.hears_of("WATCHDOG=1"))[-1]
        assert await hook == 200


@pytest.mark.fault(23)
async def test_a_loop_that_is_held_up_is_not_fed_for_though_another_thread_feeds(tmp_path: Path):
    fifo = tmp_path / "fifo"
    async with watched(tmp_path, "--hang", f"loop:{fifo}") as (running, systemd):
        os.mkfifo(fifo)
        hook = asyncio.create_task(send(running, "evt_1"))
        with await hold(fifo):
            await systemd.hears_of("STATUS=stuck: loop")
            while_it_hangs = [await systemd.hears() for _ in range(10)]
            assert [said for said in while_it_hangs if "loop" not in said or "WATCHDOG=1" in said] == []
        await systemd.hears_of("WATCHDOG=1")
        assert await hook == 200


@pytest.mark.fault(11)
async def test_commits_that_take_seven_tenths_of_a_second_do_not_stop_the_feeding(tmp_path: Path):
    async with watched(tmp_path, "--slow", "0.7") as (running, systemd):
        heard: list[str] = []

        async def listen() -> None:
            while True:
                heard.append(await systemd.hears())

        listening = asyncio.create_task(listen())
        for round_ in range(3):
            assert await asyncio.gather(*(send(running, f"evt_{round_}_{n}") for n in range(5))) == [200] * 5
        listening.cancel()
        assert set(heard) == {"WATCHDOG=1"}
        assert len(heard) >= 3
