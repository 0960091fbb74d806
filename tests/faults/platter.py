"""What is on a disk, and what of it is still there after a power cut. `forgetful_disk` makes a file system of it.

As strict as POSIX lets a file system be, and stricter than ext4, XFS and btrfs are:

- What was written to a file is safe once the file was synced. Until then each sector of it may have reached the disk or
  not, whatever the order of writing was, and so may each of the file's sizes; where it grew without its data are zeros.
- A name is safe once the directory that it is in was synced: to sync the file is not enough. Until then each change of
  names may have been made or not, whatever the order. A rename is made as a whole.
- What a sync that failed should have written is written by none that follows: the kernel has marked it as clean
  (Rebello et al., USENIX ATC 2020). Whoever reads it sees it until the power fails.

Of modes and times the last is kept.
"""

import errno
import os
import random
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

SECTOR_BYTES = 512
"""A sector is written whole or not at all: what every disk promises."""
_numbers = count(2)


class _Write(NamedTuple):
    offset: int
    """Or the new size, where there is no data."""
    data: bytes | None

    def sectors(self) -> Iterator["_Write"]:
        """The same in the pieces that reach the disk by themselves."""
        if self.data is None:
            yield self
            return
        at, end = self.offset, self.offset + len(self.data)
        while at < end:
            until = min(end, (at // SECTOR_BYTES + 1) * SECTOR_BYTES)
            yield _Write(at, self.data[at - self.offset : until - self.offset])
            at = until

    def made_to(self, content: bytearray) -> None:
        if self.data is None:
            del content[self.offset :]
        content.extend(bytes(max(0, self.offset - len(content))))
        if self.data is not None:
            content[self.offset : self.offset + len(self.data)] = self.data


class File:
    def __init__(self, mode: int, content: bytes = b"") -> None:
        self.mode = mode
        self.number = next(_numbers)
        self.name = ""
        """The last it was given."""
        self.content = bytearray(content)
        """As everybody sees it while there is power."""
        self._durable = bytearray(content)
        self._unsynced: list[_Write] = []

    def write(self, offset: int, data: bytes) -> None:
        self._do(_Write(offset, data))

    def resize(self, size: int) -> None:
        self._do(_Write(size, None))

    def _do(self, write: _Write) -> None:
        write.made_to(self.content)
        self._unsynced.append(write)

    def sync(self) -> None:
        for write in self._unsynced:
            write.made_to(self._durable)
        self._unsynced.clear()

    def fail_to_sync(self, dice: random.Random) -> None:
        self._durable = self.after_cut(dice)
        self._unsynced.clear()

    def after_cut(self, dice: random.Random, chance: float | None = None) -> bytearray:
        """`chance` is that of each thing to have reached the disk without a sync; drawn when it is not given."""
        left = bytearray(self._durable)
        odds = _odds(dice, chance)
        for write in self._unsynced:
            for sector in write.sectors():
                if dice.random() < odds:
                    sector.made_to(left)
        if len(left) < len(self.content) and self._unsynced and dice.random() < odds:
            left.extend(bytes(len(self.content) - len(left)))
        return left


class Directory:
    def __init__(self, mode: int) -> None:
        self.mode = mode
        self.number = next(_numbers)
        self.name = ""
        self.entries: dict[str, Node] = {}
        self.durable: dict[str, Node] = {}


Node = File | Directory


class _Renaming:
    """A change of names: what each is from then on, or None for nothing."""

    def __init__(self, *entries: tuple[Directory, str, Node | None]) -> None:
        self.entries = entries
        self.is_synced = False


Names = dict[Directory, dict[str, Node]]


class Platter:
    """All paths are absolute. Raises OSError as a file system does."""

    def __init__(self, root: Directory | None = None) -> None:
        self.root = root or Directory(0o755)
        self._renamings: list[_Renaming] = []
        """Those that are not durable yet, and what was done after them."""

    def find(self, path: str) -> Node:
        node: Node = self.root
        for name in path.strip("/").split("/"):
            if not name:
                continue
            if not isinstance(node, Directory):
                raise _error(errno.ENOTDIR)
            if name not in node.entries:
                raise _error(errno.ENOENT)
            node = node.entries[name]
        return node

    def make(self, path: str, node: Node) -> None:
        directory, name = self._place(path)
        if name in directory.entries:
            raise _error(errno.EEXIST)
        self._rename((directory, name, node))

    def remove(self, path: str) -> None:
        node = self.find(path)
        if isinstance(node, Directory) and node.entries:
            raise _error(errno.ENOTEMPTY)
        self._rename((*self._place(path), None))

    def rename(self, old: str, new: str) -> None:
        node = self.find(old)
        self._rename((*self._place(old), None), (*self._place(new), node))

    def sync(self, node: Node) -> None:
        if isinstance(node, File):
            node.sync()
            return
        for renaming in self._renamings:
            renaming.is_synced |= any(directory is node for directory, _, _ in renaming.entries)
        self._keep_synced()

    def sync_all(self) -> None:
        for renaming in self._renamings:
            renaming.is_synced = True
        self._keep_synced()
        for file in _files(self.root):
            file.sync()

    def after_cut(self, dice: random.Random, chance: float | None = None) -> "Platter":
        """What somebody finds who gives it power again."""
        names: Names = {}
        odds = _odds(dice, chance)
        for renaming in self._renamings:
            if renaming.is_synced or dice.random() < odds:
                for directory, name, entry in renaming.entries:
                    _set(names.setdefault(directory, dict(directory.durable)), name, entry)
        found: dict[Node, Node] = {}

        def left_of(node: Node) -> Node:
            if node not in found:
                if isinstance(node, File):
                    found[node] = File(node.mode, node.after_cut(dice, chance))
                else:
                    found[node] = left = Directory(node.mode)
                    left.entries = {n: left_of(each) for n, each in names.get(node, node.durable).items()}
                    left.durable = dict(left.entries)
                found[node].name = node.name
            return found[node]

        root = left_of(self.root)
        assert isinstance(root, Directory)
        return Platter(root)

    @property
    def bytes_used(self) -> int:
        return sum(len(file.content) for file in _files(self.root))

    def _keep_synced(self) -> None:
        while self._renamings and self._renamings[0].is_synced:
            for directory, name, entry in self._renamings.pop(0).entries:
                _set(directory.durable, name, entry)

    def _place(self, path: str) -> tuple[Directory, str]:
        parent, name = os.path.split(path.rstrip("/"))
        directory = self.find(parent)
        if not isinstance(directory, Directory):
            raise _error(errno.ENOTDIR)
        return directory, name

    def _rename(self, *entries: tuple[Directory, str, Node | None]) -> None:
        for directory, name, node in entries:
            _set(directory.entries, name, node)
            if node is not None:
                node.name = name
        self._renamings.append(_Renaming(*entries))


def _odds(dice: random.Random, chance: float | None) -> float:
    """Nothing, everything or some of it: a disk that is idle has written all, one that is busy nothing."""
    drawn = dice.choice((0.0, 1.0, dice.random()))
    return drawn if chance is None else chance


def _set(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _files(directory: Directory) -> Iterator[File]:
    for node in directory.entries.values():
        if isinstance(node, File):
            yield node
        else:
            yield from _files(node)


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
