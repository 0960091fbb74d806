"""A file system that forgets what was not synced, and fails when it is told to. Its rules are those of `platter`.

    python -m tests.faults.forgetful_disk MOUNT_POINT CONTROL_SOCKET

It holds all in memory, in a process of its own: it can be told to fail while others wait for it. `disk` mounts it and
speaks to it. Prints "mounted" once it is, and ends at SIGTERM.
"""

import errno
import json
import os
import socketserver
import stat
import sys
from contextlib import suppress
from threading import Thread
from typing import Any

import mfusepy

from tests.faults.drive import Drive, error
from tests.faults.platter import SECTOR_BYTES, Directory, File

BLOCK_BYTES = 4096


class ForgetfulDisk(mfusepy.Operations):  # type: ignore[misc]
    """What the kernel asks of it. A path is None where a file has lost its name, and then there is a handle."""

    use_ns = True

    def __init__(self, drive: Drive) -> None:
        self._drive = drive

    def init(self, path: str) -> None:
        print("mounted", flush=True)

    # --- Names

    def readdir(self, path: str | None, fh: int) -> list[tuple[str, dict[str, int], int]]:
        directory = self._directory(fh)
        found = {".": directory, "..": directory, **directory.entries}
        return [(name, {"st_ino": node.number}, 0) for name, node in found.items()]

    def mkdir(self, path: str, mode: int) -> int:
        self._drive.make(path, Directory(stat.S_IMODE(mode)))
        return 0

    def create(self, path: str, mode: int, flags: int) -> int:
        self._drive.make(path, file := File(stat.S_IMODE(mode)))
        return self._drive.opened(file)

    def rename(self, old: str, new: str) -> int:
        self._drive.rename(old, new)
        return 0

    def unlink(self, path: str) -> int:
        self._drive.remove(path)
        return 0

    rmdir = unlink

    def opendir(self, path: str) -> int:
        return self._drive.opened(self._drive.look(path))

    def fsyncdir(self, path: str | None, datasync: int, fh: int) -> int:
        self._drive.sync(self._directory(fh))
        return 0

    def _directory(self, fh: int) -> Directory:
        node = self._drive.look(None, fh)
        if isinstance(node, File):
            raise error(errno.ENOTDIR)
        return node

    # --- Content

    def open(self, path: str, flags: int) -> int:
        file = self._file(path)
        if flags & os.O_TRUNC and file.content:
            self._drive.resize(file, 0)
        return self._drive.opened(file)

    def read(self, path: str | None, size: int, offset: int, fh: int) -> bytes:
        return bytes(self._file(path, fh).content[offset : offset + size])

    def write(self, path: str | None, data: bytes, offset: int, fh: int) -> int:
        self._drive.write(self._file(path, fh), offset, data)
        return len(data)

    def truncate(self, path: str | None, length: int, fh: int | None = None) -> int:
        self._drive.resize(self._file(path, fh), length)
        return 0

    def fsync(self, path: str | None, datasync: int, fh: int) -> int:
        self._drive.sync(self._file(path, fh))
        return 0

    def release(self, path: str | None, fh: int) -> int:
        self._drive.closed(fh)
        return 0

    releasedir = release

    def _file(self, path: str | None, fh: int | None = None) -> File:
        node = self._drive.look(path, fh)
        if isinstance(node, Directory):
            raise error(errno.EISDIR)
        return node

    # --- What is said of them

    def getattr(self, path: str | None, fh: int | None = None) -> dict[str, Any]:
        node = self._drive.look(path, fh)
        kind, size, links = (stat.S_IFREG, len(node.content), 1) if isinstance(node, File) else (stat.S_IFDIR, 0, 2)
        return {
            "st_mode": kind | node.mode,
            "st_size": size,
            "st_blocks": -(-size // SECTOR_BYTES),
            "st_nlink": links,
            "st_ino": node.number,
            "st_uid": os.getuid(),
            "st_gid": os.getgid(),
        }

    def chmod(self, path: str, mode: int) -> int:
        self._drive.look(path).mode = stat.S_IMODE(mode)
        return 0

    def chown(self, path: str, uid: int, gid: int) -> int:
        return 0

    def utimens(self, path: str, times: Any = None) -> int:
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        self._drive.look(path)
        total, free = (size // BLOCK_BYTES for size in self._drive.room())
        return {
            "f_bsize": BLOCK_BYTES,
            "f_frsize": BLOCK_BYTES,
            "f_blocks": total,
            "f_bfree": free,
            "f_bavail": free,
            "f_namemax": 255,
        }


class _Control(socketserver.StreamRequestHandler):
    """A line of JSON is a call of the drive, and its answer another."""

    server: "_Controls"

    def handle(self) -> None:
        for line in self.rfile:
            asked = json.loads(line)
            answer = getattr(self.server.drive, asked.pop("do"))(**asked)
            self.wfile.write(json.dumps(answer).encode() + b"\n")


class _Controls(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    drive: Drive


def main(mount_point: str, control_socket: str) -> None:
    with _Controls(control_socket, _Control) as controls:
        controls.drive = Drive(lambda: int(mfusepy.fuse_get_context()[2]))
        Thread(target=controls.serve_forever, daemon=True).start()
        with suppress(RuntimeError):  # "ended by a signal"
            mfusepy.FUSE(
                ForgetfulDisk(controls.drive),
                mount_point,
                foreground=True,
                fsname="forgetful",
                max_threads=64,
                attr_timeout=0,
                entry_timeout=0,
                use_ino=True,
                hard_remove=True,
            )
        controls.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
