"""The real daemon, with a killer or a saboteur put between two rooms. Started by the harness as a subprocess.

    python -m tests.crash.daemon_under_fault [--kill STEP:N] [--sabotage NAME] [--hang PART:FIFO] [--slow S] serve -c …

STEP is passed N times; the N-th time the process kills itself with SIGKILL at just that point. From when FIFO is there,
PART hangs in its next step while somebody has it open for writing. Each commit takes S seconds longer.
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from webhookd.cli.app import main
from webhookd.core.event import Appended
from webhookd.daemon import Daemon
from webhookd.outbound import Attempt
from webhookd.store.protocol.store import Store
from webhookd.store.sqlite.store import SqliteStore

STEPS = ("before-commit", "before-sync", "after-commit", "before-answer", "after-2xx", "before-settling")
SABOTAGES = ("ack-before-commit", "new-id-each-attempt")


class Killer:
    """Counts how often its step is passed, and kills at the last count."""

    def __init__(self, step: str | None, count: int) -> None:
        self._step = step
        self._left = count

    def passing(self, step: str) -> None:
        if step != self._step:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Hang:
    """Holds up whoever passes, from when the FIFO is there and until its writer closes it."""

    def __init__(self, part: str, fifo: str) -> None:
        self._part = part
        self._fifo = Path(fifo)

    def passing(self, part: str) -> None:
        if part == self._part and self._fifo.is_fifo():
            self._fifo.read_bytes()


class Faults:
    """The seams of `webhookd.daemon`, with the killer in them."""

    def __init__(self, killer: Killer, sabotage: str | None, hang: Hang, slow_s: float = 0) -> None:
        self._killer = killer
        self._sabotage = sabotage
        self._hang = hang
        self._slow_s = slow_s

    def store(self, store: Store) -> Any:
        writer: Any = store._writer  # type: ignore[attr-defined]
        run, passing = writer.run, self._killer.passing
        is_file = isinstance(store, SqliteStore)
        watch = partial(_Connection if is_file else _Speaking, self._killer, self._slow_s)

        async def watched(function: Callable[[Any], Any]) -> Any:
            def within(connection: Any) -> Any:
                self._hang.passing("writer")
                result = function(watch(connection))
                if is_file:
                    passing("after-commit")
                return result

            return await run(within)

        writer.run = watched
        return _Store(store, self._killer, self._sabotage, self._hang)

    def attempt(self, attempt: Attempt) -> Attempt:
        async def watched(endpoint: Any, due: Any) -> Any:
            if self._sabotage == "new-id-each-attempt":
                due = _with_other_id(due)
            outcome = await attempt(endpoint, due)
            if outcome.succeeded:
                self._killer.passing("after-2xx")
            return outcome

        return watched


class _Connection:
    """The writer's connection, watched for its commits: a COMMIT, or a statement that is a transaction by itself."""

    def __init__(self, killer: Killer, slow_s: float, connection: Any) -> None:
        self._connection = connection
        self._killer = killer
        self._slow_s = slow_s

    def execute(self, statement: str, *parameters: Any) -> Any:
        if statement != "COMMIT" and (self._connection.in_transaction or not statement.startswith("INSERT")):
            return self._connection.execute(statement, *parameters)
        self._killer.passing("before-commit")
        time.sleep(self._slow_s)
        result = self._connection.execute(statement, *parameters)
        self._killer.passing("before-sync")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Speaking:
    """The same of PostgreSQL, where a sync is a part of the commit, and the server's."""

    def __init__(self, killer: Killer, _slow_s: float, connection: Any) -> None:
        self._connection = connection
        self._killer = killer

    def ask(self, sql: str, *given: Any) -> Any:
        if sql != "COMMIT":
            return self._connection.ask(sql, *given)
        self._killer.passing("before-commit")
        result = self._connection.ask(sql, *given)
        self._killer.passing("after-commit")
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Store:
    """The store as the rooms see it. `ack-before-commit` is the mistake that this harness is there to find."""

    def __init__(self, store: Store, killer: Killer, sabotage: str | None, hang: Hang) -> None:
        self._store = store
        self._killer = killer
        self._sabotage = sabotage
        self._hang = hang

    async def append(self, event: Any) -> Any:
        self._hang.passing("loop")
        answer: Awaitable[Any] = self._store.append(event)
        if self._sabotage == "ack-before-commit":
            return Appended(event.id, "accepted")
        appended = await answer
        self._killer.passing("before-answer")
        return appended

    async def settle(self, settlement: Any) -> None:
        self._killer.passing("before-settling")
        await self._store.settle(settlement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def _with_other_id(due: Any) -> Any:
    import msgspec

    salt = int.from_bytes(os.urandom(7), "big")
    return msgspec.structs.replace(due, event=msgspec.structs.replace(due.event, salt=salt))


def run() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kill", default=":0")
    parser.add_argument("--sabotage", choices=SABOTAGES)
    parser.add_argument("--hang", default=":")
    parser.add_argument("--slow", type=float, default=0)
    own, rest = parser.parse_known_args()
    step, _, count = own.kill.partition(":")
    part, _, fifo = own.hang.partition(":")
    seams = Faults(Killer(step or None, int(count)), own.sabotage, Hang(part, fifo), own.slow)
    sys.argv[1:] = rest
    with patch("webhookd.cli.start.Daemon", partial(Daemon, seams=seams)):
        main()


if __name__ == "__main__":
    run()
