"""`/api/v1/reconcile/{source}`: a provider's own export beside the log, some events at a time.

Each object is read by the code that reads hooks. What is missing can be taken in: it becomes an event as if its hook
had come, marked as imported. Nothing is remembered from one request to the next.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal, NamedTuple, Protocol

import msgspec
from aiohttp import web

from webhookd.admin.door.body import whole
from webhookd.admin.door.operation import Asked, Operation
from webhookd.admin.door.reasons import BusyError, Mistake, MistakesError
from webhookd.core.event import Appended, Hook, Reading
from webhookd.core.identifier import event_id
from webhookd.core.units import time_text
from webhookd.store.protocol.books import Books, Known, Name
from webhookd.store.protocol.errors import StoreBrokenError, StoreUnavailableError

OBJECTS_MAX = 500
UNDER_WAY_MAX = 4
"""Requests at a time: each holds its objects in memory."""
BODY_S = 30.0
MOVING = {"stripe": frozenset({"pending_webhooks"}), "paypal": frozenset({"links", "transmissions", "status"})}
"""Members of an event that say how far its delivery is, not what happened: they differ between hook and export."""
State = Literal["present", "different", "missing", "imported", "misread"]
_json = msgspec.json.Decoder(float_hook=str)


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a table: all that there is of an event."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    type: str | None = None


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    objects: Annotated[list[msgspec.Raw], msgspec.Meta(max_length=OBJECTS_MAX)] = []
    """The provider's event objects, byte for byte."""
    ids: Annotated[list[Row], msgspec.Meta(max_length=OBJECTS_MAX)] = []
    """Where there are no objects."""


class ExportBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same, as it is described."""

    objects: Annotated[list[dict[str, Any]], msgspec.Meta(max_length=OBJECTS_MAX)] = []
    ids: Annotated[list[Row], msgspec.Meta(max_length=OBJECTS_MAX)] = []


class Compared(msgspec.Struct):
    state: State
    event_id: str | None
    """In the log; of one that is or was there."""
    provider_event_id: str | None
    type: str | None
    occurred_at: str | None
    differences: Sequence[str] = ()
    """What the log has otherwise: type, time, object, status, amount, payment, body."""
    reason: str | None = None
    """Why it is not understood."""


class ComparedView(msgspec.Struct):
    data: list[Compared]
    """In the order of the request."""


class Exported(NamedTuple):
    """An object of an export, read as a hook is."""

    hook: Hook
    reading: Reading | None
    misread: str | None


class Exports(Protocol):
    """The configured sources, as far as an export concerns them. Both raise KeyError for one that is not there."""

    def read(self, source: str, raw: bytes) -> Exported: ...

    def take_in(self, source: str, hook: Hook) -> Awaitable[Appended]:
        """Put it into the log as imported. Raises StoreUnavailableError, StoreBrokenError."""
        ...

    def provider(self, source: str) -> str: ...


class ReconcileApi:
    def __init__(self, books: Books, exports: Exports, *, body_bytes_max: int) -> None:
        self._books = books
        self._exports = exports
        self._bytes_max = body_bytes_max + 2**20
        self._under_way = 0

    def operations(self) -> Sequence[Operation]:
        path, problems = "/api/v1/reconcile/{source}", (400, 408, 413)
        return [
            Operation(
                "POST",
                path,
                self.compare,
                "Which events of a provider's own export are in the log, and what is different there. Changes nothing.",
                ComparedView,
                body=ExportBody,
                raw=True,
                problems=problems,
            ),
            Operation(
                "POST",
                f"{path}/import",
                self.take_in,
                "Take those in that are missing, as if their hooks had come. Again, it does nothing.",
                ComparedView,
                scope="admin",
                action="source.reconcile",
                body=ExportBody,
                raw=True,
                problems=problems,
            ),
        ]

    async def compare(self, asked: Asked[Any, Any]) -> ComparedView:
        source = self._source(asked)
        async with self._export(asked.request) as export:
            if export.ids:
                return ComparedView(await self._rows(source, export.ids))
            return ComparedView([found for found, _ in await self._compared(source, export.objects)])

    async def take_in(self, asked: Asked[Any, Any]) -> ComparedView:
        source = self._source(asked)
        async with self._export(asked.request) as export:
            if export.ids:
                reason = "cannot be imported: there is nothing of an event but its id. Send the objects themselves"
                raise MistakesError([Mistake("ids", reason)])
            compared = await self._compared(source, export.objects)
            for found, read in compared:
                if found.state == "missing":
                    await self._import(source, found, read)
            return ComparedView([found for found, _ in compared])

    async def _import(self, source: str, found: Compared, read: Exported) -> None:
        try:
            appended = await self._exports.take_in(source, read.hook)
        except (StoreUnavailableError, StoreBrokenError):
            raise BusyError("This cannot be stored now. What was imported stays; send the rest again.") from None
        found.event_id = appended.event_id
        found.state = "imported" if appended.status == "accepted" else "present"

    async def _rows(self, source: str, rows: Sequence[Row]) -> list[Compared]:
        found = []
        names = [Name(row.id, f"transmission:{row.id}") for row in rows]
        for row, known in zip(rows, await self._books.known(source, names), strict=True):
            if known is None:
                found.append(Compared("missing", None, row.id, row.type, None))
                continue
            differences = ["type"] if row.type not in (None, known.type) else []
            found.append(_compared(known, differences))
        return found

    async def _compared(self, source: str, objects: Sequence[bytes]) -> list[tuple[Compared, Exported]]:
        reads = []
        for raw in objects:
            reads.append(self._exports.read(source, bytes(raw)))
            await asyncio.sleep(0)  # hooks come first
        names = [Name(each.reading.provider_event_id, each.reading.alias) for each in reads if each.reading]
        known = iter(await self._books.known(source, names))
        found = []
        for read in reads:
            await asyncio.sleep(0)
            if read.reading is None:
                found.append((Compared("misread", None, None, None, None, reason=read.misread), read))
                continue
            its = next(known)
            if its is None:
                its = await self._alike(source, read.reading, read.hook)
            found.append((await self._beside(source, read.reading, read.hook, its), read))
        return found

    async def _alike(self, source: str, reading: Reading, hook: Hook) -> Known | None:
        """Where the id is drawn from the bytes, other bytes that say the same are the same event."""
        if hashlib.sha256(hook.body).hexdigest() not in reading.provider_event_id:
            return None
        object_id = None if reading.fact is None else reading.fact.id
        for known in await self._books.alike(source, reading.type, reading.payment_id, object_id):
            body = await self._books.body(known.key)
            if body is not None and _says(body, ()) == _says(hook.body, ()):
                return known
        return None

    async def _beside(self, source: str, reading: Reading, hook: Hook, known: Known | None) -> Compared:
        if known is None:
            at = time_text(reading.occurred_at)
            return Compared("missing", None, reading.provider_event_id, reading.type, at)
        if known.sha256 == hashlib.sha256(hook.body).digest():
            return _compared(known, [])
        body = None if known.is_past else await self._books.body(known.key)
        return _compared(known, list(_differences(self._exports.provider(source), reading, hook, known, body)))

    def _source(self, asked: Asked[Any, Any]) -> str:
        source = asked.path["source"]
        try:
            self._exports.provider(source)
        except KeyError:
            raise MistakesError([Mistake("source", f'there is no source "{source[:64]}"')]) from None
        return source

    @asynccontextmanager
    async def _export(self, request: web.Request) -> AsyncIterator[Export]:
        if self._under_way >= UNDER_WAY_MAX:
            raise BusyError(f"{UNDER_WAY_MAX} exports are being compared already.")
        self._under_way += 1
        try:
            yield _decoded(await whole(request, self._bytes_max, BODY_S))
        finally:
            self._under_way -= 1


def _differences(provider: str, reading: Reading, hook: Hook, known: Known, body: bytes | None) -> Iterator[str]:
    fact = reading.fact
    told = (None,) * 5 if fact is None else (fact.kind, fact.id, fact.status, fact.money.amount, fact.money.currency)
    if reading.type != known.type:
        yield "type"
    if reading.occurred_at != known.occurred_at:
        yield "time"
    if told[:2] != (known.kind, known.object_id):
        yield "object"
    if told[2] != known.status:
        yield "status"
    if told[3:] != (known.amount, known.currency):
        yield "amount"
    if reading.payment_id != known.payment_id:
        yield "payment"
    moving = MOVING.get(provider, frozenset())
    if body is not None and _says(body, moving) != _says(hook.body, moving):
        yield "body"


def _says(body: bytes, without: Collection[str]) -> Any:
    """What a body says as JSON, however it is written; its bytes where it is none."""
    try:
        found = _json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body
    if isinstance(found, dict):
        return {name: each for name, each in found.items() if name not in without}
    return found


def _compared(known: Known, differences: Sequence[str]) -> Compared:
    return Compared(
        state="different" if differences else "present",
        event_id=event_id(known.key, known.salt),
        provider_event_id=known.provider_event_id,
        type=known.type,
        occurred_at=time_text(known.occurred_at),
        differences=differences,
    )


def _decoded(body: bytes) -> Export:
    try:
        return msgspec.json.decode(body, type=Export)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        reason = f'must be {{"objects": […]}} or {{"ids": [{{"id": …}}]}}, of at most {OBJECTS_MAX}'
        raise MistakesError([Mistake("body", reason)]) from None
