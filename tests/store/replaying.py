"""A store with a past, for tests of replays."""

from typing import Any

from tests.making import NOW_MS, event
from tests.store.raw import read
from tests.store.site import Store
from webhookd.core.delivery import DeliveryKey, DeliveryState, Outcome, Settlement
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.event import Event
from webhookd.store.protocol.replays import Selection

LATER_MS = NOW_MS + 86_400_000
FAILED = Outcome(NOW_MS, 5, 500, "status")
ANY_LIMIT = 100


class Past:
    """A store with some endpoints, and what tests ask of it."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def adopt(self, *specs: EndpointSpec, at_ms: int = NOW_MS) -> list[int]:
        return [each.number for each in await self.store.adopt(specs, at_ms)]

    async def append(self, **fields: Any) -> Event:
        await self.store.append(made := event(**fields))
        return made

    async def settle(self, key: tuple[int, int], state: DeliveryState, number: int = 1, step: int = 2) -> None:
        due_at = NOW_MS + 60_000 if state == "pending" else None
        await self.store.settle(Settlement(DeliveryKey(*key), number, FAILED, False, state, due_at, step))

    async def replay(self, selection: Selection, limit: int = ANY_LIMIT, now_ms: int = LATER_MS) -> list[int]:
        """Begin one and carry it out; how many deliveries each step made due."""
        replays = self.store.replays
        begun = await replays.begin(selection, None, now_ms)
        steps = []
        while True:
            step = await replays.step(begun.number, limit, now_ms)
            steps.append(step.replayed)
            assert step.replayed <= limit
            if step.over:
                break
        done = await replays.get(begun.number)
        assert done is not None
        assert (done.state, done.replayed, done.ended_at) == ("done", sum(steps), now_ms)
        assert (done.total, done.total_is_exact) == (sum(steps), True), "it was counted before"
        return steps

    async def rows(self, columns: str = "event, endpoint, state") -> list[Any]:
        return await read(self.store, f"SELECT {columns} FROM delivery ORDER BY event, endpoint")

    async def due_again(self) -> set[tuple[int, int]]:
        """What is due because of a replay, and of nothing else."""
        return set(
            await read(
                self.store,
                "SELECT event, endpoint FROM delivery "
                f"WHERE state = 'pending' AND due_at = {LATER_MS} AND step = 1 AND replay = 1",
            )
        )
