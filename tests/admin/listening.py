"""Somebody who listens to the stream, message by message."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import aiohttp

from tests.running import PATIENCE_S, RunningDaemon


class Told(NamedTuple):
    kind: str
    data: Any
    id: str | None


class Ear:
    """`next` waits for a message; comments are passed over but counted."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.comments = 0

    async def next(self, kind: str | None = None) -> Told:
        """The next one, of this kind where one is named. Raises AssertionError at the end of the stream."""
        while True:
            told = await self._read()
            assert told is not None, "the stream has ended"
            if kind in (None, told.kind):
                return told

    async def end(self) -> list[Told]:
        """What is told until the stream ends."""
        rest = []
        while (told := await self._read()) is not None:
            rest.append(told)
        return rest

    async def _read(self) -> Told | None:
        fields: dict[str, str] = {}
        async with asyncio.timeout(PATIENCE_S):
            while line := await self.response.content.readline():
                text = line.decode().rstrip("\n")
                if text.startswith(":"):
                    self.comments += 1
                elif text:
                    name, _, value = text.partition(": ")
                    fields[name] = value
                elif "event" in fields:
                    return Told(fields["event"], json.loads(fields["data"]), fields.get("id"))
                else:
                    fields = {}
        return None


@asynccontextmanager
async def listening(running: RunningDaemon, last: str | None = None, **query: str) -> AsyncIterator[Ear]:
    """An ear that has been told where it begins."""
    headers = {"Authorization": f"Bearer {running.token}"} | ({"Last-Event-ID": last} if last else {})
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session,
        session.get(f"{running.admin}/api/v1/stream", params=query, headers=headers) as response,
    ):
        assert response.status == 200, await response.read()
        yield Ear(response)
