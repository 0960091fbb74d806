"""The endpoints as the database has them: functions, each a part of one transaction.

Where the configuration names no secret, and for every endpoint that the API manages, secrets are rows of `secret`.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from webhookd.core.breaker import Health
from webhookd.core.endpoint import Endpoint, EndpointKey, EndpointSpec, EndpointState, routes
from webhookd.core.identifier import COUNTER_BITS
from webhookd.core.signature import signing_key
from webhookd.store.protocol.endpoints import EndpointRow, KeptEndpoint
from webhookd.store.seal import Seal, secret_of, settings_of
from webhookd.store.sql.connection import Connection

_encode = msgspec.json.Encoder().encode


def kept(connection: Connection, seal: Seal) -> list[KeptEndpoint]:
    """Raises SealError."""
    rows = connection.execute("log.kept_endpoints").fetchall()
    return [KeptEndpoint(name, seal.open(sealed, settings_of(number)).encode()) for number, name, sealed in rows]


def adopt(
    connection: Connection,
    seal: Seal,
    specs: Sequence[EndpointSpec],
    kept: Sequence[EndpointSpec],
    generated: Mapping[str, str],
    now_ms: int,
) -> list[Endpoint]:
    """Make the configured endpoints exactly `specs`. `generated` has a new secret for each, should it need one."""
    wanted = {spec.name: spec for spec in (*kept, *specs)}
    for spec in specs:
        connection.execute("log.upsert_endpoint", (spec.name, spec.url, now_ms))
    adopted = []
    for number, name, managed_by in connection.execute("log.endpoint_names").fetchall():
        if name in wanted:
            _route(connection, number, wanted[name], now_ms)
            adopted.append(_endpoint(connection, seal, wanted[name], now_ms, generated.get(name)))
        elif managed_by == "config":
            connection.execute("log.disable_endpoint", (number,))
            _route(connection, number, None, now_ms)
    return adopted


def add(
    connection: Connection, seal: Seal, spec: EndpointSpec, settings: bytes, secret: str, now_ms: int
) -> Endpoint | None:
    """One that the API manages; None when one of this name is in service."""
    rows = connection.execute("log.add_endpoint", (spec.name, spec.url, now_ms)).fetchall()
    if not rows:
        return None
    [(number,)] = rows
    connection.execute("log.forget_secrets", (number,))
    _add_secret(connection, seal, number, secret, now_ms)
    return _take(connection, seal, number, spec, settings, now_ms)


def change(connection: Connection, seal: Seal, spec: EndpointSpec, settings: bytes, now_ms: int) -> Endpoint | None:
    """None when the API manages none of this name."""
    rows = connection.execute("log.change_endpoint", (spec.url, spec.name)).fetchall()
    return _take(connection, seal, rows[0][0], spec, settings, now_ms) if rows else None


def remove(connection: Connection, name: str) -> bool:
    """False when the API manages none of this name."""
    rows = connection.execute("log.remove_endpoint", (name,)).fetchall()
    for (number,) in rows:
        connection.execute("log.forget_secrets", (number,))
        _route(connection, number, None, 0)
    return bool(rows)


def rotate(connection: Connection, seal: Seal, spec: EndpointSpec, secret: str, now_ms: int, until_ms: int) -> Endpoint:
    """Sign with this secret from now on, and with those before it until then."""
    [(number,)] = connection.execute("log.endpoint_number", (spec.name,)).fetchall()
    connection.execute("log.retire_secrets", {"until": until_ms, "endpoint": number})
    connection.execute("log.forget_expired_secrets", (number, now_ms))
    _add_secret(connection, seal, number, secret, now_ms)
    return _endpoint(connection, seal, spec, now_ms)


def standing(connection: Connection, seal: Seal, specs: Sequence[EndpointSpec], now_ms: int) -> list[Endpoint]:
    """Those of these that are in service, as they stand. Changes nothing."""
    wanted = {spec.name: spec for spec in specs}
    names = [name for (name,) in connection.execute("log.endpoints_in_service").fetchall() if name in wanted]
    return [_endpoint(connection, seal, wanted[name], now_ms) for name in names]


def set_state(connection: Connection, name: str, state: EndpointState) -> bool:
    """Paused or resumed by a person; False when there is none of this name in service."""
    given = (state, None if state == "active" else "operator", name)
    return connection.execute("log.set_endpoint_state", given).rowcount > 0


def narrowed(
    *,
    name: str | None = None,
    after: int = 0,
    limit: int = -1,
    removed: bool = True,
    part: str | None = None,
    state: EndpointState | None = None,
    unusable: Iterable[str] = (),
) -> dict[str, Any]:
    """What the query `endpoints` is given."""
    given = {"name": name, "after": after, "limit": limit, "removed": removed, "part": part, "state": state}
    return {**given, "unusable": _encode([*unusable]).decode()}


def row(found: Sequence[Any]) -> EndpointRow:
    """A row of the query `endpoints`."""
    number, name, url, state, why, managed_by, *health, created_at, pending, dead, oldest = found
    oldest_at = None if oldest is None else oldest >> COUNTER_BITS
    return EndpointRow(number, name, url, state, why, managed_by, Health(*health), created_at, pending, dead, oldest_at)


def _take(
    connection: Connection, seal: Seal, number: int, spec: EndpointSpec, settings: bytes, now_ms: int
) -> Endpoint:
    sealed = seal.seal(settings.decode(), settings_of(number))
    connection.execute("log.seal_settings", (sealed, number))
    _route(connection, number, spec, now_ms)
    return _endpoint(connection, seal, spec, now_ms)


def _endpoint(
    connection: Connection, seal: Seal, spec: EndpointSpec, now_ms: int, generated: str | None = None
) -> Endpoint:
    """As it stands, with the secrets that it has, or the generated one as its first."""
    [(number, state, why, managed_by, *health)] = connection.execute("log.endpoint_state", (spec.name,)).fetchall()
    if spec.secret is not None:
        keys = [EndpointKey(signing_key(spec.secret.reveal()))]
    else:
        if generated is not None and not connection.execute("log.secrets", (number, now_ms)).fetchall():
            _add_secret(connection, seal, number, generated, now_ms)
        keys = [
            EndpointKey(signing_key(seal.open(sealed, secret_of(number, created_at))), until_ms, created_at)
            for created_at, until_ms, sealed in connection.execute("log.secrets", (number, now_ms)).fetchall()
        ]
    keys += [EndpointKey(signing_key(secret.reveal())) for secret in spec.old_secrets]
    return Endpoint(number, spec, tuple(keys), state, managed_by, why, Health(*health))


def _add_secret(connection: Connection, seal: Seal, number: int, secret: str, now_ms: int) -> None:
    [(created_at,)] = connection.execute("log.next_secret_at", (now_ms, number)).fetchall()
    sealed = seal.seal(secret, secret_of(number, created_at))
    connection.execute("log.add_secret", (number, created_at, sealed))


def _route(connection: Connection, number: int, spec: EndpointSpec | None, now_ms: int) -> None:
    """Make the endpoint's rows of the routing table those of its spec; none without one. Writes what differs."""
    wants = {(row.source, row.is_glob, row.pattern) for row in routes(spec.sources, spec.events)} if spec else set()
    known = set(connection.execute("log.routes", (number,)).fetchall())
    for row in known - wants:
        connection.execute("log.unroute", (*row, number))
    if spec is not None:
        settings = (spec.retry.waits_ms[0], spec.ordering == "payment")
        connection.execute("log.set_routes", (*settings, number, *settings))
        for row in wants - known:
            connection.execute("log.route", (*row, number, *settings, now_ms))
