"""The receiver without the daemon, on a real socket: where a test needs another clock, deadline or log than it has."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.running import STANDARD_SECRET, STRIPE_SECRET
from webhookd.clock import SystemClock
from webhookd.core.event import Appended, Event
from webhookd.core.identifier import KeyMint
from webhookd.core.secret import Secret
from webhookd.providers.provider import Credentials, Request
from webhookd.providers.standard import Standard
from webhookd.providers.stripe import Stripe
from webhookd.receive.intake import EvidenceUnavailableError, Intake, Source
from webhookd.receive.refusals import Refusals
from webhookd.receive.routes import Routes
from webhookd.receive.server import HookServer


class StoppedClock(SystemClock):
    """Stands still until it is told otherwise."""

    def __init__(self, at_s: float = 1_700_000_000) -> None:
        self.at_s = at_s

    def now_ms(self) -> int:
        return int(self.at_s * 1_000)

    def monotonic(self) -> float:
        return self.at_s


class Results:
    """What the receiver counts, in order: to be waited for."""

    def __init__(self) -> None:
        self.results: asyncio.Queue[str] = asyncio.Queue()

    def hook(self, source: str, result: str, seconds: float) -> None:
        self.results.put_nowait(result)

    def bad_signature(self, source: str) -> None: ...

    def conflict(self, source: str) -> None:
        raise NotImplementedError


class Log:
    """Takes every event, or does what a test would have it do."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.append: Callable[[Event], Awaitable[Appended]] = self._append

    async def _append(self, event: Event) -> Appended:
        self.events.append(event)
        return Appended(event.id, "accepted")


class Inside:
    def __init__(self) -> None:
        self.clock = StoppedClock()
        self.meter = Results()
        self.log = Log()
        self.refusals = Refusals(self.clock)
        self.unready: str | None = None
        self.port = 0
        self.sources: dict[str, Source] = {}
        self.evidence: bytes | None = None
        """What is found when something is fetched."""
        self.evidence_comes: asyncio.Event | None = None
        """When, if not at once."""


@asynccontextmanager
async def receiving(*, body_bytes_max: int = 2**20) -> AsyncIterator[Inside]:
    inside = Inside()

    async def fetch(_request: Request) -> bytes:
        if inside.evidence_comes is not None:
            await inside.evidence_comes.wait()
        if inside.evidence is None:
            raise EvidenceUnavailableError
        return inside.evidence

    class Handed:
        """Lets a test change the log's mind while running."""

        def append(self, event: Event) -> Awaitable[Appended]:
            return inside.log.append(event)

    routes = Routes(
        Intake(Handed(), KeyMint(), lambda: 1, fetch),
        inside.clock,
        inside.meter,
        body_bytes_max=body_bytes_max,
        unready=lambda: inside.unready,
    )
    inside.refusals = routes.refusals
    routes.sources = inside.sources
    inside.sources |= {
        "stripe": Source("stripe", Stripe(Credentials([Secret(STRIPE_SECRET)]))),
        "standard": Source("standard", Standard(Credentials([Secret(STANDARD_SECRET)]))),
    }
    runner = web.ServerRunner(
        HookServer(routes.handle, routes.at_once, body_bytes_max=body_bytes_max), shutdown_timeout=1
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    inside.port = runner.addresses[0][1]
    try:
        yield inside
    finally:
        await runner.cleanup()
