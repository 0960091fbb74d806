"""`GET /live`: tells every page that is open what has changed, once a second at most, as server-sent events.

A page is told numbers, which it puts in their places, and whether anything was committed since: then it asks for those
of its parts again that show what is in the store. What is told is the same for all, and is made once for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec
import structlog
from aiohttp import web

from webhookd.admin.dashboard.frame.sessions import Guest, Sessions
from webhookd.admin.dashboard.frame.visit import Page, Visit
from webhookd.admin.door.reasons import BusyError
from webhookd.clock import Clock

WATCHERS_MAX = 64
"""Pages that are open, all people together. The next is answered 503, and shows what it showed when it was loaded."""
TICK_S = 1.0
TAKING_S_MAX = 30.0
"""Who takes nothing for so long is gone, or as good as that."""
_HEADERS = {"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
_log = structlog.get_logger("webhookd.admin")
_encode = msgspec.json.Encoder().encode


class News(msgspec.Struct, omit_defaults=True):
    commits: int
    """Another number than before: something was committed."""
    numbers: Mapping[str, str] = {}
    """Texts, by the places they belong to."""


Read = Callable[[], Awaitable[News]]


class Live:
    """`read` makes the news; it is asked only while somebody watches."""

    def __init__(self, read: Read, sessions: Sessions, clock: Clock, most: int = WATCHERS_MAX) -> None:
        self._read = read
        self._sessions = sessions
        self._clock = clock
        self._most = most
        self._watchers: dict[asyncio.Queue[bytes | None], Guest] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._closed = False

    def pages(self) -> Sequence[Page]:
        return [Page("GET", "/live", self.watch)]

    def close(self) -> None:
        """Every page is told no more."""
        self._closed = True
        if self._ticking is not None:
            self._ticking.cancel()
        for queue in self._watchers:
            _put(queue, None)

    async def watch(self, visit: Visit) -> web.StreamResponse:
        if self._closed:
            raise BusyError("The daemon is stopping.")
        if len(self._watchers) >= self._most:
            raise BusyError(f"{self._most} pages are open already, which is all that are kept up to date.")
        assert visit.guest is not None
        queue: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._watchers[queue] = visit.guest
        response = web.StreamResponse(headers=_HEADERS)
        try:
            if self._ticking is None or self._ticking.done():
                self._ticking = asyncio.create_task(self._tick(), name="dashboard-live")
            await response.prepare(visit.request)
            if visit.request.method != "HEAD":
                await self._tell(visit.request, response, queue)
        finally:
            del self._watchers[queue]
        return response

    async def _tell(
        self, request: web.Request, response: web.StreamResponse, queue: "asyncio.Queue[bytes | None]"
    ) -> None:
        try:
            await response.write(b"retry: 2000\n\n")
            while (told := await queue.get()) is not None:
                async with asyncio.timeout(TAKING_S_MAX):
                    await response.write(told)
        except (TimeoutError, OSError):
            if request.transport is not None:
                request.transport.abort()

    async def _tick(self) -> None:
        is_told = False
        while self._watchers:
            try:
                told: bytes = b"data: " + _encode(await self._read()) + b"\n\n"
            except Exception as error:  # noqa: BLE001 - a fault of ours; the page stands as it was
                if not is_told:
                    _log.error("live_failed", kind=type(error).__name__, reason=str(error)[:200])
                told, is_told = b": nothing to be had now\n\n", True
            for queue, guest in [*self._watchers.items()]:
                _put(queue, told if self._sessions.keep(guest) else None)
            await self._clock.sleep(TICK_S)


def _put(queue: "asyncio.Queue[bytes | None]", told: bytes | None) -> None:
    """Only the newest counts."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(told)
