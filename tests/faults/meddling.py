"""strace between a live process and the kernel: what it asks for fails, or takes long, for as long as that lasts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.running import PATIENCE_S

SYNCS = "fsync,fdatasync"
WRITES = "pwrite64"


class Meddled:
    """What was asked for on the file since it began, as strace writes it."""

    def __init__(self, log: Path) -> None:
        self._log = log

    @property
    def calls(self) -> list[str]:
        return [line for line in self._log.read_text().splitlines() if "(" in line]

    @property
    def injected(self) -> int:
        return sum("INJECTED" in line or "DELAYED" in line for line in self.calls)

    @property
    def after_the_first(self) -> list[str]:
        """What was still asked for once something had failed."""
        first = next(number for number, line in enumerate(self.calls) if "INJECTED" in line)
        return self.calls[first + 1 :]


@asynccontextmanager
async def meddled(process: int, file: Path, calls: str, how: str) -> AsyncIterator[Meddled]:
    """`how` is strace's: `error=EIO`, `delay_enter=700000` (microseconds), with `:when=3` for one call alone.

    It has begun once this is entered, and is over after it. It ends with the process, too.
    """
    log = file.parent.parent / "meddled.log"
    log.unlink(missing_ok=True)
    strace = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-y", "-o", str(log), "-P", str(file), "-e", f"trace={calls}", "-e", f"inject={calls}:{how}"),
        *("-p", str(process)),
        stderr=asyncio.subprocess.PIPE,
    )
    assert strace.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            said = await strace.stderr.readline()
            assert b"attached" in said, said
        yield Meddled(log)
    finally:
        with suppress(ProcessLookupError):
            strace.kill()  # asked to end, it would wait for whom it delays, and he, if he is to die, for it
        async with asyncio.timeout(PATIENCE_S):
            await strace.communicate()
