"""The ways that are compared: how each is started, and how many deliveries it says it still has to make."""

import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

import aiohttp

from bench.comparison.merchants import SECRET
from bench.rig.hooks import SECRET as STRIPE_SECRET
from bench.rig.verify import verify

AT_A_TIME = 16
"""Posts to one merchant, on both sides."""
WAITS = ["0s", "500ms", "1s", "2s", "4s", *["5s"] * 10]
"""webhookd's own go on for three days; these begin as the old way's do, and end before the patience of a reader."""


class Program(NamedTuple):
    command: list[str]
    port: int
    """Where it takes connections once it has started."""


class Side(Protocol):
    name: str
    programs: Sequence[Program]
    """In the order in which they are started. Each fault strikes the next one of them, in turn."""
    url: str
    """Where payments are told of."""

    async def waiting(self) -> int:
        """Deliveries that it will still attempt."""
        ...

    async def findings(self) -> list[str]:
        """What is wrong with what it kept. To be asked when it has stopped."""
        ...


class OldWay:
    name = "the old way"

    def __init__(self, directory: Path, port: int, admin_port: int, merchants: Mapping[str, str]) -> None:
        program = Path(__file__).resolve().parents[1] / "old_architecture.py"
        told = [f"--merchant={name}={url}" for name, url in merchants.items()]
        settings = [f"--secret={STRIPE_SECRET}", f"--merchant-secret={SECRET}", f"--workers={AT_A_TIME}"]
        self.programs: Sequence[Program] = [
            Program([sys.executable, str(program), f"--port={port}", *settings, *told], port)
        ]
        self.url = f"http://127.0.0.1:{port}/webhooks/stripe"
        self._health = f"http://127.0.0.1:{port}/healthz"

    async def waiting(self) -> int:
        return int((await _ask(self._health))["waiting"])

    async def findings(self) -> list[str]:
        """It keeps nothing that one could look at."""
        return []


class Webhookd:
    name = "webhookd"

    def __init__(self, directory: Path, port: int, admin_port: int, merchants: Mapping[str, str]) -> None:
        self._config = directory / "webhookd.toml"
        self._admin = f"http://127.0.0.1:{admin_port}"
        self.url = f"http://127.0.0.1:{port}/webhooks/stripe"
        stripe = ["[sources.stripe]", 'provider = "stripe"', f'secrets = ["{STRIPE_SECRET}"]']
        self.programs: Sequence[Program] = [
            Program(self._configured(directory, f"127.0.0.1:{port}", stripe, merchants), port)
        ]

    def _configured(
        self, directory: Path, listen: str, source: Sequence[str], merchants: Mapping[str, str]
    ) -> list[str]:
        """The command that serves with this source."""
        lines = [
            *("[server]", f'listen = "{listen}"', f'admin_listen = "{self._admin.removeprefix("http://")}"'),
            *(f'data_dir = "{directory}/data"', 'min_free = "1MiB"'),
            *("[delivery]", 'allow_networks = ["127.0.0.0/8"]', f"schedule = {WAITS}"),
            *source,
        ]
        for name, url in merchants.items():
            lines += [f"[endpoints.{name}]", f'url = "{url}"', f'secret = "{SECRET}"', f"max_in_flight = {AT_A_TIME}"]
        self._config.write_text("\n".join(lines) + "\n")
        return [sys.executable, "-m", "webhookd", "serve", "-c", str(self._config)]

    async def waiting(self) -> int:
        token = (self._config.parent / "data" / "admin.token").read_text().strip()
        return int((await _ask(f"{self._admin}/api/v1/status", Authorization=f"Bearer {token}"))["backlog"])

    async def findings(self) -> list[str]:
        return await verify(self._config)


class Outbox(Webhookd):
    """The application makes the payments itself, and webhookd takes their events from its database."""

    name = "an outbox"

    def __init__(self, directory: Path, port: int, admin_port: int, merchants: Mapping[str, str]) -> None:
        self._config = directory / "webhookd.toml"
        self._admin = f"http://127.0.0.1:{admin_port}"
        self._log, self._shop = directory / "data" / "webhookd.db", directory / "shop.db"
        outbox = ["[sources.shop]", 'provider = "outbox"', f'url = "sqlite://{self._shop}"']
        shop = [sys.executable, str(Path(__file__).with_name("shop.py")), f"--port={port}", f"--database={self._shop}"]
        self.url = f"http://127.0.0.1:{port}/payments"
        self.programs: Sequence[Program] = [
            Program(shop, port),
            Program(self._configured(directory, "127.0.0.1:0", outbox, merchants), admin_port),
        ]

    async def waiting(self) -> int:
        return len(_column(self._shop, "SELECT id FROM webhookd_outbox")) + await super().waiting()

    async def findings(self) -> list[str]:
        paid = _column(self._shop, "SELECT event FROM payment")
        told = _column(self._log, "SELECT provider_event_id FROM event WHERE source = 'shop'")
        left = {
            "payments were committed, and are not in the log": paid - told,
            "events are in the log whose payment was not committed": told - paid,
        }
        return [f"{len(found)} {what}" for what, found in left.items() if found] + await super().findings()


def _column(file: Path, sql: str) -> set[str]:
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        return {row[0] for row in connection.execute(sql)}


async def _ask(url: str, **headers: str) -> dict[str, int]:
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(url, headers=headers) as response:
        found: dict[str, int] = await response.json()
        return found
