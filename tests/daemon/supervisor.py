"""What systemd does for the daemon, without systemd: it holds the listening sockets and hands them to each start."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import PATIENCE_S

ROOT = Path(__file__).parents[2]
BACKLOG = 1024
_HAND_OVER = """
import os, sys
fds = [int(each) for each in sys.argv[1].split(",")]
for target, fd in enumerate(fds, start=3):
    os.dup2(fd, target, inheritable=True)
me = str(os.getpid())
os.environ.update(LISTEN_PID=me, WATCHDOG_PID=me, LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES="hooks:admin")
os.execv(sys.argv[2], sys.argv[2:])
"""


class Supervisor:
    """Starts `command` with the two sockets, and ends it with a signal."""

    def __init__(self, directory: Path, hooks: socket.socket, admin: socket.socket, command: list[str]) -> None:
        self._directory = directory
        self._sockets = hooks, admin
        self._command = command
        self._process: asyncio.subprocess.Process
        self.hooks_port: int = hooks.getsockname()[1]
        self.admin_port: int = admin.getsockname()[1]

    @property
    def token(self) -> str:
        return (self._directory / "data" / "admin.token").read_text().strip()

    async def start(self) -> dict[str, Any]:
        """What it logs when it is ready."""
        # Descriptors far from 3 and 4, so that the copies do not collide.
        copies = [os.dup(each.fileno()) for each in self._sockets]
        try:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", _HAND_OVER, ",".join(map(str, copies)), *self._command),
                cwd=self._directory,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                pass_fds=copies,
                stderr=asyncio.subprocess.PIPE,
            )
        finally:
            for copy in copies:
                os.close(copy)
        assert self._process.stderr is not None
        said = []
        async with asyncio.timeout(PATIENCE_S):
            async for line in self._process.stderr:
                said.append(line)
                if line.startswith(b"{") and (entry := json.loads(line))["event"] == "ready":
                    self._rest = asyncio.create_task(self._process.stderr.read())
                    return dict(entry)
        raise AssertionError(f"it ended without being ready: {said}")

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit code."""
        self._process.send_signal(number)
        async with asyncio.timeout(PATIENCE_S):
            code = await self._process.wait()
            await self._rest
        return code

    async def kill(self) -> None:
        if self._process.returncode is None:
            await self.end(signal.SIGKILL)


@contextmanager
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as hooks,
        socket.create_server(("127.0.0.1", 0)) as admin,
    ):
        yield hooks, admin
