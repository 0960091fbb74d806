"""The auditor: what the provider saw, what the merchants saw, what the database holds, and whether they agree."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.copied import copy
from tests.crash.parties import Merchants, Provider
from webhookd.core.delivery import DeliveryKey
from webhookd.core.identifier import event_id
from webhookd.providers import reread
from webhookd.store.postgres.audit import audit as verify_postgres
from webhookd.store.sql.audit import Finding
from webhookd.store.sqlite.audit import audit as verify
from webhookd.store.sqlite.driver import driver


def audit(database: Path, provider: Provider, merchants: Merchants, attempts_max: int) -> list[str]:
    """Every broken promise, as a line; to be called when no daemon runs and nothing is pending any more."""
    return _judged(database, verify(database, reread), provider, merchants, attempts_max)


async def audit_postgres(
    url: str, directory: Path, provider: Provider, merchants: Merchants, attempts_max: int
) -> list[str]:
    """The same of what is in PostgreSQL, by a copy in this directory."""
    log = directory / "log.db"
    await copy(url, log)
    return _judged(log, await verify_postgres(url, reread), provider, merchants, attempts_max)


def _judged(
    log: Path, findings: Iterable[Finding], provider: Provider, merchants: Merchants, attempts_max: int
) -> list[str]:
    connection = driver.connect(log)
    try:
        return [
            *_integrity(connection),
            *_log(connection, provider),
            *_outbox(connection, merchants, attempts_max),
            *_requests(connection, provider, merchants),
            *_ledger(connection, provider),
            *(f"verify: {finding}" for finding in findings),
        ]
    finally:
        connection.close()


def lost(provider: Provider, merchants: Merchants) -> list[str]:
    """Events that were acked, and that some merchant never took as they were sent. The database is not asked."""
    taken = [{each.sha256 for each in merchants.requests[name] if each.status == 200} for name in merchants.names]
    return [
        provider_id
        for provider_id, hook in provider.hooks.items()
        if hook.acks and not all(hook.sha256 in bodies for bodies in taken)
    ]


def duplicated(provider: Provider, merchants: Merchants) -> list[str]:
    """Events that some merchant got under more than one id, so that he would take them for more than one."""
    ids: dict[tuple[str, str], set[str]] = defaultdict(set)
    for name in merchants.names:
        for each in merchants.requests[name]:
            ids[name, each.sha256].add(each.event_id)
    twice = {sha256 for (_, sha256), found in ids.items() if len(found) > 1}
    return [provider_id for provider_id, hook in provider.hooks.items() if hook.sha256 in twice]


def _integrity(connection: Any) -> list[str]:
    [(answer,)] = connection.execute("PRAGMA integrity_check").fetchall()
    broken = [f"integrity_check: {answer}"] if answer != "ok" else []
    return broken + [f"foreign key broken: {row}" for row in connection.execute("PRAGMA foreign_key_check")]


def _log(connection: Any, provider: Provider) -> list[str]:
    """Every acked hook is in the log, once, as it was sent, under the id it was acked with; nothing else is there."""
    broken = []
    rows: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key, salt, provider_id, sha256 in connection.execute("SELECT key, salt, provider_event_id, sha256 FROM event"):
        rows[provider_id].append((event_id(key, salt), sha256.hex()))
    for provider_id, hook in provider.hooks.items():
        found = rows.pop(provider_id, [])
        if hook.acks and not found:
            broken.append(f"lost: {provider_id} was acked and is not in the log")
        if len(found) > 1:
            broken.append(f"twice in the log: {provider_id}")
        for public_id, sha256 in found:
            if sha256 != hook.sha256:
                broken.append(f"changed: {provider_id} is in the log with another body")
            broken += [f"acked under another id: {provider_id}" for _, acked in hook.acks if acked != public_id]
        accepted = [acked for status, acked in hook.acks if status == "accepted"]
        if len(accepted) > 1:
            broken.append(f"accepted {len(accepted)} times: {provider_id}")
    broken += [f"invented: {provider_id} was never sent" for provider_id in rows]
    return broken


def _outbox(connection: Any, merchants: Merchants, attempts_max: int) -> list[str]:
    """Every event is owed to every endpoint once, was delivered, and its attempts are numbered without a gap."""
    broken = []
    endpoints = dict(connection.execute("SELECT number, name FROM endpoint").fetchall())
    if set(endpoints.values()) != set(merchants.names):
        broken.append(f"endpoints are {sorted(endpoints.values())}")
    owed = {
        DeliveryKey(*row[:2]): row[2:]
        for row in connection.execute("SELECT event, endpoint, state, attempts FROM delivery")
    }
    for (key,) in connection.execute("SELECT key FROM event"):
        broken += [f"not owed: event {key} to {endpoints[n]}" for n in endpoints if DeliveryKey(key, n) not in owed]
    numbers: dict[DeliveryKey, list[int]] = defaultdict(list)
    for event, endpoint, number in connection.execute("SELECT event, endpoint, number FROM attempt ORDER BY number"):
        numbers[DeliveryKey(event, endpoint)].append(number)
    for key, (state, attempts) in owed.items():
        if state != "delivered":
            broken.append(f"{key.id} ended {state}")
        if numbers[key] != list(range(1, attempts + 1)) or not 1 <= attempts <= attempts_max:
            broken.append(f"{key.id} has attempts {numbers[key]}, and counts {attempts}")
    return broken


def _ledger(connection: Any, provider: Provider) -> list[str]:
    """Each payment that was acked stands in the ledger once, captured, with its amount."""
    amounts = dict(connection.execute("SELECT id, amount FROM payment WHERE status = 'captured'"))
    broken = [f"not in the ledger: {payment}" for payment in provider.paid.keys() - amounts.keys()]
    return broken + [
        f"{payment} stands with {amounts[payment]} instead of {amount}"
        for payment, amount in provider.paid.items()
        if amounts.get(payment, amount) != amount
    ]


def _requests(connection: Any, provider: Provider, merchants: Merchants) -> list[str]:
    """What a merchant got under one id is always the same, authentic and known to the log; each event arrived."""
    broken = []
    bodies = {
        event_id(key, salt): sha256.hex()
        for key, salt, sha256 in connection.execute("SELECT key, salt, sha256 FROM event")
    }
    sent = {hook.sha256 for hook in provider.hooks.values()}
    for name in merchants.names:
        seen: dict[str, set[tuple[str, str]]] = defaultdict(set)
        arrived = set()
        for request in merchants.requests[name]:
            seen[request.event_id].add((request.delivery_id, request.sha256))
            if request.status == 200:
                arrived.add(request.event_id)
            if not request.authentic:
                broken.append(f"{name}: a request for {request.event_id} is not signed as it should be")
            if request.sha256 not in sent:
                broken.append(f"{name}: a body that nobody sent, under {request.event_id}")
        for public_id, kinds in seen.items():
            if len(kinds) > 1:
                broken.append(f"{name}: {public_id} came with {len(kinds)} different bodies or delivery ids")
            if bodies.get(public_id) not in {sha256 for _, sha256 in kinds}:
                broken.append(f"{name}: {public_id} is not the log's, or not its body")
        broken += [f"{name}: {public_id} never arrived" for public_id in bodies if public_id not in arrived]
    return broken
