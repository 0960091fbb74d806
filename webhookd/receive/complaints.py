"""Tells the operator of refused and odd hooks: a wrong secret is found in a minute, and no flood fills the log."""

import structlog

SILENCE_S = 60.0
_log = structlog.get_logger("webhookd.receive")


class Complaints:
    """One line for each source and reason in SILENCE_S seconds, with how many hooks it stands for."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def refused(self, source: str, reason: str, now_s: float) -> bool:
        """Whether it was told now. `source` and `reason` are our own words, so there are few of them."""
        if (hooks := self._due(source, reason, now_s)) > 0:
            _log.warning("hooks_refused", source=source, reason=reason, hooks=hooks)
        return hooks > 0

    def odd(self, source: str, what: str, event_id: str, now_s: float) -> None:
        """An authentic hook that somebody should look at."""
        if (hooks := self._due(source, what, now_s)) > 0:
            _log.warning("hooks_odd", source=source, what=what, last_event_id=event_id, hooks=hooks)

    def forged(self, source: str, event_id: str, now_s: float) -> None:
        """Somebody has a genuine signature of this event and sends another body with it."""
        if (hooks := self._due(source, "forgery", now_s)) > 0:
            _log.error("hooks_forged", source=source, genuine_event_id=event_id, hooks=hooks)

    def _due(self, source: str, reason: str, now_s: float) -> int:
        """How many hooks to speak of now; 0 while it is too early to speak again."""
        at, unsaid = self._last.get((source, reason), (now_s - SILENCE_S, 0))
        if now_s - at < SILENCE_S:
            self._last[source, reason] = (at, unsaid + 1)
            return 0
        self._last[source, reason] = (now_s, 0)
        return unsaid + 1
