"""A forgetful disk, mounted: what a test says to it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.faults.rights import has_fuse
from tests.running import PATIENCE_S

FOR_EVER = -1


class Disk:
    """`root` is where it is mounted. Names and steps are as in `drive`: `write`, `name`, `sync`, or a glob of those."""

    def __init__(self, root: Path, control: Path) -> None:
        self.root = root
        self._control = control

    def cut(self, seed: int, chance: float | None = None) -> None:
        """The power fails: of what was not synced each thing is left with this chance, or one that is drawn.

        All that is asked of it fails with EIO from then on, until `power_on`. Who had it open should be gone by then.
        """
        self._ask("cut", seed=seed, chance=chance)

    def cut_at(self, step: int, seed: int, chance: float | None = None, doing: str = "*", name: str = "*") -> None:
        """The same within the n-th step from now that matches."""
        self._fault(doing, name, step, 1, "cut", seed=seed, chance=chance)

    def sync_all(self) -> None:
        """All that is on it is safe."""
        self._ask("sync_all")

    def power_on(self) -> None:
        self._ask("power_on")

    def erase(self) -> None:
        """There is nothing on it, nothing wrong with it, and nobody has anything open on it."""
        self._ask("erase")

    def until_cut(self) -> None:
        """Wait until the power has failed."""
        self._ask("until_cut")

    def kill_at(self, step: int, doing: str = "*", name: str = "*") -> None:
        """SIGKILL for the process that takes the n-th step from now that matches, and that step is not made."""
        self._fault(doing, name, step, 1, "kill")

    def hold(self, doing: str = "sync", name: str = "*", *, nth: int = 1, times: int = FOR_EVER) -> None:
        """From the n-th such step on each hangs, until `heal`. Not even a SIGKILL ends who hangs."""
        self._fault(doing, name, nth, times, "hold")

    def until_held(self) -> None:
        """Wait until somebody hangs."""
        assert self._ask("until_held"), "the power failed before anybody was held"

    def fail(
        self, doing: str = "sync", name: str = "*", *, nth: int = 1, times: int = FOR_EVER, error: str = "EIO"
    ) -> None:
        """From the n-th such step on each fails."""
        self._fault(doing, name, nth, times, error)

    def heal(self) -> None:
        """Nothing is to fail or hang any more, and what hangs goes on."""
        self._ask("heal")

    def has_room_for(self, size: int | None) -> None:
        """So many bytes in all; None: more than any test writes."""
        self._ask("set_capacity", size=size)

    @property
    def bytes_used(self) -> int:
        return int(self._ask("status")["bytes"])

    @property
    def steps(self) -> int:
        return int(self._ask("status")["steps"])

    @property
    def has_power(self) -> bool:
        return bool(self._ask("status")["has_power"])

    def _fault(self, doing: str, name: str, nth: int, times: int, effect: str, **cut: Any) -> None:
        self._ask("fault", doing=doing, name=name, nth=nth, times=times, effect=effect, **cut)

    def _ask(self, do: str, **more: Any) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_S)
            connection.connect(str(self._control))
            connection.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
            with connection.makefile("rb") as answers:
                return json.loads(answers.readline())


@contextmanager
def forgetful_disk() -> Iterator[Disk]:
    """Mounted until the end. Skips the test where FUSE is not to be had; what can be installed must be there in CI."""
    if not has_fuse() or (shutil.which("fusermount3") is None and "CI" not in os.environ):
        pytest.skip("FUSE is not here: it takes /dev/fuse and Debian's fuse3")
    # Not in pytest's own directory: a socket's path has 107 bytes at the most.
    with TemporaryDirectory(prefix="webhookd-") as directory:
        yield from _mounted(Path(directory) / "disk", Path(directory) / "control")


def _mounted(root: Path, control: Path) -> Iterator[Disk]:
    root.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.forgetful_disk", root, control],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            assert process.stdout.readline() == b"mounted\n"
            yield Disk(root, control)
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                subprocess.run(["umount", "--lazy", root], check=False)
