"""What has become of events: of one, once nothing of it is pending any more; and all that are in the log."""

import asyncio
from typing import Any

import aiohttp

from tests.daemon.test_end_to_end import api
from tests.running import PATIENCE_S, RunningDaemon


async def settled(running: RunningDaemon, event_id: str) -> dict[str, Any]:
    """Its deliveries, by endpoint: asked for until it is so, for nothing announces it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = (await api(running, f"/events/{event_id}"))["deliveries"]
            if found and all(each["state"] != "pending" for each in found):
                return {each["endpoint"]: each for each in found}


async def log_of(running: RunningDaemon) -> list[str]:
    """The provider's ids of all events."""
    found: list[str] = []
    cursor: str | None = ""
    headers = {"Authorization": f"Bearer {running.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        while cursor is not None:
            query = {"limit": "500", **({"cursor": cursor} if cursor else {})}
            async with session.get(f"{running.admin}/api/v1/events", params=query) as response:
                answer = await response.json()
            found += [each["provider_event_id"] for each in answer["data"]]
            cursor = answer["next_cursor"]
    return found
