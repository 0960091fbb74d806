"""What a selection means in the log: ids one by one, all else a stretch of the log at a time; no read is a long one."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from webhookd.core.identifier import UnknownIdError, key_floor, parse_delivery_id, parse_event_id
from webhookd.store.protocol.replays import Selection, SelectionError
from webhookd.store.sql.connection import Reader
from webhookd.store.sql.dead import narrowing

LOOKS = 2_000
"""Rows of the log, or of an index, that one read looks through."""
PAST = "cannot be sent: retention has taken it out of the log"
_KEY_MAX = 2**63 - 1
_encode = msgspec.json.Encoder().encode


class Pair(NamedTuple):
    """A delivery, or one that may come to be."""

    event: int
    endpoint: int


class Scope(NamedTuple):
    """A selection, and how much of it is left."""

    selection: Selection
    chosen: Sequence[Pair] | None
    """In order; None where nothing was asked for by id."""
    begin: Pair
    """All before it have been looked at."""
    last_event: int


class Page(NamedTuple):
    pairs: Sequence[Pair]
    """In order."""
    then: Pair
    """Where the next page begins."""
    over: bool
    """Whether there is no next page."""


class Search:
    """Only reads, and never for longer than patience.READ_SECONDS_MAX at a time."""

    def __init__(self, reader: Reader) -> None:
        self._read = reader.read

    async def scope(self, selection: Selection) -> Scope:
        """All of it, up to the log's present end. Raises SelectionError."""
        endpoint = await self._endpoint(selection.endpoint) if selection.endpoint is not None else None
        if selection.ids:
            pairs = {
                pair
                for place, public_id in enumerate(selection.ids)
                for pair in await self._named(f"ids[{place}]", public_id, endpoint)
            }
            chosen = sorted(pairs)
            return Scope(selection, chosen, chosen[0], chosen[-1].event)
        until = _KEY_MAX if selection.until_ms is None else key_floor(selection.until_ms)
        [(last_event,)] = await self._read("replay.last_event", (until,))
        return Scope(selection, None, Pair(key_floor(selection.since_ms or 0), 0), last_event or 0)

    async def page(self, scope: Scope, limit: int) -> Page:
        """The next of its deliveries, at most so many; none is no sign that it is over."""
        if scope.chosen is not None:
            first = bisect_left(scope.chosen, scope.begin)
            pairs = scope.chosen[first : first + limit]
            return _page(pairs, limit, scope.last_event, over=True)
        given: dict[str, Any] = {
            **msgspec.structs.asdict(scope.selection),
            "next_event": scope.begin.event,
            "next_endpoint": scope.begin.endpoint,
            "last_event": scope.last_event,
            "looks": LOOKS,
            "limit": limit,
        }
        if scope.selection.by_reason:
            return await self._given_up_for(scope, given)
        through, search = _how(scope.selection)
        [(until, looked)] = await self._read(f"replay.{through}", given)
        pairs = [Pair(*row) for row in await self._read(f"replay.{search}", {**given, "until": until})]
        return _page(pairs, limit, until or scope.last_event, over=looked < LOOKS)

    async def _given_up_for(self, scope: Scope, given: dict[str, Any]) -> Page:
        """Each reason is looked through in an index of its own, so that what is dead for others costs nothing."""
        selection = scope.selection
        meant = narrowing(endpoint=selection.endpoint, error=selection.error, status=selection.status)
        reasons = await self._read("dead.reasons", meant)
        looks = max(1, min(LOOKS, given["limit"]) // max(1, len(reasons)))
        given = {**given, "reasons": _encode(reasons).decode(), "looks": looks}
        [(until, cut_short)] = await self._read("dead.until", given)
        pairs = [Pair(*row) for row in await self._read("dead.between", {**given, "until": until})]
        return _page(pairs, given["limit"], until, over=not cut_short)

    async def _endpoint(self, name: str) -> int:
        rows = await self._read("replay.endpoint_named", (name,))
        if not rows:
            raise SelectionError("endpoint", f'there is no endpoint "{name[:64]}"')
        [(number, why)] = rows
        if why == "removed":
            raise SelectionError("endpoint", "was removed: nothing is delivered to it")
        return int(number)

    async def _named(self, place: str, public_id: str, endpoint: int | None) -> list[Pair]:
        """The deliveries that an id means."""
        try:
            if public_id.startswith("dlv_"):
                return [await self._delivery(place, Pair(*parse_delivery_id(public_id)), endpoint)]
            key, salt = parse_event_id(public_id)
        except UnknownIdError:
            raise SelectionError(place, "is neither an event's id, evt_…, nor a delivery's, dlv_…") from None
        await self._check_bytes(place, key, salt)
        if endpoint is not None:
            return [Pair(key, endpoint)]
        rows = await self._read("replay.owed_to", (key,)) or await self._read("replay.wanted_by", (key,))
        if not rows:
            raise SelectionError(place, "is owed to nobody, and nobody asks for it now: say to which endpoint")
        return [Pair(key, number) for (number,) in rows]

    async def _delivery(self, place: str, pair: Pair, endpoint: int | None) -> Pair:
        rows = await self._read("replay.delivery_in_service", pair)
        if not rows and await self._read("replay.has_body", (pair.event, None)) == [("past",)]:
            raise SelectionError(place, PAST)
        if not rows:
            raise SelectionError(place, "is no delivery of the log")
        if endpoint not in (None, pair.endpoint):
            raise SelectionError(place, "is a delivery to another endpoint")
        if rows == [(0,)]:
            raise SelectionError(place, "is a delivery to an endpoint that was removed")
        await self._check_bytes(place, pair.event, None)
        return pair

    async def _check_bytes(self, place: str, key: int, salt: int | None) -> None:
        rows = await self._read("replay.has_body", (key, salt))
        if not rows:
            raise SelectionError(place, "is no event of the log")
        if rows == [("past",)]:
            raise SelectionError(place, PAST)
        if rows == [("bodiless",)]:
            raise SelectionError(place, "cannot be sent: its bytes are no longer kept")


def _how(selection: Selection) -> tuple[str, str]:
    """The queries that look through the log, or through an index where it holds all that is meant."""
    if selection.state == "unrouted":
        return "unrouted_until", "from_unrouted"
    if selection.state in ("dead", "cancelled"):
        return "given_up_until", "from_given_up"
    if selection.state is None and selection.endpoint is not None:
        return "log_until", "from_wanted"
    return "log_until", "from_log"


def _page(pairs: Sequence[Pair], limit: int, until: int, *, over: bool) -> Page:
    """`over`: whether nothing is left beyond `until`."""
    if len(pairs) == limit:
        return Page(pairs, Pair(pairs[-1].event, pairs[-1].endpoint + 1), over=False)
    return Page(pairs, Pair(until + 1, 0), over)
