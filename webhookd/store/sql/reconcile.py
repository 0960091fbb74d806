"""Looking up what a provider's export names."""

from collections.abc import Sequence
from typing import Any

from webhookd.store.protocol.books import Known, Name
from webhookd.store.sql.connection import Connection, Reader

ALIKE_MAX = 50


class SqlBooks:
    """Fits `protocol.books.Books`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def known(self, source: str, names: Sequence[Name]) -> Sequence[Known | None]:
        def look(connection: Connection) -> list[Known | None]:
            found = []
            for name in names:
                given = {"source": source, "name": name.provider_event_id, "alias": name.alias}
                row = connection.execute("reconcile.known", given).fetchone()
                found.append(None if row is None else _known(row))
            return found

        return await self._reader.look(look)

    async def alike(
        self, source: str, event_type: str, payment_id: str | None, object_id: str | None
    ) -> Sequence[Known]:
        given = {
            "source": source,
            "type": event_type,
            "payment": payment_id,
            "object": object_id,
            "limit": ALIKE_MAX,
        }
        return [_known(row) for row in await self._reader.read("reconcile.alike", given)]

    async def body(self, key: int) -> bytes | None:
        rows = await self._reader.read("log.body", (key,))
        return rows[0][0] if rows else None


def _known(row: Sequence[Any]) -> Known:
    values = [*row]
    values[-1] = bool(row[-1])
    return Known(*values)
