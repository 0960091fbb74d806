"""Runs the commands: as a shell does, in a process of their own, or within this process, which costs a hundredth."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.dev_daemon import DevDaemon
from tests.running import PATIENCE_S
from webhookd.cli.app import app

ROOT = Path(__file__).parents[1]


class Ended:
    def __init__(self, code: int | None, out: bytes, err: bytes) -> None:
        self.code, self.raw, self.out, self.err = code, out, out.decode(), err.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


async def start(
    *arguments: str | Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WEBHOOKD_")}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "webhookd", *map(str, arguments)),
        cwd=cwd,
        env={**inherited, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*arguments: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> Ended:
    process = await start(*arguments, cwd=cwd, environment=environment)
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    found = Ended(process.returncode, out, err)
    assert "Traceback" not in found.err
    return found


async def ask(*arguments: str | Path) -> Ended:
    """The same without a new process."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [*map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return Ended(result.exit_code, result.stdout_bytes, result.stderr_bytes)


class Shell:
    """Runs verbs against the daemon, from a directory that has nothing to do with it."""

    def __init__(self, dev: DevDaemon, cwd: Path) -> None:
        self.dev, self.cwd = dev, cwd

    async def process(self, *arguments: str | Path) -> Ended:
        return await run(*arguments, "--data-dir", self.dev.data_dir, cwd=self.cwd)

    async def __call__(self, *arguments: str | Path) -> Ended:
        return await ask(*arguments, "--data-dir", self.dev.data_dir)

    async def done(self, *arguments: str | Path) -> Ended:
        found = await self(*arguments)
        assert found.code == 0, found.err
        return found

    @asynccontextmanager
    async def running(self, *arguments: str | Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """A verb that goes on until Ctrl-C, which must end it well."""
        process = await start(*arguments, "--data-dir", self.dev.data_dir, cwd=self.cwd)
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield process
                process.send_signal(signal.SIGINT)
                _, err = await process.communicate()
            assert (process.returncode, b"Traceback" in err) == (0, False), err
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
