"""What a deed is done to, as it was before, as it is, and as somebody looks at it: files, or databases of a server."""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.crash.grounds import StoreName
from tests.daemon.on_postgres import ask
from tests.faults.calls import Call, noted, sends
from tests.faults.deeds.deed import URL
from tests.postgres import Server, server


class Files:
    """Three directories in this one."""

    def __init__(self, directory: Path) -> None:
        self.before, self.data, self.looked_at = (directory / name for name in ("before", "data", "looked_at"))
        self.before.mkdir(mode=0o700)

    def copy(self, directory: Path, to: Path) -> None:
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(directory, to)

    def calls(self, log: str) -> list[Call]:
        """At which a process can be killed that strace has watched."""
        return noted(log, self.data)


class Databases(Files):
    """Each directory says where its database is, which is called as it is."""

    def __init__(self, directory: Path, own: Server) -> None:
        super().__init__(directory)
        self._server = own
        asyncio.run(self._say("CREATE DATABASE before"))
        (self.before / URL).write_text(self.url("before"))

    def url(self, name: str) -> str:
        return self._server.url("webhookd").replace("/postgres?", f"/{name}?")

    def copy(self, directory: Path, to: Path) -> None:
        """As the server has it once it has noticed that nobody is connected any more."""
        asyncio.run(
            self._say(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                f"WHERE datname IN ('{directory.name}', '{to.name}')",
                f"DROP DATABASE IF EXISTS {to.name}",
                f"CREATE DATABASE {to.name} TEMPLATE {directory.name}",
            )
        )
        to.mkdir(exist_ok=True)
        (to / URL).write_text(self.url(to.name))

    def calls(self, log: str) -> list[Call]:
        return sends(log)

    async def _say(self, *statements: str) -> None:
        await ask(self._server.url(), *statements)


@contextmanager
def ground(store: StoreName, directory: Path) -> Iterator[Files]:
    """With a server of its own where it needs one."""
    if store == "sqlite":
        yield Files(directory)
        return
    with server() as own:
        yield Databases(directory, own)
