"""Keeps to Litestream's rules beside a running daemon: it holds a read transaction, and does all the checkpoints.

    python -m tests.daemon.replicator DATABASE

Prints "ready", then goes on until its standard input ends; then how many checkpoints moved all there was.
"""

import select
import sys
from itertools import cycle

from webhookd.store.sqlite.driver import driver


def main(path: str) -> None:
    reader, checkpointer = (driver.connect(path, isolation_level=None) for _ in range(2))
    for connection in (reader, checkpointer):
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
    # As Litestream does, which has two tables of its own in the file.
    checkpointer.execute("CREATE TABLE IF NOT EXISTS _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    moved = 0
    said = False
    for mode in cycle(("PASSIVE", "PASSIVE", "PASSIVE", "TRUNCATE")):
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        checkpointer.execute("INSERT OR REPLACE INTO _litestream_seq VALUES (1, ?)", (moved,))
        checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        reader.execute("ROLLBACK")
        busy, frames, done = checkpointer.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        moved += busy == 0 and frames == done
        if not said:
            print("ready", flush=True)
            said = True
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    print(moved, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
