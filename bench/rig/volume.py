"""What a store has grown by, in bytes, and how often its log was synced."""

from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec

_ASKED = """
  SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, wal_sync, wal_sync_time,
         (SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
          WHERE relnamespace = 'webhookd'::regnamespace AND relkind = 'r'),
         pg_snapshot_xmax(pg_current_snapshot())::text::bigint
  FROM pg_stat_wal
"""


class Volume(msgspec.Struct):
    """Of a store since it was made."""

    bytes: int
    """Tables and indexes."""
    wal_bytes: int = 0
    syncs: int = 0
    sync_ms: float = 0.0
    """Of these: a server counts them a second late."""
    commits: int = 0
    """Transactions that wrote."""

    def since(self, before: "Volume") -> "Volume":
        return Volume(*(getattr(self, name) - getattr(before, name) for name in self.__struct_fields__))


Weigh = Callable[[], "Volume"]


async def of_postgresql(url: str) -> Volume:
    """Times of syncs are there where `track_wal_io_timing` is on."""
    connection = await asyncpg.connect(url)
    try:
        wal_bytes, syncs, sync_ms, size, commits = await connection.fetchrow(_ASKED)
        return Volume(size, wal_bytes, syncs, sync_ms, commits)
    finally:
        await connection.close()


def of_sqlite(data: Path) -> Volume:
    """The database; what its WAL holds is on the way there, or was written twice."""
    return Volume((data / "webhookd.db").stat().st_size)
