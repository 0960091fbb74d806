"""A PostgreSQL store for the model test and the simulation, and what is left of it when its process is killed."""

from tests.making import SEAL
from tests.store.sayings import reread
from webhookd.store.postgres.audit import audit
from webhookd.store.postgres.store import PostgresStore
from webhookd.store.postgres.weeks import Weeks


class PostgresSite:
    def __init__(self, url: str, weeks_at_ms: int | None = None) -> None:
        """`weeks_at_ms`: a time around which there are to be weeks, besides those of the server's clock."""
        self._url = url
        self._weeks_at_ms = weeks_at_ms

    async def open(self) -> PostgresStore:
        store = PostgresStore(self._url)
        await store.open()
        if self._weeks_at_ms is not None:
            await Weeks(store._upkeep).make(self._weeks_at_ms)
        await store.unlock(SEAL)
        return store

    async def kill(self, store: PostgresStore) -> PostgresStore:
        store.abandon()
        await store.close()
        return await self.open()

    async def findings(self) -> list[str]:
        """Those about payments are no fault of the store: nobody had asked for what they say."""
        return [str(each) for each in await audit(self._url, reread) if each.check != "payments"]
