"""Many waiters, one fsync.

Whatever has queued while the last batch was being committed forms the next batch: no timer, no tuning. A lone
write is committed at once; under load the batch grows until it hides the cost of the sync.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

Write = TypeVar("Write")
Result = object
COMMIT_WRITES_MAX = 128
COMMIT_S_MAX = 10.0
"""Nobody who can do without its end waits longer for a commit: a provider has given up on the answer by then."""


class _Waiting(NamedTuple, Generic[Write]):
    write: Write
    size: int
    patient: bool
    future: asyncio.Future[Result]


class GroupCommit(Generic[Write]):
    """`commit` takes a batch and gives each write's result or exception, in order; raising fails them all.

    The queue is bounded in writes and in bytes; at the bound `submit` raises StoreUnavailableError at once. After
    StoreBrokenError nothing is accepted any more: what the disk holds is unknown until a restart reads it.
    """

    def __init__(
        self, commit: Callable[[Sequence[Write]], Awaitable[Sequence[Result]]], *, queue_max: int, bytes_max: int
    ) -> None:
        self._commit = commit
        self._queue: deque[_Waiting[Write]] = deque()
        self._under_way: list[_Waiting[Write]] = []
        self._queue_max, self._bytes_max = queue_max, bytes_max
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = False
        self._closing = False
        self._broken: StoreBrokenError | None = None
        self._stalled = False
        self._task: asyncio.Task[None] | None = None

    @property
    def broken(self) -> StoreBrokenError | None:
        return self._broken

    @property
    def stalled(self) -> bool:
        """Whether a commit hangs: nothing is accepted until it has returned."""
        return self._stalled

    @property
    def queued(self) -> tuple[int, int]:
        """Writes that are in no commit yet, and the bytes of those and of the ones that are in one."""
        return len(self._queue), self._bytes

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="group-commit")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Commit what has queued, then stop."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    def submit(self, write: Write, size: int = 0, *, patient: bool = False) -> asyncio.Future[Result]:
        """A future of the write's result; it is set once the commit that holds the write is fsynced.

        If that takes too long it is set to StoreUnavailableError, and the write may be stored or not. One that is
        `patient` is told how it ended, however long that takes: such an error says that it is not stored.
        """
        if self._broken is not None:
            raise self._broken
        if self._closing:
            raise StoreUnavailableError("the store is closing")
        if self._stalled:
            raise StoreUnavailableError("the disk takes too long")
        if len(self._queue) >= self._queue_max or self._bytes + size > self._bytes_max:
            raise StoreUnavailableError("the commit queue is full")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(write, size, patient, future))
        self._bytes += size
        if self._idle:
            self._idle = False
            self._wake.set()
        return future

    async def _run(self) -> None:
        while True:
            while not self._queue:
                if self._closing:
                    return
                self._idle = True
                self._wake.clear()
                await self._wake.wait()
            self._under_way = [self._queue.popleft() for _ in range(min(len(self._queue), COMMIT_WRITES_MAX))]
            await self._commit_batch(self._under_way)

    async def _commit_batch(self, batch: list[_Waiting[Write]]) -> None:
        results: Sequence[Result]
        late = asyncio.get_running_loop().call_later(COMMIT_S_MAX, self._give_up, batch)
        try:
            results = await self._commit([each.write for each in batch])
        except Exception as error:  # noqa: BLE001 - every waiter must hear of it
            results = [error] * len(batch)
            if isinstance(error, StoreBrokenError):
                self._broken = error
                batch += self._queue
                results = [error] * len(batch)
                self._queue.clear()
        late.cancel()
        self._stalled = False
        for each, result in zip(batch, results, strict=True):
            self._bytes -= each.size
            if each.future.done():
                continue
            if isinstance(result, Exception):
                each.future.set_exception(result)
            else:
                each.future.set_result(result)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        """By a fault of its own, if not because it was to: nobody commits any more, and all who wait hear of it."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        self._broken = StoreBrokenError(f"nothing is committed any more: {type(error).__name__}")
        for each in (*self._under_way, *self._queue):
            if not each.future.done():
                each.future.set_exception(self._broken)
        self._queue.clear()

    def _give_up(self, batch: list[_Waiting[Write]]) -> None:
        """The disk hangs. What is being committed may yet be stored; what has only queued is dropped for good."""
        self._stalled = True
        self._bytes -= sum(each.size for each in self._queue)
        for each in (*(each for each in batch if not each.patient), *self._queue):
            if not each.future.done():
                each.future.set_exception(StoreUnavailableError("the disk takes too long"))
        self._queue.clear()
