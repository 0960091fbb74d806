"""The endpoints as the database has them: functions for the writer's thread, each a part of one transaction."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from webhookd.core.breaker import Health
from webhookd.core.endpoint import Endpoint, EndpointSpec, Route, routes
from webhookd.core.signature import symmetric_key
from webhookd.store.queries import SQL


def adopt(
    connection: sqlite3.Connection, specs: Sequence[EndpointSpec], generated: Mapping[str, str], now_ms: int
) -> list[Endpoint]:
    """Make the configured endpoints exactly these. `generated` has a new secret for each, should it need one."""
    wanted = {spec.name: spec for spec in specs}
    for spec in specs:
        connection.execute(SQL["upsert_endpoint"], (spec.name, spec.url, now_ms))
    for number, name, _url, _state, _why, managed_by, *_health in connection.execute(SQL["endpoints"]).fetchall():
        if managed_by != "config":
            continue
        if name not in wanted:
            connection.execute(SQL["disable_endpoint"], (number,))
        _route(connection, number, wanted.get(name), now_ms)
    adopted = []
    for number, name, _url, state, why, managed_by, *health in connection.execute(SQL["endpoints"]).fetchall():
        if name in wanted:
            spec = wanted[name]
            secret = spec.secret.reveal() if spec.secret else _secret(connection, number, generated[name], now_ms)
            adopted.append(Endpoint(number, spec, symmetric_key(secret), state, managed_by, why, Health(*health)))
    return adopted


def _secret(connection: sqlite3.Connection, number: int, generated: str, now_ms: int) -> str:
    rows: list[Any] = connection.execute(SQL["secrets"], (number, now_ms)).fetchall()
    if not rows:
        connection.execute(SQL["add_secret"], (number, now_ms, generated.encode()))
        return generated
    return str(rows[0][0].decode())


def _route(connection: sqlite3.Connection, number: int, spec: EndpointSpec | None, now_ms: int) -> None:
    """Make the endpoint's rows of the routing table those of its spec; none without one."""
    wants: list[Route] = routes(spec.sources, spec.events) if spec is not None else []
    keep = {(row.source, row.is_glob, row.pattern) for row in wants}
    for known in connection.execute(SQL["routes"], (number,)).fetchall():
        if known not in keep:
            connection.execute(SQL["unroute"], (*known, number))
    if spec is not None:
        settings = (spec.retry.waits_ms[0], spec.ordering == "payment", now_ms)
        for row in wants:
            connection.execute(SQL["route"], (row.source, row.is_glob, row.pattern, number, *settings))
