"""How many hooks are taken in at one time. The others wait for it; when that takes too long, who comes is refused.

A hook costs what it costs when it is verified, read and committed: one that is refused after that was all for nothing,
and made those behind it wait. So the line is here, where nothing has been done for a hook but to read its bytes, and
behind it is never more than the next commits can hold.

A burst finds room, and is taken in the order in which it came. When more comes for longer, the line is a second long,
and in order everybody would wait for it: then whoever came last is the next, whose bytes the processor still has at
hand and whose sender still waits, and those at the front are refused when their time is up. Nobody is let into a line
that does not move. (Maurer, "Fail at Scale", ACM Queue 13(8), 2015, has the same as adaptive LIFO.)

Refusals are given at a pace. Whoever asks again as soon as he is refused would otherwise use up the time of those who
are taken.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

INSIDE_MAX, INSIDE_BYTES_MAX = 256, 32 * 2**20
"""Twice what a commit holds: one is being written while the next one gathers."""
CALLED_AT_ONCE = 128
"""Of those who wait, in a row: a commit's worth, which takes 8 ms of the loop. With 32 each of them costs 4 % more."""
WAIT_S = 1.0
"""When the first in line has waited so long, the last is the next; when nobody was called for so long, who comes is
refused."""
WAIT_S_MAX = 4.0
"""Who has waited so long is refused: the least patient provider, Razorpay, waits for five seconds."""
WAITING_BYTES_MAX = 64 * 2**20
"""Bodies of all who wait; at the bound, who comes is refused. There are no more of them than connections."""
REFUSALS_PER_S, REFUSALS_AT_ONCE = 1_000, 400
"""Of what has come whole: 40 us each, its reading included, so that no more than a twentieth of the time goes to them.
When as many come at one time as there may be connections, the last of them hears after twelve seconds."""
_PACE_S = 0.01


class CrowdedError(Exception):
    """There is no getting in now: come again."""


class _Waiting(NamedTuple):
    since_s: float
    size: int
    called: Callable[[bool], None]


class Entrance:
    """`now_s` is a monotonic clock. Whoever is in must `leave`, exactly once, with the size he came with."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._inside = self._inside_bytes = 0
        self._line: deque[_Waiting] = deque()
        self._line_bytes = 0
        self._moved_s = 0.0
        """When somebody was last called, or the line began."""
        self._is_calling = False
        self._watch: asyncio.TimerHandle | None = None
        self._refused: deque[tuple[Callable[[], None], int]] = deque()
        self._refusals_left: float = REFUSALS_AT_ONCE
        self._pacer: asyncio.TimerHandle | None = None
        self._paced_s = 0.0
        """Until when refusals have been earned, by the loop's time."""

    @property
    def waiting(self) -> tuple[int, int]:
        """Hooks that wait, and the bytes of their bodies."""
        return len(self._line), self._line_bytes

    @property
    def is_shut(self) -> bool:
        """Whether who comes now is refused."""
        return bool(self._line) and (self._now_s() - self._moved_s > WAIT_S or self._line_bytes >= WAITING_BYTES_MAX)

    def enter(self, size: int) -> bool:
        """Whether there is room inside, and nobody who came before waits for it; then one is in."""
        if self._line or not self._has_room(size):
            return False
        self._inside += 1
        self._inside_bytes += size
        return True

    def wait(self, size: int, called: Callable[[bool], None]) -> None:
        """Stand in line. `called` with True, one is in; with False, it took too long."""
        now_s = self._now_s()
        if not self._line:
            self._moved_s = now_s
        self._line.append(_Waiting(now_s, size, called))
        self._line_bytes += size
        if self._watch is None:
            self._watch_first()

    def leave(self, size: int) -> None:
        self._inside -= 1
        self._inside_bytes -= size
        if self._line and not self._is_calling:
            # Once for all who leave at the same time: they were in one commit.
            self._is_calling = True
            asyncio.get_running_loop().call_soon(self._call)

    def refuse(self, refused: Callable[[], None], effort: int = 1) -> None:
        """Have it called when its time has come: now, unless many are refused. `effort` is as many of the least."""
        if self._refusals_left > 0 and not self._refused:
            self._refusals_left -= effort
            refused()
        else:
            self._refused.append((refused, effort))
        if self._pacer is None:
            loop = asyncio.get_running_loop()
            self._paced_s = loop.time()
            self._pacer = loop.call_later(_PACE_S, self._refuse_more)

    def turn(self, size: int) -> "Turn":
        """The same for one who can wait: `async with`. Raises CrowdedError."""
        return Turn(self, size)

    def _has_room(self, size: int) -> bool:
        return self._inside < INSIDE_MAX and (self._inside_bytes + size <= INSIDE_BYTES_MAX or not self._inside)

    def _call(self) -> None:
        """Not all: whoever has just connected, and what is to be delivered, waits for the same loop."""
        self._is_calling = False
        now_s = self._now_s()
        for _ in range(CALLED_AT_ONCE):
            if not self._line:
                return
            place = -1 if now_s - self._line[0].since_s > WAIT_S else 0
            if not self._has_room(self._line[place].size):
                return
            self._moved_s = now_s
            one = self._out_of_line(place)
            self._inside += 1
            self._inside_bytes += one.size
            one.called(True)
        if self._line and not self._is_calling:
            self._is_calling = True
            asyncio.get_running_loop().call_soon(self._call)

    def _out_of_line(self, place: int) -> _Waiting:
        """`place`: 0 is the first, -1 the last."""
        one = self._line[place]
        del self._line[place]
        self._line_bytes -= one.size
        return one

    def _watch_first(self) -> None:
        """Nobody waits for ever, even if nobody leaves."""
        self._watch = None
        while self._line and (left_s := self._line[0].since_s + WAIT_S_MAX - self._now_s()) <= 0:
            self._out_of_line(0).called(False)
        if self._line:
            self._watch = asyncio.get_running_loop().call_later(max(left_s, _PACE_S), self._watch_first)

    def _refuse_more(self) -> None:
        self._pacer = None
        loop = asyncio.get_running_loop()
        earned_s = loop.time() - self._paced_s  # a busy loop comes late
        self._paced_s += earned_s
        self._refusals_left = min(self._refusals_left + REFUSALS_PER_S * earned_s, REFUSALS_AT_ONCE)
        while self._refused and self._refusals_left > 0:
            refused, effort = self._refused.popleft()
            self._refusals_left -= effort
            refused()
        if self._refusals_left < REFUSALS_AT_ONCE:
            self._pacer = loop.call_later(_PACE_S, self._refuse_more)


class Turn:
    """Inside, from `async with` to its end."""

    def __init__(self, entrance: Entrance, size: int) -> None:
        self._entrance = entrance
        self._size = size

    async def __aenter__(self) -> None:
        """Raises CrowdedError."""
        if self._entrance.enter(self._size):
            return
        is_called: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def called(is_in: bool) -> None:
            if not is_called.done():
                is_called.set_result(is_in)
            elif is_in:
                self._entrance.leave(self._size)  # he has gone meanwhile

        self._entrance.wait(self._size, called)
        try:
            is_in = await is_called
        except asyncio.CancelledError:
            if is_called.done() and not is_called.cancelled() and is_called.result():
                self._entrance.leave(self._size)
            raise
        if not is_in:
            raise CrowdedError

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entrance.leave(self._size)
