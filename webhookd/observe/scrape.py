"""What is answered to whoever scrapes: what was counted, what the survey found, and how it looks at the moment.

The library takes 10 µs and more for a line, and an endpoint has 17: the text is made on a thread of its own, of values
that were read before, so that thousands of endpoints hold up no hook.
"""

import asyncio
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from webhookd.core.breaker import BREAKER_STATES, BreakerState
from webhookd.core.endpoint import ENDPOINT_STATES, EndpointState
from webhookd.observe import catalogue
from webhookd.observe.families import Family, counter, gauge, histogram, info
from webhookd.observe.metrics import Metrics
from webhookd.observe.survey import Survey
from webhookd.store.protocol.endpoints import EndpointRow

STUCK_STATES = ("pending", "dead")
OUTBOX_STATES = ("starting", "follows", "waits", "stands_by")


class LaneReading(NamedTuple):
    """How deliveries to one endpoint are doing."""

    name: str
    breaker: BreakerState
    in_flight: int
    limit: int
    window: int
    paced: int


class OutboxReading(NamedTuple):
    """How it stands with one outbox."""

    source: str
    state: str
    waiting: int | None
    oldest_at: int | None
    """Unix milliseconds."""


class Reading(NamedTuple):
    """How everything looks at the moment, in numbers that are there for the asking."""

    version: str
    sqlite: str
    started_at: int
    """Unix milliseconds."""
    unready: Mapping[str, bool]
    queued: tuple[int, int]
    """Writes and bytes that wait for a commit."""
    files: tuple[int, int]
    """Bytes of the database and of its log."""
    free: int
    free_min: int
    in_flight: int
    in_flight_max: int
    unsettled: int
    held_bytes: int
    lanes: Sequence[LaneReading]
    certificates: Sequence[tuple[str, str, float]]
    """Kind, whose, and when it ends (Unix seconds)."""
    outboxes: Sequence[OutboxReading]


class Scrape(Collector):
    """Also says what a status wants to know."""

    def __init__(self, metrics: Metrics, survey: Survey, read: Callable[[], Reading]) -> None:
        self._metrics = metrics
        self._survey = survey
        self._read = read
        self._seen: tuple[Reading, Sequence[EndpointRow], int]
        self._turn = asyncio.Lock()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    @property
    def accepted(self) -> int:
        return self._metrics.accepted

    @property
    def delivered_count(self) -> int:
        return self._metrics.delivered_count

    @property
    def commits(self) -> int:
        return self._metrics.commits

    async def text(self, accept: str) -> tuple[bytes, str]:
        """What whoever accepts this is answered, and of which type it is."""
        encode, content_type = choose_encoder(accept)
        await self._survey.look()
        async with self._turn:
            reading = self._read()
            self._metrics.keep_endpoints({lane.name for lane in reading.lanes})
            self._seen = reading, self._survey.rows, self._survey.now_ms()
            return await asyncio.to_thread(encode, self._registry), content_type

    def describe(self) -> list[Family]:
        """Nothing: without this the library would collect once to learn the names."""
        return []

    def collect(self) -> Iterator[Family]:
        reading, rows, now_ms = self._seen
        yield from map(counter, self._metrics.tallies())
        yield from map(histogram, self._metrics.spreads())
        yield from _of_process(reading)
        yield from _of_store(reading)
        yield gauge(catalogue.ODD_EVENTS, (((state,), count) for state, count in sorted(self._survey.odd.items())))
        ages = ("endpoints", self._survey.age_s), ("stuck", self._survey.stuck_age_s)
        yield gauge(catalogue.SURVEY_AGE, (((of,), age) for of, age in ages))
        yield from _of_rows(rows, now_ms, self._survey.stuck)
        yield from _of_lanes(reading.lanes)
        yield from _of_outboxes(reading.outboxes, now_ms)
        certificates = (((kind, name), at) for kind, name, at in reading.certificates)
        yield gauge(catalogue.CERTIFICATE, certificates)


def _of_process(reading: Reading) -> Iterator[Family]:
    yield info(catalogue.BUILD, reading.version, platform.python_version(), reading.sqlite)
    yield gauge(catalogue.STARTED, [((), reading.started_at / 1_000)])
    yield gauge(catalogue.READY, [((), not any(reading.unready.values()))])
    yield gauge(catalogue.UNREADY, (((why,), is_so) for why, is_so in reading.unready.items()))


def _of_store(reading: Reading) -> Iterator[Family]:
    for metric, value in (
        *zip((catalogue.QUEUED, catalogue.QUEUED_BYTES), reading.queued, strict=True),
        *zip((catalogue.DATABASE, catalogue.WAL), reading.files, strict=True),
        (catalogue.DISK_FREE, reading.free),
        (catalogue.DISK_MIN, reading.free_min),
        (catalogue.IN_FLIGHT_ALL, reading.in_flight),
        (catalogue.IN_FLIGHT_MAX, reading.in_flight_max),
        (catalogue.UNSETTLED, reading.unsettled),
        (catalogue.HELD_BYTES, reading.held_bytes),
    ):
        yield gauge(metric, [((), value)])


def _of_rows(rows: Sequence[EndpointRow], now_ms: int, stuck: Mapping[tuple[int, str], int]) -> Iterator[Family]:
    yield gauge(catalogue.BACKLOG, (((row.name,), row.pending) for row in rows))
    yield gauge(catalogue.DEAD, (((row.name,), row.dead) for row in rows))
    ages = (((row.name,), max(0, now_ms - (row.oldest_pending_at or now_ms)) / 1_000) for row in rows)
    yield gauge(catalogue.OLDEST, ages)
    found = (((row.name, state), stuck.get((row.number, state), 0)) for row in rows for state in STUCK_STATES)
    yield gauge(catalogue.STUCK, found)
    states: tuple[EndpointState, ...] = ENDPOINT_STATES
    yield gauge(catalogue.STATE, (((row.name, state), row.state == state) for row in rows for state in states))


def _of_outboxes(outboxes: Sequence[OutboxReading], now_ms: int) -> Iterator[Family]:
    yield gauge(catalogue.OUTBOX_WAITING, (((each.source,), each.waiting or 0) for each in outboxes))
    ages = (((each.source,), max(0, now_ms - (each.oldest_at or now_ms)) / 1_000) for each in outboxes)
    yield gauge(catalogue.OUTBOX_OLDEST, ages)
    states = (((each.source, state), each.state == state) for each in outboxes for state in OUTBOX_STATES)
    yield gauge(catalogue.OUTBOX_STATE, states)


def _of_lanes(lanes: Sequence[LaneReading]) -> Iterator[Family]:
    yield gauge(catalogue.IN_FLIGHT, (((lane.name,), lane.in_flight) for lane in lanes))
    yield gauge(catalogue.LIMIT, (((lane.name,), lane.limit) for lane in lanes))
    yield gauge(catalogue.WINDOW, (((lane.name,), lane.window) for lane in lanes))
    yield gauge(catalogue.PACED, (((lane.name,), lane.paced) for lane in lanes))
    states = BREAKER_STATES
    yield gauge(catalogue.BREAKER, (((lane.name, state), lane.breaker == state) for lane in lanes for state in states))
