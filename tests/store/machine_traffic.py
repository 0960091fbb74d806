"""What comes in and goes out: providers send hooks, merchants answer attempts, and both are told more than once."""

import asyncio
import hashlib
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, consumes, initialize, multiple, rule

from tests.store.agreement import NEVER_MS, agree_on_due
from tests.store.machine import MINUTE_MS, Machine
from tests.store.sayings import HOOKS, Hook
from webhookd.core.breaker import Health
from webhookd.core.delivery import PRIORITIES, Aftermath, DeliveryState, Due, Outcome, Settlement
from webhookd.core.event import OPERATIONAL, Event
from webhookd.core.identifier import event_id
from webhookd.store.protocol.log import LATEST_MS

ANSWERS: dict[str, tuple[int | None, str | None, DeliveryState]] = {
    "it is taken": (200, None, "delivered"),
    "it fails": (500, "status", "pending"),
    "it fails for the last time": (500, "status", "dead"),
    "no answer, for the last time": (None, "timeout", "dead"),
    "410 Gone": (410, "status", "pending"),
}
"""Status, error, and what the delivery is then."""


class Traffic(Machine):
    event = Bundle("event")
    attempt = Bundle("attempt")
    settlement = Bundle("settlement")

    @initialize(target=event, hooks=st.lists(HOOKS, min_size=4, max_size=12))
    def providers_have_sent(self, hooks: list[Hook]) -> MultipleResults[Event]:
        return multiple(*self._send(hooks))

    @rule(target=event, hooks=st.lists(HOOKS, min_size=1, max_size=8))
    def providers_send_at_once(self, hooks: list[Hook]) -> MultipleResults[Event]:
        return multiple(*self._send(hooks))

    def _send(self, hooks: list[Hook]) -> list[Event]:
        """In one batch: all are submitted before the first is committed."""
        events = self.received(hooks)
        before = set(self.model.deliveries)

        async def send() -> list[object]:
            self.announced.clear()
            self.payments_told.clear()
            return list(await asyncio.gather(*(self.store.append(event) for event in events)))

        assert self.do(send()) == self.model.append(events)
        new = [each for key, each in self.model.deliveries.items() if key not in before and not each.is_held]
        assert sorted(self.announced) == sorted((each.key, each.due_at) for each in new)
        spoken_of = [(event.provider, event.payment_id) for event in events if event.payment_id is not None]
        assert set(spoken_of) == set(self.payments_told)
        return events

    @rule(
        target=attempt,
        endpoint=st.sampled_from(("shop", "shop", "till", "books")),
        room=st.integers(1, 3),
        bytes_max=st.sampled_from((1, 300, NEVER_MS)),
        wait_ms_max=st.sampled_from((LATEST_MS, MINUTE_MS)),
    )
    def attempts_begin(self, endpoint: str, room: int, bytes_max: int, wait_ms_max: int) -> MultipleResults[Due]:
        due = self._due(endpoint, room, bytes_max, wait_ms_max)
        self.in_hand |= {each.key: each for each in due}
        return multiple(*due)

    def _due(self, endpoint: str, room: int, bytes_max: int, wait_ms_max: int) -> Sequence[Due]:
        """What is in hand already is passed over."""
        standing = self.model.endpoints.by_name.get(endpoint)
        if standing is None:
            return ()
        known = [key.event for key in self.in_hand if key.endpoint == standing.number]
        asked = (self.now_ms, known, dict.fromkeys(PRIORITIES, room), bytes_max, wait_ms_max)
        return self.do(agree_on_due(self.store, self.model, standing.number, *asked))

    @rule(
        endpoint=st.sampled_from(("shop", "shop", "till", "books")),
        answers=st.lists(st.sampled_from(sorted(ANSWERS)), min_size=1, max_size=6),
    )
    def a_merchant_answers_what_is_due(self, endpoint: str, answers: list[str]) -> None:
        """All in one batch."""
        due = self._due(endpoint, len(answers), NEVER_MS, LATEST_MS)
        settlements = [self._settlement(each, answer) for each, answer in zip(due, answers, strict=False)]

        async def settle() -> None:
            await asyncio.gather(*map(self.store.settle, settlements))

        self.do(settle())
        for each in settlements:
            self.model.settle(each)

    @rule(target=settlement, attempt=consumes(attempt), answer=st.sampled_from(sorted(ANSWERS)))
    def the_merchant_answers(self, attempt: Due, answer: str) -> MultipleResults[Settlement]:
        return self._settle(attempt, self._settlement(attempt, answer))

    @rule(target=settlement, attempt=consumes(attempt), for_good=st.booleans())
    def the_merchant_fails_and_is_let_alone(self, attempt: Due, for_good: bool) -> MultipleResults[Settlement]:
        """What the attempt makes of its endpoint is stored with it."""
        health = Health("open", self.now_ms + MINUTE_MS, 1, self.now_ms)
        notices = (self._notice("webhookd.endpoint.disabled"),) if for_good else ()
        settlement = self._settlement(attempt, "it fails", Aftermath(health, for_good, notices))
        return self._settle(attempt, settlement)

    @rule(settlement=settlement)
    def an_answer_is_recorded_once_more(self, settlement: Settlement) -> None:
        """Nobody had heard that it was."""
        self.do(self.store.settle(settlement))
        self.model.settle(settlement)

    @rule(
        target=event,
        hooks=st.lists(HOOKS, min_size=1, max_size=4),
        attempt=consumes(attempt),
        answer=st.sampled_from(sorted(ANSWERS)),
        is_cancelled_too=st.booleans(),
    )
    def all_of_it_happens_at_once(
        self, hooks: list[Hook], attempt: Due, answer: str, is_cancelled_too: bool
    ) -> MultipleResults[Event]:
        """In one batch: hooks, an answer, a cancellation of the same delivery, and the same hooks again."""
        if not self._ends(attempt):
            return multiple()
        first, again, settlement = self.received(hooks), self.received(hooks), self._settlement(attempt, answer)

        async def happen() -> list[object]:
            writes = [*map(self.store.append, first), self.store.settle(settlement)]
            if is_cancelled_too:
                writes.append(self.store.cancels.cancel(attempt.key, self.now_ms))
            writes += map(self.store.append, again)
            return list(await asyncio.gather(*writes, return_exceptions=True))

        answers = self.do(happen())
        appended = self.model.append(first)
        self.model.settle(settlement)
        if is_cancelled_too:
            before = self.model.cancel(attempt.key, self.now_ms)
            refusal = answers.pop(len(first) + 1)
            assert (refusal is None) == (before == "pending"), refusal
        appended += self.model.append(again)
        answers.pop(len(first))
        assert answers == appended
        return multiple(*first)

    def _settle(self, attempt: Due, settlement: Settlement) -> MultipleResults[Settlement]:
        if not self._ends(attempt):
            return multiple()
        self.do(self.store.settle(settlement))
        self.model.settle(settlement)
        return multiple(settlement)

    def _ends(self, attempt: Due) -> bool:
        """Whether anybody knows of it: the process may have ended since it began."""
        if self.in_hand.get(attempt.key) is not attempt:
            return False
        del self.in_hand[attempt.key]
        return True

    def _settlement(self, attempt: Due, answer: str, aftermath: Aftermath | None = None) -> Settlement:
        status, error, state = ANSWERS[answer]
        due_at = self.now_ms + MINUTE_MS if state == "pending" else None
        step = attempt.step + 1 if answer == "it fails" else attempt.step
        outcome = Outcome(self.now_ms, 5, status, error, answer.encode())
        number, is_replay = attempt.attempts + 1, attempt.replay
        return Settlement(attempt.key, number, outcome, is_replay, state, due_at, step, aftermath)

    def _notice(self, kind: str) -> Event:
        key = self.mint.next(self.now_ms)
        return Event(
            key=key,
            salt=1,
            source=OPERATIONAL,
            provider=OPERATIONAL,
            provider_event_id=event_id(key, 1),
            type=kind,
            state="accepted",
            received_at=self.now_ms,
            occurred_at=self.now_ms,
            payment_id=None,
            fact=None,
            alias=None,
            headers=[("content-type", "application/json")],
            sha256=hashlib.sha256(b"{}").digest(),
            size=2,
            body=b"{}",
        )
