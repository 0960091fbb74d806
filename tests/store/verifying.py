"""What `verify` finds in a store, whatever kind it is."""

from collections.abc import Sequence
from typing import cast

from tests.store.site import Store
from webhookd.store.postgres.audit import audit as audit_postgres
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.protocol.store import Reread
from webhookd.store.sql.audit import Finding
from webhookd.store.sqlite.audit import audit as audit_sqlite
from webhookd.store.sqlite.store import SqliteStore


async def verified(store: Store, reread: Reread) -> Sequence[Finding]:
    if isinstance(store, SqliteStore):
        return [*audit_sqlite(store._path, reread)]
    return await audit_postgres(cast(PostgresStore, store)._url, reread)
