"""From a name to addresses. Threads of our own, since a merchant's name server may take its time.

asyncio and uvloop look names up on a handful of threads that all names share (libuv lets two of its four do that), so
that two merchants whose name servers say nothing would keep the names of all others waiting. Here each name has one
thread at most, whoever waits for it, and there may be LOOKUPS_MAX of them.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As socket.getaddrinfo has it: family, kind, protocol, canonical name, address."""
LookUp = Callable[[str, int], Sequence[AddrInfo]]
LOOKUP_S = 5.0
LOOKUPS_MAX = 32
KNOWN_S = 30.0
KNOWN_MAX = 1024


class UnknownNameError(Exception):
    """The name has no address, or its name server did not say within LOOKUP_S."""


def look_up(host: str, port: int) -> Sequence[AddrInfo]:
    """Blocks. Raises OSError, UnicodeError."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)


def as_number(host: str, port: int) -> Sequence[AddrInfo]:
    """The address that the host is already, in any spelling that a resolver takes (127.1, 0x7f000001); else none."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):
        return []


class Resolver:
    """Remembers what a name led to for KNOWN_S; a failure not at all, for attempts have pauses of their own."""

    def __init__(self, ask: LookUp = look_up) -> None:
        self._ask = ask
        self._known: dict[tuple[str, int], tuple[float, Sequence[AddrInfo]]] = {}
        self._under_way: dict[tuple[str, int], asyncio.Task[Sequence[AddrInfo]]] = {}
        self._turns = asyncio.Semaphore(LOOKUPS_MAX)

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfo]:
        """At least one address. Raises UnknownNameError, also when `close` comes in between."""
        if addresses := as_number(host, port):
            return addresses
        loop = asyncio.get_running_loop()
        until, addresses = self._known.get((host, port), (0.0, []))
        if loop.time() < until:
            return addresses
        under_way = self._under_way.get((host, port))
        if under_way is None:
            under_way = self._under_way[host, port] = loop.create_task(self._learn(host, port))
            under_way.add_done_callback(partial(self._learnt, host, port))
        done, _ = await asyncio.wait([under_way], timeout=LOOKUP_S)
        if not done or under_way.cancelled() or under_way.exception() is not None or not under_way.result():
            raise UnknownNameError(host)
        return under_way.result()

    def close(self) -> None:
        for under_way in self._under_way.values():
            under_way.cancel()

    async def _learn(self, host: str, port: int) -> Sequence[AddrInfo]:
        async with self._turns:
            return await _on_a_thread(self._ask, host, port)

    def _learnt(self, host: str, port: int, done: asyncio.Task[Sequence[AddrInfo]]) -> None:
        del self._under_way[host, port]
        if done.cancelled() or done.exception() is not None:
            return
        self._known.pop((host, port), None)
        if len(self._known) >= KNOWN_MAX:
            del self._known[next(iter(self._known))]
        self._known[host, port] = (done.get_loop().time() + KNOWN_S, done.result())


def _on_a_thread(ask: LookUp, host: str, port: int) -> asyncio.Future[Sequence[AddrInfo]]:
    """A daemon thread: one that waits for a name server holds up no end of the process."""
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Sequence[AddrInfo]] = loop.create_future()

    def settle(addresses: Sequence[AddrInfo], error: Exception | None) -> None:
        if answered.done():
            return
        if error is None:
            answered.set_result(addresses)
        else:
            answered.set_exception(error)

    def run() -> None:
        addresses: Sequence[AddrInfo] = []
        failure: Exception | None = None
        try:
            addresses = ask(host, port)
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            failure = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, addresses, failure)

    threading.Thread(target=run, name="look-up", daemon=True).start()
    return answered
