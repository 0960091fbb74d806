"""A whole week is taken out of the log at once: what stays of its events is written down, and its partition dropped.

Each step is a short transaction, and any may be the last one for a while: whoever asks for the next, on whatever node,
goes on from there. A line that is written of an event is not past before the event is gone (the view `past`): up to the
drop nothing has happened, and with it all has. What still points to the events then is in no list: what was given up
goes in the same transaction, and what was delivered in steps after it. What comes or changes in the meantime says so in
`leaving`, by trigger, and the week stays.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from webhookd.store.postgres.connection import Session, Speaking
from webhookd.store.postgres.transaction import together
from webhookd.store.postgres.weeks import NotNowError, tried, week_begins
from webhookd.store.protocol.retention import Extent, Step, Tally
from webhookd.store.sql.retention import listed

EVENTS, DELIVERIES = 400, 500
"""Written down, or deleted, in one step."""
GIVEN_UP_MAX = 1_000
"""Deliveries that were given up, and are deleted while nobody else writes. With more of them a week goes in parts."""
_tallies = msgspec.json.Decoder(dict[str, Tally])
_encode = msgspec.json.Encoder().encode
_UNDER_WAY, _STAYS = Step("under way"), Step("stays")
Alone = Callable[[Speaking, int], Step]
"""What has to be done next with a week while nobody else writes."""


class Leaving:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def step(self, week: int, extent: Extent, now_ms: int) -> Step:
        """The next one of this week. Raises StoreUnavailableError."""
        part = partial(_part, week=week, extent=extent, now_ms=now_ms)
        found = await self._session.run(partial(together, write=part))
        if isinstance(found, Step):
            return found
        if found is _go:
            await self._session.run(
                lambda connection: connection.execute("leaving.stay_if_unwritten", (week,)).rowcount
            )
        try:
            return await tried(self._session, lambda connection: found(connection, week))
        except NotNowError:
            return Step("not now")


def _part(connection: Speaking, week: int, extent: Extent, now_ms: int) -> Step | Alone:
    row = connection.execute("leaving.one", (week,)).fetchone()
    if row is None:
        return _begin
    if row[0] == "going":
        return _write(connection, week, extent, now_ms, row)
    if row[0] == "gone":
        return _sweep(connection, week, row)
    return _let_be(connection, week)


def _begin(connection: Speaking, week: int) -> Step:
    if not _is_there(connection, "event", week):
        return Step("gone")  # with another, who has told of it
    connection.execute("leaving.begin", (week,))
    return _UNDER_WAY


def _let_be(connection: Speaking, week: int) -> Step:
    connection.execute("leaving.end", (week,))
    return _STAYS


def _write(connection: Speaking, week: int, extent: Extent, now_ms: int, row: Any) -> Step | Alone:
    """What stays of the next events; or there is none."""
    _, written_to, given_up, _, text = row
    given = {"week": week, "after": written_to, "events": EVENTS, "finished_before": extent.finished_before_ms}
    part = connection.execute("leaving.part", given).fetchall()
    if not part:
        return _go
    tallies = _tallies.decode(text)
    for _, provider, size, deliveries, attempts, its_given_up, stays in part:
        given_up += its_given_up
        if stays or given_up > GIVEN_UP_MAX:
            return _let_be(connection, week)
        tallies.setdefault(provider, Tally()).add(Tally(1, deliveries, attempts, size))
    keys = [each[0] for each in part]
    connection.execute("retention.remember", {**listed(keys), "now": now_ms})
    noted = {"week": week, "to": keys[-1], "given_up": given_up, "tallies": _encode(tallies).decode()}
    connection.execute("leaving.note", noted)
    return _UNDER_WAY


def _go(connection: Speaking, week: int) -> Step:
    state = next((row[0] for row in connection.execute("leaving.one", (week,))), None)
    if state != "going":
        return _UNDER_WAY  # another has been here
    if connection.execute("leaving.is_replayed", (week,)).fetchone()[0]:
        return _let_be(connection, week)
    connection.execute("leaving.take_attempts_given_up", (week,))
    connection.execute("leaving.take_given_up", (week,))
    connection.execute("leaving.gone", (week, _dropped(connection, "event", week)))
    return _UNDER_WAY


def _drop_attempts(connection: Speaking, week: int) -> Step:
    connection.execute("leaving.freed", (week, _dropped(connection, "attempt", week)))
    return _UNDER_WAY


def _is_there(connection: Speaking, kind: str, week: int) -> bool:
    return bool(connection.execute("weeks.has", (kind, week)).fetchone()[0])


def _dropped(connection: Speaking, kind: str, week: int) -> int:
    return connection.execute("weeks.drop", (kind, week)).fetchone()[0] or 0


def _sweep(connection: Speaking, week: int, row: Any) -> Step | Alone:
    """Of what the events have left behind."""
    _, swept_to, _, freed, text = row
    if _is_there(connection, "attempt", week):
        return _drop_attempts
    given = {"week": week, "after": swept_to, "deliveries": DELIVERIES}
    left_to = connection.execute("leaving.left_to", given).fetchone()[0]
    given["to"] = week_begins(week + 1) - 1 if left_to is None else left_to
    for statement in ("hold", "drop_left_attempts", "drop_left_deliveries", "drop_left_conflicts"):
        connection.execute(f"leaving.{statement}", given)
    if left_to is not None:
        connection.execute("leaving.swept", (week, left_to))
        return _UNDER_WAY
    connection.execute("leaving.end", (week,))
    return Step("gone", _tallies.decode(text), freed)
