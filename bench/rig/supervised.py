"""A program under a supervisor: stopped for a deploy or killed, and started again on the same port."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

GRACE_S = 10.0
"""From SIGTERM to SIGKILL, as Docker has it."""
_START_S_MAX = 60.0
_LOOK_EVERY_S = 0.01
_LAST_WORDS = 2_000


class Supervised:
    """It serves on entry, and is gone at the end. `stop` first, to have it end by itself.

    `log` is a file that gets all it says. Raises SystemExit with its last words when it ends without being told.
    """

    def __init__(self, command: Sequence[str], port: int, log: Path) -> None:
        self._command = command
        self._port = port
        self._log = log
        self._process: asyncio.subprocess.Process

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def deploy(self) -> None:
        """SIGTERM; the next one starts when this one has ended, or was killed because it did not."""
        self._check()
        self._process.terminate()
        await self._ended()
        await self._start()

    async def crash(self) -> None:
        """SIGKILL, and the next one."""
        self._check()
        self._process.kill()
        await self._process.wait()
        await self._start()

    async def stop(self) -> None:
        """Raises SystemExit when it does not end with 0."""
        self._check()
        self._process.terminate()
        if await self._ended() != 0:
            raise SystemExit(self._last_words())

    async def _start(self) -> None:
        """Return when it takes connections."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            async with asyncio.timeout(_START_S_MAX):
                while not await self._serves():
                    self._check()
                    await asyncio.sleep(_LOOK_EVERY_S)
        except TimeoutError:
            raise SystemExit(self._last_words()) from None

    async def _serves(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    async def _ended(self) -> int:
        try:
            async with asyncio.timeout(GRACE_S):
                return await self._process.wait()
        except TimeoutError:
            self._process.kill()
            return await self._process.wait()

    def _check(self) -> None:
        if self._process.returncode is not None:
            raise SystemExit(self._last_words())

    def _last_words(self) -> str:
        said = self._log.read_bytes()[-_LAST_WORDS:].decode(errors="replace")
        return f"{self._command[1:3]} ended with {self._process.returncode}: {said}"
