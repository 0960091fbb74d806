"""One `serve --dev` that many tests ask: its sources, its token, and hooks signed for it."""

import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.running import PATIENCE_S, RunningDaemon, daemon
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.sandbox.dev import dev_credentials


class DevDaemon:
    def __init__(self, running: RunningDaemon, session: aiohttp.ClientSession) -> None:
        self.running = running
        self.session = session

    @property
    def data_dir(self) -> Path:
        return self.running.directory / "data"

    def secret(self, name: str) -> str:
        return str(json.loads((self.data_dir / "dev-secrets.json").read_text())[name])

    async def send(self, body: bytes | dict[str, Any], provider: str = "stripe", message_id: str = "msg_1") -> str:
        """The id of the event that a signed hook became."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = PROVIDERS[provider](dev_credentials(provider, Secret(self.secret(provider)))).sign(
            raw, int(time.time()), message_id
        )
        headers["Content-Type"] = "application/json"
        url = f"{self.running.hooks}/webhooks/{provider}"
        async with self.session.post(url, data=raw, headers=headers) as response:
            answer = await response.json()
            assert response.status == 200, answer
            return str(answer["event_id"])

    async def get(self, path: str, **query: Any) -> Any:
        """The decoded answer of the API to somebody who holds the token."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        async with self.session.get(self.running.admin + path, params=query, headers=headers) as response:
            answer = await response.json(content_type=None)
            assert response.status == 200, answer
            return answer

    async def delivered(self, event_id: str) -> dict[str, Any]:
        """The one delivery of the event, once it is made: asked for again and again, for nothing announces it."""
        while True:
            (delivery,) = (await self.get(f"/api/v1/events/{event_id}"))["deliveries"]
            if delivery["state"] == "delivered":
                return dict(delivery)


@asynccontextmanager
async def dev_daemon(directory: Path, config: str = "") -> AsyncIterator[DevDaemon]:
    """`config` is what is configured beside what --dev makes."""
    command = [sys.executable, "-m", "webhookd", "serve", "--dev"]
    free_ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data-dir", str(directory / "data")]
    async with (
        daemon(directory, f'{config}\n[server]\nmin_free = "1MiB"\n', *free_ports, command=command) as running,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session,
    ):
        yield DevDaemon(running, session)


def stripe_event(number: int | str, event_type: str = "charge.refunded", **more: Any) -> dict[str, Any]:
    subject = {"id": f"ch_{number}", "object": "charge", "payment_intent": f"pi_{number}"}
    return {"id": f"evt_{number}", "type": event_type, "created": 1_700_000_000, "data": {"object": subject}, **more}
