"""From a name to addresses. Threads of our own, since a merchant's name server may take its time.

asyncio and uvloop look names up on a handful of threads that all names share (libuv lets two of its four do that), so
that two merchants whose name servers say nothing would keep the names of all others waiting. Here each name has one
thread at most, whoever waits for it, and there may be LOOKUPS_MAX of them.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any

from webhookd.aside import aside

AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]
"""As socket.getaddrinfo has it: family, kind, protocol, canonical name, address."""
LookUp = Callable[[str, int], Sequence[AddrInfo]]
LOOKUP_S = 5.0
LOOKUPS_MAX = 32
KNOWN_S = 30.0
STALE_S = 600.0
"""How old an answer may be where no newer one is to be had."""
LATE_S = 0.5
"""How long a newer answer is waited for where there is an old one: less than the shortest of usual timeouts."""
KNOWN_MAX = 1024
ADDRESSES_PER_FAMILY_MAX = 16
"""Of one answer."""


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
    """Remembers what a name led to for KNOWN_S, whatever the port; a failure not at all, for attempts have pauses of
    their own. While a name server fails, or is late, what it said last is good for STALE_S: the guard judges it again.
    """

    def __init__(self, ask: LookUp = look_up) -> None:
        self._ask = ask
        self._known: dict[str, tuple[float, Sequence[AddrInfo]]] = {}
        """When it was learnt, by the loop's clock, and what; the oldest first."""
        self._under_way: dict[str, asyncio.Task[Sequence[AddrInfo]]] = {}
        self._turns = asyncio.Semaphore(LOOKUPS_MAX)

    async def resolve(self, host: str, port: int) -> Sequence[AddrInfo]:
        """At least one address. Raises UnknownNameError, also when `close` comes in between."""
        if addresses := as_number(host, port):
            return addresses
        return [_at_port(each, port) for each in await self._addresses(host, port)]

    def close(self) -> None:
        for under_way in self._under_way.values():
            under_way.cancel()

    async def _addresses(self, host: str, port: int) -> Sequence[AddrInfo]:
        """At whatever port. Raises UnknownNameError."""
        loop = asyncio.get_running_loop()
        learnt_at, addresses = self._known.get(host, (-inf, ()))
        age_s = loop.time() - learnt_at
        if age_s < KNOWN_S:
            return addresses
        under_way = self._under_way.get(host)
        if under_way is None:
            under_way = self._under_way[host] = loop.create_task(self._learn(host, port))
            under_way.add_done_callback(partial(self._learnt, host))
        is_stale = age_s < STALE_S
        done, _ = await asyncio.wait([under_way], timeout=LATE_S if is_stale else LOOKUP_S)
        if done and not under_way.cancelled() and under_way.exception() is None and under_way.result():
            return under_way.result()
        if not is_stale or under_way.cancelled():
            raise UnknownNameError(host)
        return addresses

    async def _learn(self, host: str, port: int) -> Sequence[AddrInfo]:
        async with self._turns:
            return await aside(lambda: _first_of_each_family(self._ask(host, port)))

    def _learnt(self, host: str, done: asyncio.Task[Sequence[AddrInfo]]) -> None:
        del self._under_way[host]
        if done.cancelled() or done.exception() is not None or not done.result():
            return
        now = done.get_loop().time()
        self._known.pop(host, None)
        self._known[host] = (now, done.result())
        while len(self._known) > KNOWN_MAX or now - next(iter(self._known.values()))[0] > STALE_S:
            del self._known[next(iter(self._known))]


def _at_port(found: AddrInfo, port: int) -> AddrInfo:
    family, kind, protocol, name, address = found
    return family, kind, protocol, name, (address[0], port, *address[2:])


def _first_of_each_family(addresses: Sequence[AddrInfo]) -> list[AddrInfo]:
    """A name may have thousands, and each is judged whenever it is dialled."""
    seen = Counter[int]()
    kept = []
    for each in addresses:
        seen[each[0]] += 1
        if seen[each[0]] <= ADDRESSES_PER_FAMILY_MAX:
            kept.append(each)
    return kept
