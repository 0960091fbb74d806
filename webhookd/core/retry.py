"""When to try again: a table of waits, jitter drawn by the caller, and the merchant's own Retry-After."""

from datetime import UTC
from email.utils import parsedate_to_datetime

import msgspec

from webhookd.core.units import duration_ms

RETRY_AFTER_MS_MAX = 24 * 3_600_000
DEFAULT_SCHEDULE = ("0s", "5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "24h")


class RetryPolicy(msgspec.Struct, frozen=True):
    """`waits_ms[0]` is the wait before attempt 1, and so on; after the last attempt the delivery is dead.

    The default is the schedule that Standard Webhooks recommends, over three days.
    """

    waits_ms: tuple[int, ...] = tuple(duration_ms(text) for text in DEFAULT_SCHEDULE)
    jitter: float = 0.2
    """A wait is stretched or shortened by up to this share of itself."""

    @property
    def longest_ms(self) -> int:
        """The longest wait it ever makes: what is due later was scheduled by a clock that has been set back since."""
        return max(round(max(self.waits_ms) * (1 + self.jitter)), RETRY_AFTER_MS_MAX)

    def wait_ms(self, step: int, jitter: float, retry_after_ms: int | None = None) -> int | None:
        """Milliseconds to wait once `step` waits are used up; None when there are no more attempts.

        `jitter` lies between -1 and 1 and is drawn by the caller, once. A longer Retry-After wins, up to a day.
        """
        if step >= len(self.waits_ms):
            return None
        wait = round(self.waits_ms[step] * (1 + self.jitter * jitter))
        return max(wait, min(retry_after_ms or 0, RETRY_AFTER_MS_MAX))


def parse_retry_after(text: str, now_ms: int) -> int | None:
    """Milliseconds from a Retry-After header, which holds seconds or a date (RFC 9110, 10.2.3). Garbage is None."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(int(text.lstrip("0")[:9] or 0) * 1_000, RETRY_AFTER_MS_MAX)
    try:
        at = parsedate_to_datetime(text)
        # A date that names no zone is GMT (RFC 9110, 5.6.7), whatever the zone here.
        at_ms = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1_000
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0, min(round(at_ms) - now_ms, RETRY_AFTER_MS_MAX))
