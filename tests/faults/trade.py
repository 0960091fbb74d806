"""A provider that keeps sending, a merchant that remembers, the real daemon between them, and an auditor at the end."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import stripe
from aiohttp import web

from tests.crash.audit import audit
from tests.crash.harness import WAITS
from tests.crash.parties import Merchants, Provider
from tests.running import PATIENCE_S, STRIPE_SECRET, RunningDaemon, configuration, endpoint

ENOUGH = 20
"""Acks that show that all goes on."""
_PACE_S = 0.05
"""Between two hooks of one of the provider's clients: how busy the shop is, and nothing is waited for by it."""


class InsistentProvider(Provider):
    """Sends until it has its 2xx, and holds every answer against what was known when it sent."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(dice)
        self.fault_is_known = False
        """From now on nothing that is sent may be answered 200."""
        self.wrong: list[str] = []
        """Answers that should not have been given."""
        self.reasons: set[str] = set()
        """Why hooks were refused."""

    @property
    def refusals(self) -> int:
        return self.refused[503]

    async def refused_more(self, count: int) -> None:
        """Wait until so many more hooks were told to come again."""
        wanted = self.refusals + count
        async with asyncio.timeout(PATIENCE_S), self._progress:
            await self._progress.wait_for(lambda: self.refusals >= wanted)

    async def _insist(self, session: aiohttp.ClientSession, event_id: str, body: bytes) -> None:
        while not await self._is_taken(session, event_id, body):
            await asyncio.sleep(_PACE_S)
        await asyncio.sleep(_PACE_S)

    async def _is_taken(self, session: aiohttp.ClientSession, event_id: str, body: bytes) -> bool:
        await self._up.wait()
        was_known = self.fault_is_known
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE_SECRET)
        try:
            async with session.post(self._url, data=body, headers={"Stripe-Signature": header}) as response:
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, ValueError):
            return False
        if response.status == 200:
            self._note_ack(event_id, answer, was_known)
            self.acked += 1
        else:
            self.refused[response.status] += 1
            self.reasons.add(answer["detail"])
            if response.status != 503 or int(response.headers.get("Retry-After", 0)) < 1:
                self.wrong.append(f"{event_id} was answered {response.status} {dict(response.headers)}")
        async with self._progress:
            self._progress.notify_all()
        return response.status == 200

    def _note_ack(self, event_id: str, answer: dict[str, str], was_known: bool) -> None:
        self.hooks[event_id].acks.append((answer["status"], answer["event_id"]))
        if was_known:
            self.wrong.append(f"{event_id} was acked when the fault was known")


class PatientMerchant(Merchants):
    """One whose answers can be held back: `opens` is cleared, and set."""

    def __init__(self, dice: random.Random, fail_rate: float) -> None:
        super().__init__(("shop",), dice, fail_rate)
        self.opens = asyncio.Event()
        self.opens.set()

    async def _take(self, request: web.Request) -> web.Response:
        await self.opens.wait()
        return await super()._take(request)

    @property
    def taken(self) -> list[str]:
        """What was answered 200, by its id."""
        return [each.event_id for each in self.requests["shop"] if each.status == 200]


class Trade:
    """Begun by `trade`. The daemon can end and be started again; the provider goes on."""

    def __init__(
        self,
        running: RunningDaemon,
        provider: InsistentProvider,
        merchant: PatientMerchant,
        sending: "asyncio.Task[None]",
    ) -> None:
        self.running, self.provider, self.merchant = running, provider, merchant
        self._sending = sending
        self.database = running.directory / "data" / "webhookd.db"
        self.wal = self.database.with_name("webhookd.db-wal")

    async def open(self) -> None:
        await self.running.start()
        self.provider.fault_is_known = False
        self.provider.reachable_at(f"{self.running.hooks}/webhooks/stripe")

    async def breaks_down(self) -> str:
        """Wait until the daemon has found what is wrong, and has ended for it; what it said last."""
        broken = await self.running.logged("store_broken")
        self.provider.fault_is_known = True
        code = await self.running.ended()
        self.provider.unreachable()
        last = self.running.log[-1].get("text", "")
        assert code == 1, (code, self.running.log)
        assert broken["reason"] in last, self.running.log
        return last

    async def status_of(self, path: str) -> int:
        """What the listener for hooks answers there."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.running.hooks}{path}") as response:
            return response.status

    async def begins_the_wal_anew(self) -> None:
        """Wait until all of it has been moved into the database, and it is written from its beginning again."""
        before = self._salts
        await self._acks_until(lambda: self._salts != before)

    async def has_a_wal_of(self, size: int) -> None:
        """Wait until the WAL has so many bytes."""
        await self._acks_until(lambda: self.wal.stat().st_size >= size)

    async def _acks_until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(4 * PATIENCE_S):
            while not is_so():
                await self.provider.acked_more(ENOUGH)

    @property
    def _salts(self) -> bytes:
        with self.wal.open("rb") as file:
            return file.read(24)[16:]

    async def is_settled(self) -> None:
        """Wait until nothing is owed any more. What took long to count is counted again after twenty times as long."""
        headers = {"Authorization": f"Bearer {self.running.token}"}
        async with asyncio.timeout(4 * PATIENCE_S), aiohttp.ClientSession(headers=headers) as session:
            while True:
                async with session.get(f"{self.running.admin}/api/v1/status") as response:
                    found: dict[str, Any] = await response.json()
                if found["backlog"] == 0:
                    return

    async def ends_well(self) -> None:
        """All that was sent is acked at last and arrives; then the daemon stops, and every promise has been kept."""
        await self.provider.acked_more(ENOUGH)
        self.provider.finish()
        async with asyncio.timeout(PATIENCE_S):
            await self._sending
        await self.is_settled()
        assert await self.running.stop() == 0, self.running.log
        broken = audit(self.database, self.provider, self.merchant, len(WAITS))
        assert not broken, broken

    async def goes_on(self) -> None:
        """Started again, it ends well."""
        await self.open()
        await self.ends_well()


@asynccontextmanager
async def trade(
    directory: Path, dice: random.Random, *, min_free: str = "1MiB", fail_rate: float = 0.1, **environment: str
) -> AsyncIterator[Trade]:
    """Under way, in this directory. Whatever was answered as it should not have been is told at the end."""
    provider, merchant = InsistentProvider(dice), PatientMerchant(dice, fail_rate)
    await merchant.start()
    config = configuration(endpoints=endpoint("shop", merchant.port), delivery=f"schedule = {WAITS}")
    (directory / "webhookd.toml").write_text(config.replace("1MiB", min_free))
    running = RunningDaemon(directory, [sys.executable, "-m", "webhookd", "serve"], environment)
    sending = asyncio.create_task(provider.run())
    found = Trade(running, provider, merchant, sending)
    try:
        await found.open()
        yield found
        assert not provider.wrong, provider.wrong
    finally:
        merchant.opens.set()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        try:
            await running.kill()
        finally:
            await merchant.stop()
