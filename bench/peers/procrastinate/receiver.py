"""The door before Procrastinate: checks Stripe's signature, defers the job, answers 200 when that is committed."""

from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web
from jobs import app, post
from procrastinate.exceptions import AlreadyEnqueued

from bench.peers.door import receive, serve


async def defer(event_id: str, body: str) -> None:
    # The lock: a hook that comes again while its event waits is no second job. Of a job that is done it knows nothing.
    with suppress(AlreadyEnqueued):
        await post.configure(queueing_lock=event_id).defer_async(event_id=event_id, body=body)


async def connected(_: web.Application) -> AsyncIterator[None]:
    async with app.open_async():
        yield


door = receive(defer)
door.cleanup_ctx.append(connected)
serve(door)
