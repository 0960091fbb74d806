"""A store and the model of one, told the same things in any order; what can happen to a store by itself is here.

Hypothesis makes the stories. After each step the two must answer alike, and at the end the store must be sound.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.making import NOW_MS, spec
from tests.store.agreement import agree, agree_in_detail
from tests.store.model import Model
from tests.store.model_replays import Replays
from tests.store.sayings import HOOKS, Hook
from tests.store.site import Site, Store
from webhookd.core.delivery import DeliveryKey, Due
from webhookd.core.endpoint import EndpointSpec
from webhookd.core.event import Event
from webhookd.core.identifier import KeyMint
from webhookd.store.protocol.log import LATEST_MS, Stretch

T = TypeVar("T")
MINUTE_MS, DAY_MS = 60_000, 86_400_000


class Machine(RuleBasedStateMachine):
    """`counted` is of all stories."""

    def __init__(self, site: Site, counted: Counter[str]) -> None:
        super().__init__()
        self.site, self._counted = site, counted
        self.model = Model()
        self.replays = Replays(self.model)
        self.now_ms = NOW_MS
        self.mint = KeyMint()
        self.in_hand: dict[DeliveryKey, Due] = {}
        """Attempts under way: the memory of the process, which ends with it."""
        self.announced: list[tuple[DeliveryKey, int]] = []
        self.payments_told: list[tuple[str, str]] = []
        self._is_sound = True
        self._runner = asyncio.Runner()
        self.store = self._runner.run(self._live(site.open()))
        self.adopt([spec("shop", ordering="payment"), spec("till")])

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        self._is_sound = False
        return self._runner.run(work)

    def adopt(self, specs: Sequence[EndpointSpec]) -> None:
        """The configuration is read."""
        kept = [each.spec for each in self.model.endpoints.of_the_api() if each.spec is not None]
        adopted = self.do(self.store.adopt(specs, self.now_ms, kept))
        self.model.endpoints.adopt(specs, {each.spec.name: each.number for each in adopted}, self.now_ms)
        stand = [(each.number, each.spec, each.state, each.why, each.managed_by, each.health) for each in adopted]
        assert stand == [
            (each.number, each.spec, each.state, each.why, each.managed_by, each.health)
            for each in self.model.endpoints
            if each.is_in_service
        ]

    def received(self, hooks: Sequence[Hook]) -> list[Event]:
        return [hook.received(self.mint.next(self.now_ms), self.now_ms) for hook in hooks]

    # --- What happens to a store by itself

    @rule(ms=st.sampled_from((1, MINUTE_MS, DAY_MS)))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(by_ms=st.sampled_from((-DAY_MS, -MINUTE_MS, MINUTE_MS, DAY_MS)))
    def the_clock_is_set(self, by_ms: int) -> None:
        """And what waits is moved along, as the dispatcher asks for it."""
        before, self.now_ms = self.now_ms, self.now_ms + by_ms
        stretch = (before + 1, before + by_ms - 1) if by_ms > 0 else (self.now_ms + 1, LATEST_MS)

        async def retime() -> None:
            for each in self.model.endpoints:
                left: Stretch | None = stretch
                while left is not None:
                    left = await self.store.retime(each.number, left, by_ms, self.now_ms)

        self.do(retime())
        for each in self.model.endpoints:
            self.model.retime(each.number, stretch, by_ms, self.now_ms)

    @rule(
        how=st.sampled_from(("stopped", "killed", "killed before hooks are committed")),
        hooks=st.lists(HOOKS, max_size=3),
    )
    def the_process_ends_and_is_started(self, how: str, hooks: list[Hook]) -> None:
        """Of hooks that nobody was answered nothing is there: they had only been queued."""

        async def end() -> Store:
            if how == "stopped":
                await self.store.close()
                return await self._live(self.site.open())
            unanswered = [self.store.append(event) for event in self.received(hooks)] if how != "killed" else []
            self._counted["kills"] += 1
            store = await self._live(self.site.kill(self.store))
            await asyncio.gather(*unanswered, return_exceptions=True)
            return store

        self.store = self.do(end())
        self.in_hand.clear()

    async def _live(self, opening: Coroutine[Any, Any, Store]) -> Store:
        store = await opening
        store.announce(lambda owed, _complete: self.announced.extend((due.key, due.due_at) for due in owed))
        store.watch_payments(lambda *payment: self.payments_told.append(payment))
        return store

    # --- What must be so

    @invariant()
    def the_store_answers_as_the_model_does(self) -> None:
        self.do(agree(self.store, self.model, self.now_ms))
        self._is_sound = True
        self._counted["steps"] += 1

    def check_invariants(self, settings: Any, output: Any, runtimes: Any) -> None:
        """A story tells what happened, and not after each step that all was well."""
        super().check_invariants(settings, lambda _line: None, runtimes)

    def teardown(self) -> None:
        try:
            if self._is_sound:
                self.do(agree_in_detail(self.store, self.model))
                assert self.do(self.site.findings()) == []
        finally:
            self.do(self.store.close())
            self._runner.close()
