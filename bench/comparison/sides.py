"""The two ways that are compared: how each is started, and how many deliveries it says it still has to make."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import aiohttp

from bench.comparison.merchants import SECRET
from bench.rig.hooks import SECRET as STRIPE_SECRET
from bench.rig.verify import verify

AT_A_TIME = 16
"""Posts to one merchant, on both sides."""
WAITS = ["0s", "500ms", "1s", "2s", "4s", *["5s"] * 10]
"""webhookd's own go on for three days; these begin as the old way's do, and end before the patience of a reader."""


class Side(Protocol):
    name: str
    command: list[str]

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
        self.command = [sys.executable, str(program), f"--port={port}", *settings, *told]
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
        lines = [
            *("[server]", f'listen = "127.0.0.1:{port}"', f'admin_listen = "127.0.0.1:{admin_port}"'),
            *(f'data_dir = "{directory}/data"', 'min_free = "1MiB"'),
            *("[delivery]", 'allow_networks = ["127.0.0.0/8"]', f"schedule = {WAITS}"),
            *("[sources.stripe]", 'provider = "stripe"', f'secrets = ["{STRIPE_SECRET}"]'),
        ]
        for name, url in merchants.items():
            lines += [f"[endpoints.{name}]", f'url = "{url}"', f'secret = "{SECRET}"', f"max_in_flight = {AT_A_TIME}"]
        self._config.write_text("\n".join(lines) + "\n")
        self.command = [sys.executable, "-m", "webhookd", "serve", "-c", str(self._config)]

    async def waiting(self) -> int:
        token = (self._config.parent / "data" / "admin.token").read_text().strip()
        return int((await _ask(f"{self._admin}/api/v1/status", Authorization=f"Bearer {token}"))["backlog"])

    async def findings(self) -> list[str]:
        return await verify(self._config)


async def _ask(url: str, **headers: str) -> dict[str, int]:
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.get(url, headers=headers) as response:
        found: dict[str, int] = await response.json()
        return found
