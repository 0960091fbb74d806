"""The way of a log from SQLite to PostgreSQL, while a daemon runs, and the moment in which it is there and not here.

Copying goes round and round: what has changed in a stretch since it was copied is copied anew, what has come is copied,
and a kill at any time leaves what was copied so far. The switch is for who holds the data directory, when no daemon
writes any more: once round again, then

1. the rest goes over, and the target is whole; but no daemon opens it,
2. the file is marked as moved: no daemon opens it any more,
3. the target is let be opened.

Each is one commit, and synced, and the second is the switch: killed before it, the file is the store, as it was; after
it the target is, for the daemon that has the same data directory: that sees the mark, and does what is left of 3
(`finish`). The way back undoes 3 and then 2; so at no time would daemons open both, or none.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Self

from webhookd import private_file
from webhookd.store.move import LOG_FILE
from webhookd.store.move.source import FEW, KEY_MAX, Source, Stretch, mark_moved, mark_unmoved, moved
from webhookd.store.move.target import Target
from webhookd.store.move.writing import TwiceError
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.store import WrongStoreError
from webhookd.store.seal import Seal, SealError, secret_of, settings_of

SMALL = 500
"""Events of the last stretch that make it one to be written again together with what has come since."""
TRAIL_ROWS, LEDGER_ROWS = 5_000, 20_000
SLACK_MS = 60_000
"""Between what a daemon does first and when it notes that it is there."""
ROUNDS_MAX = 5
"""For what was moved about between two stretches while they were copied."""
Told = Callable[[str, int, int | None], None]
"""What is being done, how much of it is done, and of how much, if that is known."""


class Move:
    """Of the log in a file to where `target` is."""

    def __init__(self, path: Path, log: str, target: Target, told: Told) -> None:
        self._path, self._log, self._target, self._told = path, log, target, told

    @classmethod
    async def begin(cls, path: Path, url: str, now_ms: int, told: Told, *, may_make: bool = True) -> Self:
        """Or go on, if nothing `may` be made there. Raises WrongDatabaseError, WrongStoreError, StoreError, OSError."""
        log = moved(path)
        may_make = may_make and log is None
        if log is None:
            Source(path).close()  # one that cannot be moved leaves nothing there
            log = private_file.keep(path.with_name(LOG_FILE), lambda: f"{secrets.token_hex(16)} {path.name}")
        return cls(path, log, await Target.open(url, log, now_ms, may_make=may_make), told)

    async def close(self) -> None:
        await self._target.close()

    @property
    def is_over(self) -> bool:
        """Whether only the target's being let open is left to do, or nothing."""
        return moved(self._path) is not None

    async def copy(self, daemon_since_ms: int | None = None) -> int:
        """Once round; how many stretches were copied. Raises StoreError.

        `daemon_since_ms` is since when a daemon runs (Unix milliseconds): a rebuild of the ledger ends with its own.
        """
        if self._target.is_whole or self._target.is_open:  # a switch was broken off, or taken back
            await self._see_that_nobody_was_there()
            await self._target.take_more()
        with closing(Source(self._path)) as source:
            return await self._once_round(source, daemon_since_ms, is_last=False)

    async def analyze(self) -> None:
        await self._target.analyze()

    async def switch(self, shown: str, now_ms: int) -> Mapping[str, int]:
        """How many rows of each table have moved. For who holds the data directory. Raises StoreError.

        `shown` is what may be said of where it went.
        """
        with closing(Source(self._path)) as source:
            await self._once_round(source, None, is_last=True)
            self._told("copying the rest", 0, None)
            few = {table: source.all_of(table) for table in FEW}
            await self._target.complete(few, source.columns, source.numbers(), source.first_of_trail())
            counts = source.counts()
            await self._see_that_all_is_there(source, counts)
        mark_moved(self._path, self._log, shown, now_ms)
        await self._target.let_in()
        return counts

    async def finish(self) -> None:
        """What is left to do once the file is marked."""
        if not self._target.is_open:
            await self._target.let_in()

    @property
    def is_finished(self) -> bool:
        return self.is_over and self._target.is_open

    async def undo(self) -> bool:
        """Back to the file; whether there was anything to take back. For who holds the data directory.

        Raises StoreError when a daemon has had the target open: what that has received would be lost.
        """
        await self._see_that_nobody_was_there()
        await self._target.let_nobody_in()
        was = self.is_over
        if was:
            private_file.write(self._path.with_name(LOG_FILE), f"{self._log}\n".encode())
            mark_unmoved(self._path)
        return was

    async def _see_that_nobody_was_there(self) -> None:
        if not await self._target.is_untouched():
            raise StoreError(
                "store.url: a daemon has been started on what was moved there, and what it has received and delivered "
                "is nowhere else: there is no way back"
            )

    async def _once_round(self, source: Source, daemon_since_ms: int | None, *, is_last: bool) -> int:
        for left in reversed(range(ROUNDS_MAX)):
            try:
                return await self._round(source, _era(source, daemon_since_ms), is_last=is_last)
            except TwiceError as error:
                if not left:
                    raise StoreError(
                        f"{error}, which in SQLite are two: ids that differ in nothing but a NUL for a ␀ (U+2400) "
                        "cannot both be kept in PostgreSQL"
                    ) from error
        raise AssertionError

    async def _round(self, source: Source, era: str, *, is_last: bool) -> int:
        await self._target.forget_the_last(SMALL)
        copied, total, events, end = 0, source.events(), 0, -1
        up_to = KEY_MAX if is_last else source.end()
        for stretch, gist in await self._target.stretches():
            if source.gist(stretch) + era != gist:
                await self._copy(source, stretch, era)
                copied += 1
            end = stretch.last
            self._told("comparing", copied, None)
        while end < up_to and (following := source.following(end)) is not None:
            events += await self._copy(source, following, era)
            copied, end = copied + 1, following.last
            self._told("copying events", events, total)
        if is_last:
            await self._copy(source, Stretch(end, KEY_MAX), era)  # what may be there of an event that is not
        await self._copy_trail(source)
        return copied

    async def _copy(self, source: Source, stretch: Stretch, era: str) -> int:
        read = source.read(stretch)
        await self._target.put(read._replace(gist=read.gist + era), source.columns)
        return len(read.rows["event"]) + len(read.rows["past"])

    async def _copy_trail(self, source: Source) -> None:
        end = await self._target.end_of_trail()
        while rows := source.trail(end, TRAIL_ROWS):
            await self._target.put_trail(rows, source.columns["audit"])
            end = rows[-1][0]

    async def _see_that_all_is_there(self, source: Source, counts: Mapping[str, int]) -> None:
        found = await self._target.counts()
        for table in ("ledger", "reference", "audit"):  # rows may have been taken out in the middle
            if found[table] != counts[table]:
                self._told(f"copying the {table} again", 0, None)
                await self._target.put_anew(table, source.columns[table], source.many_of(table, LEDGER_ROWS))
                found = await self._target.counts()
        differing = [
            f"{table}: {rows} here, {found[table]} there" for table, rows in counts.items() if found[table] != rows
        ]
        if differing or found["identity"] != counts["event"] + counts["past"]:
            raise StoreError(
                f"store.url: not all is there, and nothing was switched: {'; '.join(differing) or 'identity'}"
            )


def _era(source: Source, daemon_since_ms: int | None) -> str:
    """Of all that is copied in a round: another one once the ledger has been made anew since, and when that is over.

    A rebuild changes what is old, and is not seen in a gist. It ends with the daemon in which it was begun.
    """
    rebuild = source.rebuild()
    if rebuild is None:
        return ""
    number, at_ms = rebuild
    may_go_on = daemon_since_ms is not None and at_ms >= daemon_since_ms - SLACK_MS
    return f" after rebuild {number}" + (", or in it" if may_go_on else "")


async def finish(data_dir: Path, url: str, now_ms: int) -> None:
    """What a move to there was killed before: when the file is marked, and all is there, let it be opened.

    For who holds the data directory and is about to open the target. Raises StoreError, OSError.
    """
    noted = data_dir / LOG_FILE
    try:
        log = noted.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):  # it is another user's, who can finish it himself
        return
    path = data_dir / log.rpartition(" ")[2]
    if not path.is_file() or moved(path) != log:
        return
    try:
        target = await Target.open(url, log, now_ms, may_make=False)
    except WrongStoreError:  # it went elsewhere, or the store itself will say what is wrong
        return
    try:
        if not target.is_open:
            await target.let_in()
        await target.tidy_up()
    finally:
        await target.close()
    noted.unlink()
    private_file.sync_names(data_dir)


def see_that_it_opens(path: Path, seal: Callable[[], Seal]) -> None:
    """Every secret that is kept, if there is any, with the key of the configuration. Raises SealError, StoreError."""
    if moved(path) is not None:
        return
    with closing(Source(path)) as source:
        sealed = [*source.sealed()]
    if not sealed:
        return
    key = seal()
    for name, content, what, endpoint, created_at in sealed:
        try:
            key.open(content, secret_of(endpoint, created_at) if what == "secret" else settings_of(endpoint))
        except SealError as error:
            raise SealError(f"endpoint {name}: {error}") from None
