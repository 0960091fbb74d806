"""An operator's desk: a daemon's API, asked with its token."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import yarl

from tests.running import PATIENCE_S, RunningDaemon


class Answer:
    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def wrong(self) -> dict[str, str]:
        """The fields that were refused, each with the reason."""
        assert (self.status, self.headers["Content-Type"]) == (422, "application/problem+json"), self.body
        assert {"type", "title", "status", "detail"} <= self.json.keys()
        return {each["field"]: each["reason"] for each in self.json["errors"]}


class Desk:
    """Asks wherever the daemon is now: it may have been started again."""

    def __init__(self, running: RunningDaemon, session: aiohttp.ClientSession) -> None:
        self._running, self._session = running, session
        self.token: str | None = None
        """None: the one in the data directory."""

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        headers = {"Authorization": f"Bearer {self.token or self._running.token}", "Content-Type": "application/json"}
        url = yarl.URL(f"{self._running.admin}/api/v1{path}", encoded=True).update_query(query)
        async with self._session.request(method, url, data=BytesIO(raw), headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())

    async def metrics(self) -> str:
        async with self._session.get(f"{self._running.admin}/metrics") as response:
            return await response.text()

    async def get(self, path: str, **query: str) -> Any:
        return await self.done("GET", path, **query)

    async def done(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        answer = await self.ask(method, path, body, **query)
        assert answer.status in (200, 201), answer.body
        return answer.json


@asynccontextmanager
async def desk(running: RunningDaemon) -> AsyncIterator[Desk]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        yield Desk(running, session)
