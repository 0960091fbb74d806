"""Whether the process does its work, judged by a thread of its own: systemd hears WATCHDOG=1 only while it does.

A process can be there and do nothing: a loop that is held up, a writer whose disk has gone away, a dispatcher whose
slots are all taken by attempts that never end. Each of the three shows signs of life; what shows none for longer than
its bound is stuck, nothing is fed, and systemd starts another process from what is on disk.
"""

import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol

import structlog

BEAT_S = 0.5
LOOP_S_MAX = 2.0
WRITER_S_MAX = 5.0
"""A commit is there within milliseconds; one that is not within five seconds holds up every hook."""
DISPATCHER_S_MAX = 360.0
"""An attempt may take five minutes (`timeout`) and ends before this; then its slot is free."""
_log = structlog.get_logger("webhookd.liveness")


class Probe(NamedTuple):
    """`silent_s` says for how long this part has owed a sign of life, in seconds; 0 when it owes none."""

    name: str
    silent_s: Callable[[], float]
    bound_s: float


def stuck(probes: Sequence[Probe]) -> list[str]:
    """What has been silent for its bound, and for how long: `writer (7 s)`."""
    silent = [(probe, probe.silent_s()) for probe in probes]
    return [f"{probe.name} ({round(seconds)} s)" for probe, seconds in silent if seconds >= probe.bound_s]


class Dispatcher(Protocol):
    slot_free_at: float
    """When it last had a slot to give away, in seconds that never step back."""

    def pump(self) -> None:
        """Look whose turn it is."""


class Signs:
    """When each part last showed that it works. The loop calls `beat` and `ask_writer`; any thread may read.

    `now_s` are seconds that never step back. `ask` comes back once the writer's thread has done nothing at all, in its
    turn.
    """

    def __init__(self, now_s: Callable[[], float], ask: Callable[[], Awaitable[None]], dispatcher: Dispatcher) -> None:
        self._now_s = now_s
        self._ask = ask
        self._dispatcher = dispatcher
        self._beat_at = now_s()
        self._asked_at: float | None = None

    @property
    def probes(self) -> tuple[Probe, Probe, Probe]:
        return (
            Probe("loop", self._loop_silent_s, LOOP_S_MAX),
            Probe("writer", self._writer_silent_s, WRITER_S_MAX),
            Probe("dispatcher", self._dispatcher_silent_s, DISPATCHER_S_MAX),
        )

    async def beat(self) -> None:
        """The loop has come round, and the dispatcher is woken: an idle one says so."""
        self._beat_at = self._now_s()
        self._dispatcher.pump()

    async def ask_writer(self) -> None:
        """Raises what the writer raises: then it is not alive, and `silent_s` goes on counting."""
        self._asked_at = self._now_s()
        await self._ask()
        self._asked_at = None

    def _loop_silent_s(self) -> float:
        return max(0.0, self._now_s() - self._beat_at - BEAT_S)

    def _writer_silent_s(self) -> float:
        asked_at = self._asked_at
        return 0.0 if asked_at is None else self._now_s() - asked_at

    def _dispatcher_silent_s(self) -> float:
        return max(0.0, self._now_s() - self._dispatcher.slot_free_at)


class Watchdog:
    """Feeds every `interval_s` while nothing is stuck. What it tells systemd else is what is stuck."""

    def __init__(self, probes: Sequence[Probe], interval_s: float, tell: Callable[..., None]) -> None:
        self._probes = probes
        self._interval_s = interval_s
        self._tell = tell
        self._was_stuck = False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def look(self) -> None:
        """Feed, or say why not. It is said to the log once, and when it is over."""
        now_stuck = stuck(self._probes)
        if now_stuck:
            self._tell(f"STATUS=stuck: {', '.join(now_stuck)}; systemd is not told that all is well")
            if not self._was_stuck:
                _log.error("watchdog_not_fed", stuck=now_stuck, what="systemd restarts it unless this ends in time")
        else:
            lines = ["STATUS=receiving and delivering again"] if self._was_stuck else []
            self._tell("WATCHDOG=1", *lines)
            if self._was_stuck:
                _log.warning("watchdog_fed_again")
        self._was_stuck = bool(now_stuck)

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self.look()
