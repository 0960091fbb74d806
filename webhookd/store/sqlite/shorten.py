"""The file gets shorter: pages that retention has emptied are given back, a few at a time."""

import sqlite3
import time

from webhookd.store.protocol.retention import Freed

KEPT_PAGES_MIN = 1024
"""Free pages that always stay for reuse: 4 MiB."""
INCREMENTAL = 2


def give_back(connection: sqlite3.Connection, pages: int, kept: float) -> Freed:
    """As `protocol.retention.Retention` has it."""
    began = time.perf_counter()
    free, total, page_bytes, mode = (
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("freelist_count", "page_count", "page_size", "auto_vacuum")
    )
    spare = max(0, free - max(KEPT_PAGES_MIN, int(kept * total))) if mode == INCREMENTAL else 0
    if given := min(pages, spare):
        connection.execute(f"PRAGMA incremental_vacuum({given})").fetchall()  # a step for each page
        (left,) = connection.execute("PRAGMA freelist_count").fetchone()
        given, spare = free - left, spare - free + left
    return Freed(given, spare, page_bytes, time.perf_counter() - began)
