"""All peers side by side. Who cannot take part, or fails, is left out from then on, and the others go on."""

import statistics
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import TypeVar

from rich.progress import Progress

from bench.peers.known import OURS
from bench.peers.loss import losses
from bench.peers.peer import Peer
from bench.peers.report import Report, Rounds, asked_of, rotated, row
from bench.peers.speed import echo_rate, turn

ECHO = "bare echo"
T = TypeVar("T")
_FAILURES = (SystemExit, OSError)


class Comparison:
    """Whatever fails of webhookd itself raises SystemExit: without it there is nothing to compare."""

    def __init__(self, peers: Sequence[Peer], progress: Progress) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._found = {peer.name: Rounds() for peer in peers}
        self._echo: list[float] = []
        self._left_out: dict[str, str] = {}
        self._progress = progress
        self._bar = progress.add_task("preparing", total=len(peers))

    async def prepare(self) -> None:
        for name, peer in list(self._peers.items()):
            self._progress.update(self._bar, description=name)
            if missing := peer.missing():
                self._leave_out(name, f"needs what this machine lacks: Debian's {', '.join(missing)}")
            else:
                await self._unless_it_fails(name, peer.prepare(self._progress.console.print))
            self._progress.advance(self._bar)

    async def measure(self, events: int, rounds: int, rates: Sequence[float], seconds: float) -> None:
        self._progress.reset(self._bar, total=rounds * (len(self._peers) + 1))
        for number in range(rounds):
            for name in rotated([ECHO, *self._peers], number):
                self._progress.update(self._bar, description=f"{name}, round {number + 1}")
                if name == ECHO:
                    self._echo.append(await echo_rate(events, f"r{number}"))
                elif name in self._peers:
                    measured = turn(self._peers[name], events, rates, seconds, f"r{number}")
                    found = await self._unless_it_fails(name, measured)
                    self._found[name].turns += [found] if found else []
                self._progress.advance(self._bar)

    async def kill(self, kills: int, seed: int) -> None:
        """Who fails here keeps his figures of speed."""
        self._progress.reset(self._bar, total=kills * len(self._peers))
        for name, peer in self._peers.items():
            self._progress.update(self._bar, description=f"{name}, kill -9")
            try:
                told = partial(self._progress.advance, self._bar)
                self._found[name].losses = await losses(peer, kills, seed, "k", told)
            except _FAILURES as error:
                self._note(name, str(error) or repr(error), ", kill -9")

    def report(self, events: int) -> Report:
        ours = self._found[OURS]
        rows = {name: row(peer, self._found[name], ours, self._echo) for name, peer in self._peers.items()}
        return Report(
            events=events,
            echo_per_s=round(statistics.median(self._echo)),
            peers=list(rows.values()),
            left_out=self._left_out,
            asked=asked_of(rows, OURS),
        )

    async def _unless_it_fails(self, name: str, what: Awaitable[T]) -> T | None:
        try:
            return await what
        except _FAILURES as error:
            self._leave_out(name, str(error) or repr(error))
            return None

    def _leave_out(self, name: str, reason: str) -> None:
        self._note(name, reason)
        del self._peers[name]

    def _note(self, name: str, reason: str, when: str = "") -> None:
        if name == OURS:
            raise SystemExit(f"{name}{when}: {reason}")
        self._progress.console.print(f"without {name}{when}: {reason}", highlight=False, markup=False)
        self._left_out[f"{name}{when}"] = reason
