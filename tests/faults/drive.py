"""A platter with its power, its faults and a count of what was done to it: what `forgetful_disk` is told with."""

import errno
import os
import random
import signal
from collections.abc import Callable
from fnmatch import fnmatch
from itertools import count
from threading import Condition
from typing import Any, Literal, TypeVar

from tests.faults.platter import File, Node, Platter

T = TypeVar("T")
Doing = Literal["write", "name", "sync"]
"""Bytes or the size of a file; a change of names; a sync of a file or of a directory."""
ROOMY_BYTES = 64 * 2**30


class Fault:
    """Strikes at the `nth` step that matches and at those after it, `times` in all (-1: at all of them).

    `doing` and `name` are globs. `effect` is an errno's name, or `hold`, or `kill`, or `cut`, which is made with `cut`.
    """

    def __init__(self, *, doing: str, name: str, nth: int, times: int, effect: str, **cut: Any) -> None:
        self._doing, self._name = doing, name
        self._before, self._left = nth - 1, times
        self.effect, self.cut = effect, cut

    def strikes(self, doing: Doing, name: str) -> bool:
        if not self._left or not fnmatch(doing, self._doing) or not fnmatch(name, self._name):
            return False
        if self._before:
            self._before -= 1
            return False
        self._left -= 1
        return True


class Drive:
    """`caller` says which process is asking for a step; 0 when it is the kernel itself."""

    def __init__(self, caller: Callable[[], int]) -> None:
        self._caller = caller
        self._platter = Platter()
        self._has_power = True
        self._capacity = ROOMY_BYTES
        self._steps = 0
        self._faults: list[Fault] = []
        self._dice = random.Random(0)
        self._changed = Condition()
        self._held: set[object] = set()
        self._handles: dict[int, Node] = {}
        self._numbers = count(1)

    # --- For the file system. All raise OSError

    def opened(self, node: Node) -> int:
        with self._changed:
            handle = next(self._numbers)
            self._handles[handle] = node
            return handle

    def closed(self, handle: int) -> None:
        with self._changed:
            self._handles.pop(handle, None)

    def look(self, path: str | None, handle: int | None = None) -> Node:
        """By the handle if there is one: its file may have no name any more."""
        with self._changed:
            self._need_power()
            if handle is None and path is not None:
                return self._platter.find(path)
            if handle not in self._handles:
                raise error(errno.EIO)  # it was opened before the power failed
            return self._handles[handle]

    def write(self, file: File, offset: int, data: bytes) -> None:
        def act(_platter: Platter) -> None:
            self._need_room(offset + len(data) - len(file.content))
            file.write(offset, data)

        self._do("write", file.name, act)

    def resize(self, file: File, size: int) -> None:
        def act(_platter: Platter) -> None:
            self._need_room(size - len(file.content))
            file.resize(size)

        self._do("write", file.name, act)

    def make(self, path: str, node: Node) -> None:
        self._do("name", path.rpartition("/")[2], lambda platter: platter.make(path, node))

    def rename(self, old: str, new: str) -> None:
        self._do("name", new.rpartition("/")[2], lambda platter: platter.rename(old, new))

    def remove(self, path: str) -> None:
        self._do("name", path.rpartition("/")[2], lambda platter: platter.remove(path))

    def sync(self, node: Node) -> None:
        def failed() -> None:
            if isinstance(node, File):
                node.fail_to_sync(self._dice)

        self._do("sync", node.name, lambda platter: platter.sync(node), failed)

    def room(self) -> tuple[int, int]:
        """Bytes in all, and those that are free."""
        with self._changed:
            return self._capacity, max(0, self._capacity - self._platter.bytes_used)

    # --- For who controls it

    def fault(self, **what: Any) -> None:
        with self._changed:
            self._faults.append(Fault(**what))

    def until_held(self) -> bool:
        """Wait until somebody is held; False when the power has failed instead."""
        with self._changed:
            self._changed.wait_for(lambda: self._held or not self._has_power)
            return bool(self._held)

    def until_cut(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._has_power)

    def heal(self) -> None:
        """There are no faults any more, and whoever was held goes on."""
        with self._changed:
            self._end_faults()

    def cut(self, seed: int, chance: float | None = None) -> None:
        """The power fails now, if it has not yet. Everything fails with EIO until it is back."""
        with self._changed:
            if self._has_power:
                self._cut(seed, chance)

    def power_on(self) -> None:
        with self._changed:
            self._has_power = True

    def erase(self) -> None:
        """A new disk, with power and without faults."""
        with self._changed:
            self._platter, self._has_power, self._capacity, self._steps = Platter(), True, ROOMY_BYTES, 0
            self._handles.clear()
            self._end_faults()

    def sync_all(self) -> None:
        with self._changed:
            self._platter.sync_all()

    def set_capacity(self, size: int | None) -> None:
        with self._changed:
            self._capacity = ROOMY_BYTES if size is None else size

    def status(self) -> dict[str, Any]:
        """`steps` are the writes, changes of names and syncs so far."""
        with self._changed:
            return {"steps": self._steps, "has_power": self._has_power, "bytes": self._platter.bytes_used}

    # --- The lock is held

    def _do(self, doing: Doing, name: str, act: Callable[[Platter], T], failed: Callable[[], None] = lambda: None) -> T:
        """`failed` is done in the place of `act` when that is to fail."""
        with self._changed:
            self._need_power()
            self._steps += 1
            fault = next((each for each in self._faults if each.strikes(doing, name)), None)
            if fault is None:
                return act(self._platter)
            if fault.effect == "hold":
                before = self._platter
                self._hold()
                if self._platter is not before:
                    raise error(errno.EIO)
                return act(before)
            if fault.effect == "cut":
                if doing != "sync":
                    act(self._platter)
                self._cut(**fault.cut)
                raise error(errno.EIO)
            if fault.effect == "kill" and (process := self._caller()) > 0:
                os.kill(process, signal.SIGKILL)
                raise error(errno.EIO)  # which it does not live to see
            failed()
            raise error(getattr(errno, fault.effect))

    def _hold(self) -> None:
        self._held.add(held := object())
        self._changed.notify_all()
        self._changed.wait_for(lambda: held not in self._held)

    def _cut(self, seed: int, chance: float | None = None) -> None:
        self._platter = self._platter.after_cut(random.Random(seed), chance)
        self._has_power = False
        self._handles.clear()
        self._end_faults()

    def _end_faults(self) -> None:
        self._faults.clear()
        self._held.clear()
        self._changed.notify_all()

    def _need_power(self) -> None:
        if not self._has_power:
            raise error(errno.EIO)

    def _need_room(self, more: int) -> None:
        if more > 0 and self._capacity < ROOMY_BYTES and self._platter.bytes_used + more > self._capacity:
            raise error(errno.ENOSPC)


def error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
