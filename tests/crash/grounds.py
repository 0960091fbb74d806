"""What the daemon's store is in while it is killed: a file beside it, or a PostgreSQL that is killed, too."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, Protocol

from tests.crash.audit import audit, audit_postgres
from tests.crash.daemon_under_fault import STEPS
from tests.crash.parties import Merchants, Provider
from tests.daemon.on_postgres import configured, crash
from tests.postgres import Server, server
from tests.running import configuration

StoreName = Literal["sqlite", "postgres"]
SERVER = "server"
"""PostgreSQL itself is killed under load, and the daemon once it has gone on with what came up again."""
MOMENTS = ("any-moment", "mid-request", *STEPS)
"""Where a kill may strike; `any-moment` is a random one under load."""
MOMENTS_ON_POSTGRES = (*(moment for moment in MOMENTS if moment != "before-sync"), SERVER)


class Ground(Protocol):
    moments: Sequence[str]

    def configured(self, endpoints: str, delivery: str) -> str: ...

    async def shake(self) -> None:
        """Kill what the store is in; it is there again when this returns."""
        ...

    async def audit(self, directory: Path, provider: Provider, merchants: Merchants, attempts_max: int) -> list[str]:
        """Every broken promise; to be called when no daemon runs and nothing is pending any more."""
        ...


class OnSqlite:
    moments = MOMENTS

    def configured(self, endpoints: str, delivery: str) -> str:
        return configuration(endpoints=endpoints, delivery=delivery)

    async def shake(self) -> None:
        raise NotImplementedError

    async def audit(self, directory: Path, provider: Provider, merchants: Merchants, attempts_max: int) -> list[str]:
        return audit(directory / "data" / "webhookd.db", provider, merchants, attempts_max)


class OnPostgres:
    moments = MOMENTS_ON_POSTGRES

    def __init__(self, own: Server) -> None:
        self._server = own
        self._url = own.url()

    def configured(self, endpoints: str, delivery: str) -> str:
        return configured(self._url, endpoints=endpoints, delivery=delivery)

    async def shake(self) -> None:
        await asyncio.to_thread(crash, self._server, self._server.data)
        await asyncio.to_thread(self._server.start)

    async def audit(self, directory: Path, provider: Provider, merchants: Merchants, attempts_max: int) -> list[str]:
        return await audit_postgres(self._url, directory, provider, merchants, attempts_max)


@contextmanager
def ground(store: StoreName) -> Iterator[Ground]:
    """With a server of its own where it needs one."""
    if store == "sqlite":
        yield OnSqlite()
        return
    with server() as own:
        yield OnPostgres(own)
