"""What the sender of a hook is told, and what is counted, said and remembered of it."""

from collections.abc import Mapping
from itertools import cycle
from typing import Protocol

from webhookd.clock import Clock
from webhookd.core.event import Appended, Hook
from webhookd.core.problem import PROBLEM_JSON, problem_body
from webhookd.providers.provider import Refused
from webhookd.receive.answer import Answer, problem
from webhookd.receive.bad_signatures import BadSignatures
from webhookd.receive.complaints import Complaints
from webhookd.receive.intake import Source
from webhookd.receive.refusals import Refusals, Request

UNAVAILABLE_RETRY_S = 5
OVERLOADED_RETRY_S = range(1, 6)
"""In turn: who were refused together do not come back together."""
OVERLOADED, GAVE_UP, TOO_MANY = "overloaded", "gave_up", "too_many_bad_signatures"
_CROWDED = "More comes in than can be taken; please send it again."
_CROWDED_BODY = problem_body(503, _CROWDED)


class Meter(Protocol):
    """What the receiver counts."""

    def hook(self, source: str, result: str, seconds: float) -> None: ...

    def bad_signature(self, source: str) -> None: ...

    def conflict(self, source: str) -> None: ...


class Reason(Exception):  # noqa: N818 - a reason to refuse, not an error of ours
    """Why a hook is refused, as the sender is told it, and a word for the metrics."""

    def __init__(
        self,
        status: int,
        word: str,
        detail: str,
        *,
        close: bool = False,
        headers: Mapping[str, str] | None = None,
        hook: Hook | None = None,
    ) -> None:
        """`hook` is what was judged, where it came to that."""
        super().__init__(word)
        self.word = word
        self.hook = hook
        self.response = problem(status, detail, close=close, headers=headers)


class Replies:
    def __init__(self, clock: Clock, meter: Meter) -> None:
        self.heard: dict[str, int] = {}
        """When each source brought its last event since the start, Unix milliseconds."""
        self.refusals = Refusals(clock)
        self._clock = clock
        self._meter = meter
        self._bad_signatures = BadSignatures()
        self._complaints = Complaints()
        self._retry_s = cycle(OVERLOADED_RETRY_S)

    def acknowledged(self, request: Request, source: Source, hook: Hook, appended: Appended) -> tuple[Answer, str]:
        """What is said once the log has it. Raises Reason."""
        if appended.status == "forged":
            self._complaints.forged(source.name, appended.event_id, self._clock.monotonic())
            raise self.refusal(request, source.name, Refused("forged"), hook)
        if appended.conflict:
            self._meter.conflict(source.name)
            self._complaints.odd(source.name, "known id, other body", appended.event_id, self._clock.monotonic())
        if appended.status == "quarantined":
            self._complaints.odd(source.name, "quarantined", appended.event_id, self._clock.monotonic())
        if appended.status != "duplicate":
            self.heard[source.name] = hook.received_at
        answer = f'{{"status":"{appended.status}","event_id":"{appended.event_id}"}}'  # both are our own plain words
        return Answer(200, answer.encode()), appended.status

    def refusal(self, request: Request, source: str, refused: Refused, hook: Hook) -> Reason:
        self._meter.bad_signature(source)
        if self._bad_signatures.too_many(request.remote or "", self._clock.monotonic()):
            detail = "Too many bad signatures from your address."
            return Reason(429, TOO_MANY, detail, close=True, headers={"Retry-After": "30"})
        # One and the same answer for all: it must not tell a forger what was wrong.
        detail = "The signature is missing, wrong, or outside its time window."
        return Reason(401, refused.reason, detail, hook=hook)

    def refused(self, request: Request, source: Source, now_s: float, reason: Reason) -> tuple[Answer, str]:
        if self._is_noted(source.name, reason.word, now_s):
            provider = source.provider if reason.hook is not None else None
            self.refusals.note(request, source.name, reason.word, reason.response.status, reason.hook, provider)
        return reason.response, reason.word

    def _is_noted(self, source: str, word: str, now_s: float) -> bool:
        """Of those of whom there may be very many at a time not each: that costs more than they may."""
        is_told = self._complaints.refused(source, word, now_s)
        if word == TOO_MANY:
            return False  # the first ones have been noted
        return is_told or word not in (OVERLOADED, GAVE_UP)

    def overloaded(self) -> Reason:
        return unavailable(OVERLOADED, _CROWDED, next(self._retry_s))

    def overloaded_at_once(self, request: Request, source: Source, now_s: float) -> Answer:
        """The same, at less cost. It has come whole, so that its connection may stay."""
        if self._is_noted(source.name, OVERLOADED, now_s):
            self.refusals.note(request, source.name, OVERLOADED, 503)
        return Answer(503, _CROWDED_BODY, PROBLEM_JSON, headers=f"Retry-After: {next(self._retry_s)}\r\n")


def unavailable(word: str, detail: str, retry_s: int = UNAVAILABLE_RETRY_S) -> Reason:
    # Closed, so that the body of a refused hook need not be read.
    return Reason(503, word, detail, close=True, headers={"Retry-After": str(retry_s)})


def cannot_store() -> Reason:
    return unavailable("store_unavailable", "This cannot be stored now; please send it again.")
