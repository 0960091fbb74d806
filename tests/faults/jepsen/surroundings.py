"""What stands around the daemon and can be made to fail: its clock, its disk, and the kernel that it asks."""

import asyncio
import os
import shutil
import signal
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.faults.jepsen.history import History
from tests.faults.rights import has_loop_devices
from tests.running import PATIENCE_S

AHEAD_MS = struct.Struct("q")
"""What stands in the file of a clock."""
DISK_BYTES = 1024 * 2**20
TRACER_S_MAX = 10.0


def missing() -> list[str]:
    """What is needed for all faults and is not here."""
    return [*missing_tools(), *([] if has_loop_devices() else ["the right to mount a file as a disk"])]


def missing_tools() -> list[str]:
    """What of that can be installed."""
    return [tool for tool in ("strace", "mkfs.ext4") if shutil.which(tool) is None]


class Clock:
    """The wall clock of a daemon that is given `file`: so many seconds ahead of the real one, or behind it."""

    def __init__(self, file: Path, history: History) -> None:
        self.file = file
        self.ahead_s = 0.0
        self._history = history
        file.write_bytes(AHEAD_MS.pack(0))

    def set(self, ahead_s: float) -> None:
        by_s, self.ahead_s = ahead_s - self.ahead_s, ahead_s
        with self.file.open("r+b", buffering=0) as file:
            file.write(AHEAD_MS.pack(round(1000 * ahead_s)))
        self._history.note("clock", self._history.now(), by_s)


@contextmanager
def small_disk(at: Path, image: Path) -> Iterator[None]:
    """A file system of its own, in a file: it can be filled without anybody else noticing, and its syncs are real."""
    at.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)
        image.unlink()


class Ballast:
    """A file that fills the disk it lies on, to the last block."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def fill(self) -> None:
        with self._file.open("wb", buffering=0) as file:
            size = 64 * 2**20
            while size >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, size)
                except OSError:
                    size //= 2

    def free(self) -> None:
        self._file.unlink(missing_ok=True)


class Tracer:
    """strace on a process that runs: what it asks of the kernel fails, or takes longer, as `injected` says."""

    def __init__(self, file: Path, process: int, injected: str) -> None:
        self._file = file
        self._command = ["strace", "-f", "-ttt", "-p", str(process), "-o", str(file)]
        calls = injected.partition(":")[0]
        self._command += ["-e", f"trace={calls}", "-e", f"inject={injected}"]
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Return once it is attached."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            said = await self._process.stderr.readline()
        assert b"attached" in said, said
        self._reader = asyncio.create_task(self._process.stderr.read())

    async def stop(self) -> None:
        """Let go of it; one that has ended has let go already."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGINT)
            try:
                async with asyncio.timeout(TRACER_S_MAX):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        await self._reader

    def first_failed_at(self) -> float | None:
        """When the first call was made to fail, by the monotonic clock; None when none was."""
        ahead_s = time.time() - time.monotonic()
        for line in self._file.read_text().splitlines():
            if "(INJECTED)" in line:
                # "PID SECONDS call(…) = -1 EIO (Input/output error) (INJECTED)"
                return float(line.split()[1]) - ahead_s
        return None
