"""A daemon whose store is in PostgreSQL, and what is done to the server that it is on."""

import os
import subprocess
from pathlib import Path
from typing import Any

import asyncpg

from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.postgres import Server
from tests.running import RunningDaemon, configuration

STORE_KEY = "0123456789abcdef0123456789abcdef"


def configured(url: str, **tables: str) -> str:
    return configuration(**tables) + f'\n[store]\nurl = "{url}"\nkey = "{STORE_KEY}"\n'


async def send(running: RunningDaemon, name: str) -> tuple[int, str | None]:
    """Of a hook the answer's status, and the event's id where it was taken."""
    body = stripe_event(name)
    status, answer = await post(running, "stripe", body, stripe_headers(body))
    return status, answer.get("event_id")


async def ask(url: str, *statements: str) -> list[Any]:
    """As who owns the server; what the last of them gives."""
    connection = await asyncpg.connect(url.partition("?")[0])
    try:
        rows: list[Any] = []
        for statement in statements:
            rows = [tuple(row) for row in await connection.fetch(statement)]
        return rows
    finally:
        await connection.close()


async def data_directory(url: str) -> Path:
    [(path,)] = await ask(url, "SHOW data_directory")
    return Path(path)


def signal_all(data: Path, number: int) -> None:
    """To every process of the server whose files are there."""
    parent = int((data / "postmaster.pid").read_text().partition("\n")[0])
    children = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()
    for pid in (parent, *map(int, children)):
        os.kill(pid, number)


def crash(server: Server, data: Path) -> None:
    """As when its machine is gone: of a process that nobody has reaped yet, another start would think that it lives."""
    server.kill()
    for left in (data / "postmaster.pid", *data.parent.glob(".s.PGSQL.*")):
        left.unlink()
