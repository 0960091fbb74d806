"""Gets evidence once and keeps it: in memory, on disk as well where it is public, for as long as its sender allows.

Anybody can make us ask: whoever sends a hook names the certificate it is to be checked with. So what we ask of others
is bounded (`bounds.py`), one request is made for all who wait for the same, and what failed is not tried again at once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec
import structlog

from webhookd.clock import Clock
from webhookd.evidence.bounds import Allowance, BusyError, Failures, Gate
from webhookd.evidence.fetcher import Answer, FetchError
from webhookd.evidence.shelf import FILES_MAX, Kept, Shelf
from webhookd.providers.provider import Request

LIFETIME_MIN_S, LIFETIME_MAX_S = 3_600, 7 * 86_400
"""How long what is on disk is kept, whatever its sender says; in between he decides."""
SECRET_LIFETIME_S, SECRET_MARGIN_S = 300, 60
"""How long a token is kept whose sender does not say, and how long before its end one is given up."""
IN_MEMORY_MAX = 64
"""Answers of either sort. Of the ones on disk it is FILES_MAX."""
FETCHES_MAX, FETCHES_WAITING_MAX = 4, 4
"""As many wait as are done by the time the first ones are given up, so that nobody waits longer than twice that."""
QUESTIONS_MAX, QUESTIONS_WAITING_MAX = 16, 16
"""Requests whose answer is never kept: one is made for every hook."""
UNKNOWN_BURST, UNKNOWN_EVERY_S = 10, 6.0
"""URLs of which nothing is kept yet: PayPal has a handful, a forger as many as he likes."""
FAILED_FOR_S, FAILURES_MAX = 30.0, 1024
_log = structlog.get_logger("webhookd.evidence")

_Key = tuple[str, tuple[tuple[str, str], ...], bytes | None]


class UnavailableError(Exception):
    """The evidence cannot be had now."""


class Keeper:
    def __init__(self, fetch: Callable[[Request], Awaitable[Answer]], clock: Clock, shelf: Shelf) -> None:
        """`fetch` raises FetchError."""
        self._fetch = fetch
        self._clock = clock
        self._shelf = shelf
        self._on_disk: OrderedDict[_Key, Kept] = OrderedDict()
        self._in_memory: OrderedDict[_Key, Kept] = OrderedDict()
        self._under_way: dict[_Key, asyncio.Task[bytes]] = {}
        self._failures = Failures(FAILED_FOR_S, FAILURES_MAX)
        self._unknown = Allowance(UNKNOWN_BURST, UNKNOWN_EVERY_S)
        self._fetches = Gate(FETCHES_MAX, FETCHES_WAITING_MAX)
        self._questions = Gate(QUESTIONS_MAX, QUESTIONS_WAITING_MAX)

    async def open(self) -> None:
        """Take in what an earlier process kept."""
        for kept in await asyncio.to_thread(lambda: list(self._shelf.all())):
            self._on_disk[kept.url, (), None] = kept

    def kept(self) -> list[tuple[str, bytes]]:
        """What is on disk, all of it public: URL and answer."""
        return [(each.url, each.body) for each in self._on_disk.values()]

    async def close(self) -> None:
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, request: Request) -> bytes:
        """The answer to the request, kept or new. Raises UnavailableError."""
        key = (request.url, request.headers, request.body)
        shelf = self._shelf_of(request)
        kept = shelf.get(key) if shelf is not None else None
        if shelf is not None and kept is not None and self._clock.now_ms() < kept.until_ms:
            shelf.move_to_end(key)
            return kept.body
        task = self._under_way.get(key)
        if task is None:
            if shelf is not None and self._failures.recent(key, self._clock.monotonic()):
                return self._stale(key)
            task = asyncio.create_task(self._get(request, key), name="evidence")
            self._under_way[key] = task
            task.add_done_callback(partial(self._done, key))
        # A sender that hangs up must not end the request that others wait for.
        return await asyncio.shield(task)

    def _done(self, key: _Key, task: asyncio.Task[bytes]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # has been told to whoever still waits; if nobody does, it is not an error of ours

    def _shelf_of(self, request: Request) -> OrderedDict[_Key, Kept] | None:
        if request.kept == "no":
            return None
        is_public = request.kept == "disk" and not request.headers and request.body is None
        return self._on_disk if is_public else self._in_memory

    async def _get(self, request: Request, key: _Key) -> bytes:
        shelf = self._shelf_of(request)
        try:
            if shelf is self._on_disk and key not in shelf:
                self._unknown.take(self._clock.monotonic())
            async with self._questions if shelf is None else self._fetches:
                answer = await self._fetch(request)
        except BusyError:
            if key not in self._on_disk:
                raise UnavailableError("too much is asked for") from None
            return self._stale(key)
        except FetchError as error:
            return self._failed(request, key, error)
        if shelf is not None:
            await self._keep(shelf, key, answer)
        return answer.body

    def _failed(self, request: Request, key: _Key, error: FetchError) -> bytes:
        if error.status == 401:
            self._forget_secrets_of(request.url)
        if request.kept != "no":
            self._failures.add(key, self._clock.monotonic())
            _log.warning("evidence_unavailable", url=request.url, why=str(error), has_old=key in self._on_disk)
        return self._stale(key)

    def _stale(self, key: _Key) -> bytes:
        """What was good once and may still be: what a certificate is worth is in itself. Never a token."""
        kept = self._on_disk.get(key)
        if kept is None:
            raise UnavailableError("it could not be fetched")
        return kept.body

    async def _keep(self, shelf: OrderedDict[_Key, Kept], key: _Key, answer: Answer) -> None:
        on_disk = shelf is self._on_disk
        lifetime_s = _lifetime_s(answer) if on_disk else _secret_lifetime_s(answer)
        kept = Kept(key[0], self._clock.now_ms() + lifetime_s * 1_000, answer.body)
        shelf[key] = kept
        shelf.move_to_end(key)
        dropped = shelf.popitem(last=False)[1] if len(shelf) > (FILES_MAX if on_disk else IN_MEMORY_MAX) else None
        if on_disk:
            await asyncio.to_thread(self._write, kept, dropped)

    def _write(self, kept: Kept, dropped: Kept | None) -> None:
        try:
            self._shelf.put(kept)
            if dropped is not None:
                self._shelf.remove(dropped.url)
        except OSError as error:  # it is in memory, which will do until the next start
            _log.warning("evidence_not_written", why=error.strerror)

    def _forget_secrets_of(self, url: str) -> None:
        """A 401: the token that we were given by this host is none any more."""
        host = url.split("/", 3)[2]
        for key in [key for key in self._in_memory if key[0].split("/", 3)[2] == host]:
            del self._in_memory[key]


def _lifetime_s(answer: Answer) -> int:
    return max(LIFETIME_MIN_S, min(answer.max_age_s or 0, LIFETIME_MAX_S))


def _secret_lifetime_s(answer: Answer) -> int:
    """A token says itself how long it is good for (`expires_in`, RFC 6749 5.1), whatever caches are told."""
    try:
        expires_in = msgspec.json.decode(answer.body).get("expires_in")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError):
        expires_in = None
    if type(expires_in) is not int:
        return SECRET_LIFETIME_S
    return max(0, min(expires_in, LIFETIME_MAX_S) - SECRET_MARGIN_S)
