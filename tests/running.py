"""A real daemon as a subprocess, for tests that speak to it over real sockets and kill it with real signals."""

import asyncio
import json
import os
import signal
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

STRIPE_SECRET = "whsec_test_stripe"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENDPOINT_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
PATIENCE_S = 30.0
"""A bound on waiting for what must happen, so that a failing test ends; nothing is timed by it."""


class RunningDaemon:
    """One process; `restart` starts another on the same directory."""

    def __init__(self, directory: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.directory = directory
        self.log: list[dict[str, Any]] = []
        self._command = command
        self._environment = environment
        self._process: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]
        self._news = asyncio.Condition()
        self.hooks = ""
        self.admin = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def token(self) -> str:
        return (self.directory / "data" / "admin.token").read_text().strip()

    @property
    def port(self) -> int:
        return int(self.hooks.rpartition(":")[2])

    async def start(self) -> None:
        """Return once it says it is ready. Raises AssertionError with its log when it exits instead."""
        self.log.clear()
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.directory,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), **self._environment},
        )
        self._reader = asyncio.create_task(self._read())
        ready = await self.logged("ready")
        self.hooks, self.admin = ready["hooks"], ready["admin"]

    async def logged(self, event: str, **fields: Any) -> dict[str, Any]:
        """Wait for a log line. Raises AssertionError when the process ends without it."""

        def found() -> dict[str, Any] | None:
            return next(
                (line for line in self.log if line.get("event") == event and fields.items() <= line.items()), None
            )

        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: found() is not None or self._reader.done() or self._ended)
        line = found()
        assert line is not None, f"the daemon ended without saying {event!r}: {self.log}"
        return line

    _ended = False

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            try:
                entry = json.loads(line)
            except ValueError:
                entry = {"event": None, "text": line.decode(errors="replace")}
            async with self._news:
                self.log.append(entry)
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """The exit code, once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            code = await self._process.wait()
            await self._reader
        self._ended = False
        return code

    async def stop(self) -> int:
        if self._process.returncode is None:
            self._process.terminate()
        return await self.ended()

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.ended()


def configuration(
    sources: str = "",
    endpoints: str = "",
    server: str = "",
    delivery: str = "",
    host: str = "127.0.0.1",
    network: str = "127.0.0.0/8",
) -> str:
    """A configuration on free ports of loopback, with a Stripe and a Standard Webhooks source unless told otherwise.

    Or of `host`, which delivers to `network`.
    """
    sources = sources or (
        f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["{STRIPE_SECRET}"]\n'
        f'[sources.standard]\nprovider = "standard"\nsecrets = ["{STANDARD_SECRET}"]\n'
    )
    return "\n".join(
        (
            f'[server]\nlisten = "{host}:0"\nadmin_listen = "{host}:0"\ndata_dir = "data"\nmin_free = "1MiB"',
            textwrap.dedent(server),
            f'[delivery]\nallow_networks = ["{network}"]',
            textwrap.dedent(delivery),
            textwrap.dedent(sources),
            textwrap.dedent(endpoints),
        )
    )


def endpoint(name: str, port: int, host: str = "127.0.0.1", **settings: Any) -> str:
    """An endpoint's table, on loopback, with ENDPOINT_SECRET."""
    lines = [f"[endpoints.{name}]", f'url = "http://{host}:{port}/{name}"', f'secret = "{ENDPOINT_SECRET}"']
    return "\n".join([*lines, *(f"{key} = {json.dumps(value)}" for key, value in settings.items())]) + "\n"


@asynccontextmanager
async def daemon(
    directory: Path, config: str | None = None, *arguments: str, command: list[str] | None = None, **environment: str
) -> AsyncIterator[RunningDaemon]:
    """A daemon on a fresh directory (or the one given), stopped at the end however the test ends."""
    (directory / "webhookd.toml").write_text(config if config is not None else configuration())
    started = command or [sys.executable, "-m", "webhookd", "serve"]
    running = RunningDaemon(directory, [*started, *arguments], environment)
    await running.start()
    try:
        yield running
    finally:
        await running.kill()
