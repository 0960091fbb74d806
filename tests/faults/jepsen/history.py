"""What everybody saw, in one SQLite file of the run's own: an hour of it fits on a disk, and not in memory.

Times are seconds of the monotonic clock since the run began; nothing in here is by a clock that jumps.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from webhookd.store.sqlite.driver import driver

TABLES = {
    "hook": "number INTEGER PRIMARY KEY, sha256 BLOB, amount INTEGER",
    # What the provider was told at each try, 0: nothing. `word` is the answer's status, key and salt the event's id.
    "answer": "hook INTEGER, sent REAL, at REAL, status INTEGER, word TEXT, key INTEGER, salt INTEGER",
    # What a merchant got, as he got it; status 0: the sender had gone before he was answered. `signed_at` is the
    # sender's own clock, `life` the daemon's process that sent it.
    "request": "merchant TEXT, key INTEGER, salt INTEGER, endpoint INTEGER, number INTEGER, sha256 BLOB, "
    "authentic INTEGER, replay INTEGER, signed_at INTEGER, arrived REAL, done REAL, status INTEGER, "
    "retry_after_s INTEGER, life INTEGER",
    # `wanted`: what had it end; NULL: nothing.
    "life": "number INTEGER, started REAL, ended REAL, code INTEGER, wanted TEXT",
    "born": "life INTEGER, node TEXT, pid INTEGER",
    # Of several nodes: the Unix time at which the run began, what an endpoint wants a second, and where each node is.
    "zero": "unix_s REAL, rate INTEGER",
    "place": "node TEXT, address TEXT",
    "fault": "kind TEXT, began REAL, healed REAL, detail TEXT",
    "clock": "at REAL, by_s REAL",
    "sync_failed": "life INTEGER, at REAL",
    # What was found out during the run and not from these tables.
    "finding": "invariant TEXT, what TEXT",
    "sample": "at REAL, life INTEGER, age REAL, rss INTEGER, files INTEGER, threads INTEGER, file INTEGER, wal INTEGER",
}
FLUSH_ROWS = 2_000


class History:
    def __init__(self, file: Path) -> None:
        """Of a run that begins now, or of one that is over if the file is there."""
        is_new = not file.exists()
        self.file = file
        self._began = time.monotonic()
        self._connection = driver.connect(file, isolation_level=None)
        # It is read once, at the end of the run: a crash of ours may cost it.
        self._connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")
        for name, columns in TABLES.items() if is_new else ():
            self._connection.execute(f"CREATE TABLE {name} ({columns})")
        self._buffers: dict[str, list[Sequence[Any]]] = defaultdict(list)

    def now(self) -> float:
        return self.at(time.monotonic())

    def at(self, monotonic_s: float) -> float:
        return monotonic_s - self._began

    def note(self, table: str, *row: Any) -> None:
        buffer = self._buffers[table]
        buffer.append(row)
        if len(buffer) >= FLUSH_ROWS:
            self._flush(table)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        self.flush()
        return self._connection.execute(query, parameters).fetchall()

    def flush(self) -> None:
        for table in self._buffers:
            self._flush(table)

    def close(self) -> None:
        self.flush()
        self._connection.close()

    def _flush(self, table: str) -> None:
        if rows := self._buffers[table]:
            marks = ", ".join("?" * len(rows[0]))
            self._connection.execute("BEGIN")
            self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            self._connection.execute("COMMIT")
            rows.clear()
