"""What a client asks to have replayed, read field by field, with every mistake at once."""

from collections.abc import Mapping, Sequence
from heapq import nsmallest
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from webhookd.admin.door.asked import UNKNOWN_TOLD_MAX, names
from webhookd.admin.door.reasons import Mistake, MistakesError
from webhookd.admin.door.texts import STATUS_MAX, STATUS_MIN, TEXT_CHARS_MAX, Glob, Instant, Status, Text
from webhookd.core.delivery import FAILURE_WORDS, FailureWord
from webhookd.core.endpoint import check_pattern
from webhookd.store.protocol.replays import SELECTED_STATES, SelectedState, Selection

IDS_MAX = 1_000
PER_S_MIN, PER_S_MAX = 0.01, 10_000
_REASON = ("error", "status")
_NARROWING = ("source", "type", "state", "since", "until", *_REASON)


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """By id, or by all that the others say; null is not given."""

    ids: Annotated[Sequence[str], Meta(min_length=1, max_length=IDS_MAX)] | None = None
    """Of events and deliveries."""
    endpoint: Text | None = None
    source: Text | None = None
    type: Glob | None = None
    state: SelectedState | None = None
    error: FailureWord | None = None
    """With `state` dead: what the last attempt found, as `GET /dead` counts it."""
    status: Status | None = None
    """The same: what it was answered."""
    since: Instant | None = None
    until: Instant | None = None
    rate: Annotated[float, Meta(ge=PER_S_MIN, le=PER_S_MAX)] | None = None
    """Deliveries made due in a second."""
    dry_run: bool | None = None
    """Count, and change nothing."""


_FIELDS = names(ReplayBody)


class ReplayRequest(NamedTuple):
    selection: Selection
    per_s: float | None
    dry_run: bool


def read_request(body: Mapping[str, Any]) -> ReplayRequest:
    """A field that is null is not given. Raises MistakesError."""
    return _Reader({field: value for field, value in body.items() if value is not None}).read()


class _Reader:
    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._mistakes: list[Mistake] = []

    def read(self) -> ReplayRequest:
        for field in nsmallest(UNKNOWN_TOLD_MAX, self._given.keys() - {*_FIELDS}):
            self._mistake(field[:64], f"is not known; known are {', '.join(_FIELDS)}")
        selection = Selection(
            ids=self._ids(),
            endpoint=self._text("endpoint"),
            source=self._text("source"),
            type=self._glob("type"),
            state=self._state(),
            since_ms=self._time("since"),
            until_ms=self._time("until"),
            error=self._error(),
            status=self._status(),
        )
        since_ms, until_ms = selection.since_ms, selection.until_ms
        if since_ms is not None and until_ms is not None and since_ms > until_ms:
            self._mistake("since", "must not be after until")
        request = ReplayRequest(selection, self._rate(), self._flag("dry_run"))
        if "ids" in self._given:
            for field in (field for field in _NARROWING if field in self._given):
                self._mistake(field, "cannot be given with ids: they name what is meant")
        elif self._given.get("state") != "dead" and any(field in self._given for field in _REASON):
            for field in (field for field in _REASON if field in self._given):
                self._mistake(field, "is why a delivery was given up: it goes with state dead, and no other")
        elif not self._mistakes and selection == Selection():
            self._mistake("ids", "or one of endpoint, source, type, state, since and until must say what to replay")
        if self._mistakes:
            raise MistakesError(self._mistakes)
        return request

    def _mistake(self, field: str, reason: str) -> None:
        self._mistakes.append(Mistake(field, reason))

    def _ids(self) -> tuple[str, ...]:
        ids = self._given.get("ids", ())
        if "ids" in self._given and not (isinstance(ids, list) and 1 <= len(ids) <= IDS_MAX):
            self._mistake("ids", f"must be a list of 1 to {IDS_MAX} ids")
            return ()
        for place, each in enumerate(ids):
            if not isinstance(each, str):
                self._mistake(f"ids[{place}]", "must be a string")
        return tuple(ids)

    def _text(self, field: str) -> str | None:
        text = self._given.get(field)
        if text is not None and not (isinstance(text, str) and 1 <= len(text) <= TEXT_CHARS_MAX):
            self._mistake(field, f"must be a string of 1 to {TEXT_CHARS_MAX} characters")
            return None
        return text

    def _glob(self, field: str) -> str | None:
        text = self._text(field)
        try:
            if text is not None:
                check_pattern(text)
        except ValueError as error:
            self._mistake(field, str(error))
        return text

    def _state(self) -> SelectedState | None:
        state = self._given.get("state")
        for known in SELECTED_STATES:
            if state == known:
                return known
        if state == "quarantined":
            self._mistake("state", "must not be quarantined: such events are replayed one by one, by id")
        elif state is not None:
            self._mistake("state", f"must be one of {', '.join(SELECTED_STATES)}")
        return None

    def _error(self) -> str | None:
        error = self._given.get("error")
        if error is not None and error not in FAILURE_WORDS:
            self._mistake("error", f"must be one of {', '.join(FAILURE_WORDS)}")
            return None
        return error

    def _status(self) -> int | None:
        status = self._given.get("status")
        if status is not None and not (type(status) is int and STATUS_MIN <= status <= STATUS_MAX):
            self._mistake("status", f"must be a whole number from {STATUS_MIN} to {STATUS_MAX}")
            return None
        return status

    def _time(self, field: str) -> int | None:
        try:
            return int(Instant.read(str(self._given[field]))) if field in self._given else None
        except ValueError as error:
            self._mistake(field, str(error))
            return None

    def _rate(self) -> float | None:
        rate = self._given.get("rate")
        if rate is None:
            return None
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not PER_S_MIN <= rate <= PER_S_MAX:
            self._mistake("rate", f"must be a number of deliveries a second, {PER_S_MIN} to {PER_S_MAX}")
            return None
        return float(rate)

    def _flag(self, field: str) -> bool:
        value = self._given.get(field, False)
        if not isinstance(value, bool):
            self._mistake(field, "must be true or false")
        return value is True
