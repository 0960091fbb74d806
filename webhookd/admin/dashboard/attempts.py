"""A delivery's attempts as a page draws them: each with a bar as long as it took, and what came of it. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from webhookd.admin.dashboard.payload import shown
from webhookd.admin.views import Attempt, Delivery
from webhookd.core.story import Story, Waits
from webhookd.core.story_words import failure, words

ATTEMPTS_MAX = 50
"""Of a delivery; older ones are only counted."""
ANSWER_CHARS = 80
"""Of a merchant's answer, before it is opened."""
BAR = 100


class Tried(NamedTuple):
    number: int
    started_at: str
    duration_ms: int
    bar: int
    """From 1 to BAR: of the longest of its delivery."""
    status: int | None
    is_good: bool
    found: str
    """In words."""
    answer: str
    is_replay: bool


class Owed(NamedTuple):
    delivery: Delivery
    waits: Waits | None
    """What a pending one waits for."""
    waits_for: str
    """The same in words."""
    attempts: Sequence[Tried]
    """The newest first."""
    older: int


def owed(delivery: Delivery, story: Story | None) -> Owed:
    told = () if story is None else story.entries
    waits = next((each for each in told if isinstance(each, Waits) and each.delivery_id == delivery.id), None)
    waits_for = "" if waits is None else words(waits).removeprefix(f"{waits.endpoint}: ")
    history = delivery.history if isinstance(delivery.history, list) else []
    last = history[-ATTEMPTS_MAX:]
    longest = max((each.duration_ms for each in last), default=0) or 1
    attempts = [_tried(each, longest) for each in reversed(last)]
    return Owed(delivery, waits, waits_for, attempts, len(history) - len(last))


def _tried(attempt: Attempt, longest_ms: int) -> Tried:
    return Tried(
        number=attempt.number,
        started_at=attempt.started_at,
        duration_ms=attempt.duration_ms,
        bar=max(1, attempt.duration_ms * BAR // longest_ms),
        status=attempt.status,
        is_good=attempt.error is None,
        found="delivered" if attempt.error is None else failure(attempt.status, attempt.error),
        answer=answer_text(attempt.response),
        is_replay=attempt.replay,
    )


def answer_text(response: str) -> str:
    """What a merchant answered, as a page may show it."""
    return shown(response.encode(), pretty=False).text
