"""An application that publishes events of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp

from tests.admin.desk import Answer
from tests.running import PATIENCE_S, RunningDaemon

SHIPPED = b'{ "type" : "order.shipped",\n  "data": {"order": "1001", "weight": 1.10, "note": "Z\xc3\xbcrich \\u2713"} }'
"""As no JSON library of ours would write it."""


class Publisher:
    """Publishes to wherever the daemon is now."""

    def __init__(self, running: RunningDaemon, session: aiohttp.ClientSession) -> None:
        self._running, self._session = running, session

    async def __call__(
        self, body: bytes | AsyncIterator[bytes] = SHIPPED, key: str | None = None, **more: str
    ) -> Answer:
        headers = {"Authorization": f"Bearer {self._running.token}", "Content-Type": "application/json", **more}
        if key is not None:
            headers["Idempotency-Key"] = key
        url = f"{self._running.admin}/api/v1/events"
        data = BytesIO(body) if isinstance(body, bytes) else body
        async with self._session.post(url, data=data, headers=headers) as response:
            return Answer(response.status, response.headers, await response.read())

    async def done(self, body: bytes = SHIPPED, key: str | None = None) -> Any:
        answer = await self(body, key)
        assert answer.status == 200, answer.body
        return answer.json


@asynccontextmanager
async def publisher(running: RunningDaemon) -> AsyncIterator[Publisher]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
        yield Publisher(running, session)
