"""Sends events as a provider does: signed, over keep-alive, and again if asked to."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable

import aiohttp
import msgspec

from webhookd.providers.provider import Provider

IN_FLIGHT_MAX = 16


class Sent(msgspec.Struct, frozen=True):
    """One hook that was sent, and the answer to it."""

    number: int
    status: int | None
    """None when nobody answered."""
    result: str
    """`accepted`, `duplicate`, `quarantined`, or what went wrong."""
    event_id: str | None
    duration_ms: float


class Sender:
    """`body` makes the n-th event; `duplicates` of the hooks are sent twice."""

    def __init__(
        self, url: str, provider: Provider, body: Callable[[int], bytes], now_s: Callable[[], int], *, duplicates: float
    ) -> None:
        self._url = url
        self._provider = provider
        self._body = body
        self._now_s = now_s
        self._duplicates = duplicates

    async def send(self, count: int, rate: float | None) -> AsyncIterator[Sent]:
        """`rate` per second, or as fast as IN_FLIGHT_MAX at a time allow. Answers come in the order they arrive."""
        async with aiohttp.ClientSession(skip_auto_headers=("User-Agent",)) as session:
            waiting: set[asyncio.Task[list[Sent]]] = set()
            loop = asyncio.get_running_loop()
            began = loop.time()
            for number in range(count):
                if rate is not None:
                    await asyncio.sleep(max(0.0, began + number / rate - loop.time()))
                if len(waiting) >= IN_FLIGHT_MAX:
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        for sent in task.result():
                            yield sent
                waiting.add(asyncio.create_task(self._one(session, number)))
            for finished in asyncio.as_completed(waiting):
                for sent in await finished:
                    yield sent

    async def _one(self, session: aiohttp.ClientSession, number: int) -> list[Sent]:
        body = self._body(number)
        message_id = f"msg_{random.getrandbits(96):024x}"
        twice = random.random() < self._duplicates  # noqa: S311
        return [await self._post(session, number, body, message_id) for _ in range(1 + twice)]

    async def _post(self, session: aiohttp.ClientSession, number: int, body: bytes, message_id: str) -> Sent:
        headers = {"Content-Type": "application/json", **self._provider.sign(body, self._now_s(), message_id)}
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with session.post(self._url, data=body, headers=headers) as response:
                answer = msgspec.json.decode(await response.read())
                result = str(answer.get("status") if response.status == 200 else answer.get("detail"))
                return Sent(number, response.status, result, answer.get("event_id"), (loop.time() - began) * 1_000)
        except (aiohttp.ClientError, msgspec.MsgspecError, AttributeError) as error:
            why = (
                "nobody listens there"
                if isinstance(error, aiohttp.ClientConnectorError)
                else "no answer that can be read"
            )
            return Sent(number, None, why, None, (loop.time() - began) * 1_000)
