"""One part of the API behind a real socket, as the router serves it, without a daemon around it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any, cast

from aiohttp import web

from webhookd.admin.door.app import admin_app
from webhookd.admin.door.operation import Part


class _OpenDoor:
    """Lets everybody in, by any name, and records nothing."""

    def check(self, _request: web.Request) -> None: ...

    async def admit(self, *_asked: object) -> None: ...

    def reading(self, _visitor: object) -> AbstractContextManager[None]:
        return nullcontext()

    def carry_out(
        self, _operation: object, _visitor: object, _path: object, _query: object, do: Callable[[], Awaitable[Any]]
    ) -> Awaitable[Any]:
        return do()


@asynccontextmanager
async def served(*parts: Part) -> AsyncIterator[str]:
    """Its URL."""
    door = cast(Any, _OpenDoor())
    app = admin_app(door, door, door, *parts)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
