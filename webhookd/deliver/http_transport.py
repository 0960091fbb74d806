"""HTTP/1.1 POSTs over kept connections: the delivery transport.

It exists because the client decides how many events get through. Beside the answer's parser (answer.py) it is asyncio's
own protocol and transport, used as they are meant: one write, one future, one timer for each POST.

When a kept connection ends without a byte of an answer, its peer closed it while we wrote, or took the request and
died over it. RFC 9110 (9.2.2) lets a client send a POST again only if it knows that the first was never applied. Here
that is known (wire.py) or nothing is sent again: the attempt is "disconnected", and the schedule does the rest. So a
merchant that closes idle connections early is charged with nothing, and none gets a request twice in one attempt.
"""

import asyncio
from collections.abc import Mapping
from functools import lru_cache, partial

from webhookd.core.proxy import Proxy
from webhookd.deliver.connection import Connection, NeverTakenError, time_lost
from webhookd.deliver.dial import Dialler
from webhookd.deliver.guard import Guard
from webhookd.deliver.pool import Pool
from webhookd.deliver.resolve import LookUp, Resolver, look_up
from webhookd.deliver.route import Origin, route
from webhookd.deliver.transport import Response, Target, TransportError

ROUTES_MAX = 4096
"""Of URLs that are read: at most 2 KiB each, and no certificates."""


class HttpTransport:
    """With a `proxy` another judge decides: see proxy.py."""

    def __init__(self, guard: Guard, proxy: Proxy | None = None, *, look_up: LookUp = look_up) -> None:
        self._resolver = Resolver(look_up)
        self._dialler = Dialler(guard, self._resolver, proxy)
        self._pool = Pool()
        self._dials: set[asyncio.Timeout] = set()
        self._closed = False
        self._route = lru_cache(maxsize=ROUTES_MAX)(partial(route, guard))

    async def post(self, target: Target, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> Response:
        """As transport.Transport has it."""
        there = self._route(target.url, target.allow_http)
        origin = there.origin if target.tls is None else there.origin.with_tls(target.tls)
        request = there.request(headers, body)
        deadline = asyncio.get_running_loop().time() + timeout_s
        connection = self._pool.take(origin)
        if connection is not None:
            try:
                response = await connection.exchange(request, deadline)
            except NeverTakenError:
                connection = None
        if connection is None:
            connection, deadline = await self._dialled(origin, deadline)
            response = await connection.exchange(request, deadline)
        self._pool.give(connection)
        return response

    async def close(self) -> None:
        self._closed = True
        now = asyncio.get_running_loop().time()
        for limit in self._dials:
            limit.reschedule(now)
        self._resolver.close()
        await self._pool.close()

    async def _dialled(self, origin: Origin, deadline: float) -> tuple[Connection, float]:
        """And the deadline, which is a later one when this process stood still."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return await self._dial(origin, deadline), deadline
            except TransportError as error:
                if error.word != "timeout" or (more_s := time_lost(loop.time(), deadline)) is None:
                    raise
                deadline = loop.time() + more_s

    async def _dial(self, origin: Origin, deadline: float) -> Connection:
        if self._closed:
            raise TransportError("disconnected")
        try:
            async with asyncio.timeout_at(deadline) as limit:
                self._dials.add(limit)
                try:
                    connection = await self._dialler.dial(origin, self._pool.ended)
                finally:
                    self._dials.discard(limit)
        except TimeoutError as error:
            raise TransportError("timeout") from error
        self._pool.add(connection)
        return connection
