"""A file system that gives up: the kernel lets nobody write to it any more."""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.test_life import exit_of
from tests.faults.trade import ENOUGH, trade

IMAGE_BYTES = 64 * 2**20


class Ext4:
    """In a file, mounted through a loop device."""

    def __init__(self, image: Path, root: Path) -> None:
        self._image, self._root = image, root

    def mount(self) -> None:
        subprocess.run(
            ["mount", "-o", "loop,errors=remount-ro", self._image, self._root], check=True, capture_output=True
        )

    def gives_up(self) -> None:
        """As it does when its journal cannot be written (ext4(5), `abort`)."""
        subprocess.run(["mount", "-o", "remount,abort", self._root], check=True)

    def unmount(self) -> None:
        subprocess.run(["umount", self._root], check=True)

    def mend(self) -> None:
        found = subprocess.run(["e2fsck", "-p", self._image], check=False, capture_output=True)
        assert found.returncode in (0, 1), found.stdout  # 1: errors were corrected


@pytest.fixture
def ext4(tmp_path: Path) -> Iterator[Ext4]:
    image, root = tmp_path / "image", tmp_path / "data"
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("no file system gives up without one of our own: it takes root and e2fsprogs")
    root.mkdir(mode=0o700)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    found = Ext4(image, root)
    try:
        found.mount()
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no file system gives up without a loop device: {error.stderr!r}")
    yield found
    subprocess.run(["umount", "--lazy", root], check=False, capture_output=True)


@pytest.mark.fault(10)
async def test_on_a_file_system_that_becomes_read_only_nothing_is_acked_and_it_is_said_why(
    tmp_path: Path, dice: random.Random, ext4: Ext4
):
    async with trade(tmp_path, dice) as shop:
        await shop.provider.acked_more(ENOUGH)
        ext4.gives_up()
        shop.provider.fault_is_known = True
        assert "has become read-only" in await shop.breaks_down()
        code, said = await exit_of(tmp_path, (tmp_path / "webhookd.toml").read_text())
        assert (code, "Read-only file system" in said) == (78, True), said
        ext4.unmount()
        ext4.mend()
        ext4.mount()
        await shop.goes_on()
