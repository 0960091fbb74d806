"""What was promised, and every violation of it in the histories of a simulation: what was made, and what is on disk."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tests.dispatch.simulated_merchants import MINUTE, Made
from tests.dispatch.simulation import ALL_IN_FLIGHT, OPS, Simulation
from webhookd.core.delivery import DeliveryKey
from webhookd.core.event import OPERATIONAL
from webhookd.store.protocol.history import AttemptRow, DeliveryRow, Filter

Placed = tuple[int, Made]
"""An attempt, and its place among all."""


async def violations(simulation: Simulation) -> list[str]:
    """In words; each with the delivery or the endpoint it is about."""
    made = list(enumerate(simulation.made))
    found = [f"a fault of the dispatcher: {fault}" for fault in simulation.faults]
    if simulation.in_flight_max > ALL_IN_FLIGHT:
        found.append(f"{simulation.in_flight_max} under way in all")
    by_delivery = _grouped(made, lambda each: each.key)
    for row in (rows := await _rows(simulation)):
        key = DeliveryKey(row.event, row.endpoint)
        recorded = await simulation.store.attempts(*key)
        found += [f"{key.id}: {what}" for what in _of_delivery(simulation, row, by_delivery.get(key, ()), recorded)]
    for name, attempts in _grouped(made, lambda each: each.endpoint).items():
        found += [f"{name}: {what}" for what in _of_endpoint(simulation, name, attempts)]
    return [*found, *await _of_what_stands_at_the_end(simulation, rows), *await _of_what_was_told(simulation, rows)]


def _grouped(made: Sequence[Placed], by: Callable[[Made], Any]) -> Mapping[Any, list[Placed]]:
    groups: defaultdict[Any, list[Placed]] = defaultdict(list)
    for place, each in made:
        groups[by(each)].append((place, each))
    return groups


async def _rows(simulation: Simulation) -> list[DeliveryRow]:
    rows: list[DeliveryRow] = []
    narrowed = Filter()
    while page := (await simulation.store.deliveries(narrowed, 500)).rows:
        rows += page
        narrowed = Filter(before=(page[-1].event, page[-1].endpoint))
    return rows


# --- A delivery


def _of_delivery(
    simulation: Simulation, row: DeliveryRow, made: Sequence[Placed], recorded: Sequence[AttemptRow]
) -> list[str]:
    found = []
    if [each.number for each in recorded] != list(range(1, len(recorded) + 1)) or row.attempts != len(recorded):
        found.append(f"numbered {[each.number for each in recorded]}, {row.attempts} counted")
    kept = [_made_as(each, made) for each in recorded]
    if None in kept:
        found.append("an attempt is on record that nobody made")
    places = {each[0] for each in kept if each is not None}
    is_over = simulation.steady_ms - MINUTE
    lost = [each for place, each in made if place not in places and each.began_ms < is_over]
    ends_ms = [*simulation.crashes_ms, float("inf")]
    # It may have waited for the store for as long as that was unavailable.
    if any(each.ended_ms is not None and each.ended_ms < ends_ms[each.life] - 2 * MINUTE for each in lost):
        found.append("an attempt is not on record, and nothing has crashed soon after it")
    if any(after.life == before.life for before, after in pairwise(lost)):
        found.append("two attempts were lost by one crash")
    key = DeliveryKey(row.event, row.endpoint)
    found += _of_schedule(simulation, row, [each for each in kept if each is not None])
    found += _of_one_at_a_time(made)
    for at, cancelled in simulation.cancelled:
        again = min((place for place in simulation.replayed.get(key, ()) if place >= at), default=len(simulation.made))
        if cancelled == key and any(at <= place < again for place, _ in made):
            found.append("attempted although it was cancelled")
    return found


def _made_as(row: AttemptRow, made: Sequence[Placed]) -> Placed | None:
    told = (row.number, row.started_at, row.status, row.error)
    for place, each in reversed(made):  # of two in one millisecond the crash between them has cut the first
        if told == (each.number, each.started_at, each.answer.status, each.answer.error) and each.ended_ms is not None:
            return place, each
    return None


def _of_schedule(simulation: Simulation, row: DeliveryRow, kept: Sequence[Placed]) -> list[str]:
    """What is on record of it until somebody replays it."""
    found = []
    retry = simulation.specs[row.endpoint_name].retry
    replays = simulation.replayed.get(DeliveryKey(row.event, row.endpoint), ())
    failures = [place for place, each in kept if each.answer.status not in (200, 410)]
    if len(failures) > len(retry.waits_ms) * (1 + len(replays)):
        found.append(f"{len(failures)} failures, of {len(retry.waits_ms)} attempts")
    first = [each for place, each in kept if place < min(replays, default=len(simulation.made))]
    used_up = 0
    for before, after in pairwise(first):
        assert before.ended_at is not None
        used_up += before.answer.status != 410
        wait = retry.waits_ms[used_up] * (1 - retry.jitter) if before.answer.status != 410 else 0
        least = max(wait, before.answer.retry_after_ms or 0)
        # It may have come due by either clock: that on the wall, which counts whole milliseconds, may have been set.
        waited = max(after.started_at - before.ended_at, after.began_ms - (before.ended_ms or 0) + 1)
        if waited < int(least):
            found.append(f"attempt {after.number} after {waited} ms, not {least}")
        if before.answer.status == 200:
            found.append("sent again after success")
    return found


def _of_one_at_a_time(made: Sequence[Placed]) -> list[str]:
    """Where both were whole: one that a crash has cut is over."""
    return [
        f"two at a time, the second as attempt {after.number}"
        for (_, before), (_, after) in pairwise(made)
        if before.life == after.life and (before.ended_ms is None or after.began_ms < before.ended_ms)
    ]


# --- An endpoint


def _of_endpoint(simulation: Simulation, name: str, attempts: Sequence[Placed]) -> list[str]:
    found = []
    asked = simulation.specs[name]
    if (most := _most_at_once([each for _, each in attempts])) > asked.max_in_flight:
        found.append(f"{most} under way of {asked.max_in_flight}")
    if (rate := asked.rate_limit) is not None:
        for (_, first), (_, beyond) in zip(attempts, attempts[rate.count :], strict=False):
            # A restart forgets the window of a rate.
            if beyond.began_ms - first.began_ms < rate.per_ms - 1e-3 and beyond.life == first.life:
                found.append(f"more than {rate} from {first.began_ms} on")
    for begin, *end in simulation.stood_still[name]:
        if any(begin <= place < min(end, default=len(simulation.made)) for place, _ in attempts):
            found.append("attempted although it was paused")
    if asked.ordering == "payment":
        cancelled = {key for _, key in simulation.cancelled}  # the next one goes, though one is under way
        for payment, chain in _grouped(attempts, lambda each: each.due.event.payment_id).items():
            of_it = [each for _, each in chain]
            if payment is not None and cancelled.isdisjoint(each.key for each in of_it) and _most_at_once(of_it) > 1:
                found.append("two of a payment at a time")
    else:
        found += _of_disputes(simulation, [each for _, each in attempts])
    return found


def _most_at_once(attempts: Sequence[Made]) -> int:
    whole = [each for each in attempts if each.ended_ms not in (None, each.began_ms)]
    changes = [(each.began_ms, 1) for each in whole] + [(each.ended_ms or 0, -1) for each in whole]
    under_way = most = 0
    for _, change in sorted(changes):
        under_way += change
        most = max(most, under_way)
    return most


def _of_disputes(simulation: Simulation, attempts: Sequence[Made]) -> list[str]:
    """No backlog goes before one, only what there is room for while the disk is read: as when an endpoint is back."""
    found = []
    ordinary = [each.began_ms for each in attempts if each.due.priority]
    for each in attempts:
        since = simulation.committed_ms.get(each.key.event)
        if each.due.priority or each.number != 1 or since is None or _is_disturbed(simulation, since, each.began_ms):
            continue
        overtaking = sum(since < began_ms < each.began_ms for began_ms in ordinary)
        if overtaking > simulation.specs[each.endpoint].max_in_flight:
            found.append(f"a dispute waited for {overtaking} ordinary attempts")
    return found


def _is_disturbed(simulation: Simulation, begin: float, end: float) -> bool:
    moments = [*simulation.crashes_ms, *simulation.clock_set_ms]
    # A read that the store refused is made again half a second later.
    return any(begin <= at <= end for at in moments) or any(
        at <= end and begin <= at + 1_000 for at in simulation.troubled.reads_refused_ms
    )


# --- The end


async def _of_what_stands_at_the_end(simulation: Simulation, rows: Sequence[DeliveryRow]) -> list[str]:
    """What is pending although nothing keeps it, and where memory and disk do not agree."""
    found = []
    standing = {row.name: row for row in await simulation.store.endpoints(removed=True)}
    for row in rows:
        endpoint, waits_ms = standing[row.endpoint_name], simulation.specs[row.endpoint_name].retry.waits_ms
        if row.state == "pending" and endpoint.state == "active" and endpoint.health.retry_at is None:
            found.append(f"{row.endpoint_name}: pending since {row.created_at}, due at {row.due_at}")
        if row.state == "dead" and row.attempts < len(waits_ms):
            found.append(f"{row.endpoint_name}: dead after {row.attempts}")
    for endpoint, view in simulation.dispatcher.views():
        on_disk = standing[endpoint.spec.name]
        if (on_disk.state, on_disk.why) != (endpoint.state, endpoint.why):
            found.append(f"{on_disk.name}: {on_disk.state} on disk, {endpoint.state} in memory")
        if view.window and endpoint.state != "active":
            found.append(f"{on_disk.name}: holds {view.window} and stands still")
    dispatcher = simulation.dispatcher
    held = sum(view.window for _, view in dispatcher.views())
    if dispatcher.in_flight == 0 == dispatcher.unsettled == held and dispatcher.held_bytes != 0:
        found.append(f"{dispatcher.held_bytes} bytes are held by nothing")
    return found


async def _of_what_was_told(simulation: Simulation, rows: Sequence[DeliveryRow]) -> list[str]:
    """Each delivery that was given up is told of once."""
    told: Counter[str] = Counter()
    narrowed = Filter(source=OPERATIONAL, type="webhookd.delivery.dead")
    after = 0
    while (stretch := await simulation.store.feed.stretch(after, narrowed)).reached != after:
        for event in stretch.events:
            data = json.loads(await simulation.store.body(event.key) or b"{}")["data"]
            told[f"{data['delivery_id']} {data['attempts']}"] += 1
        after = stretch.reached
    found = [f"{what}: told {times} times" for what, times in told.items() if times > 1]
    for row in rows:
        key = DeliveryKey(row.event, row.endpoint)
        if row.state == "dead" and row.endpoint_name != OPS and not told[f"{key.id} {row.attempts}"]:
            found.append(f"{key.id}: given up, and nobody was told")
    return found
