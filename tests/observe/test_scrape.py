"""What a scrape says beside what it was told: whose lines go, when certificates end, how late the loop is."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
import trustme
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from tests.fake_clock import FakeClock
from webhookd.core.breaker import Health
from webhookd.instruments import LAG_EVERY_S, LoopLag
from webhookd.observe.certificates import Expiries
from webhookd.observe.metrics import Metrics
from webhookd.observe.scrape import LaneReading, OutboxReading, Reading, Scrape
from webhookd.observe.survey import Survey
from webhookd.store.protocol.endpoints import EndpointRow

Lines = dict[tuple[str, frozenset[tuple[str, str]]], float]


class World:
    def __init__(self) -> None:
        self.rows = [self.row("shop"), self.row("books")]
        self.unready = {"starting": False, "disk_low": False}
        self.metrics = Metrics()
        survey = Survey(self, None, lambda: 1_000_000, lambda: 0.0, ValueError)  # type: ignore[arg-type]
        self.scrape = Scrape(self.metrics, survey, self.read)

    @staticmethod
    def row(name: str) -> EndpointRow:
        return EndpointRow(len(name), name, "https://x", "active", None, "api", Health(), 0, 3, 1, 999_000)

    async def endpoints(self, after: int = 0, limit: int = -1, *, removed: bool) -> Any:
        return self.rows

    async def odd_events(self) -> Any:
        return {"unrouted": 7}

    def read(self) -> Reading:
        lanes = [LaneReading(row.name, "half_open", 1, 4, 9, 2) for row in self.rows]
        certificates = [("client", "shop", 1234.0)]
        counts = ((1, 2), (3, 4), 5, 6, 7, 8, 9, 10)
        outboxes = [OutboxReading("orders", "waits", 11, 988_000), OutboxReading("quiet", "starting", None, None)]
        return Reading("1.2", "3.53", 5_000, self.unready, *counts, lanes, certificates, outboxes)

    async def lines(self) -> Lines:
        text, _ = await self.scrape.text("")
        families = text_string_to_metric_families(text.decode())
        return {
            (each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples
        }


@pytest.fixture
def world() -> World:
    return World()


def line(name: str, /, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"webhookd_{name}", frozenset(labels.items())


async def test_everything_that_is_read_is_said_under_its_name(world: World):
    said = await world.lines()
    wanted = {
        line("build_info", version="1.2", sqlite="3.53", python=_python()): 1,
        line("start_time_seconds"): 5,
        line("ready"): 1,
        line("commit_queue_writes"): 1,
        line("commit_queue_bytes"): 2,
        line("database_bytes"): 3,
        line("wal_bytes"): 4,
        line("disk_free_bytes"): 5,
        line("disk_min_free_bytes"): 6,
        line("dispatch_in_flight"): 7,
        line("dispatch_in_flight_limit"): 8,
        line("dispatch_unsettled"): 9,
        line("dispatch_window_bytes"): 10,
        line("backlog", endpoint="shop"): 3,
        line("dead", endpoint="shop"): 1,
        line("oldest_pending_seconds", endpoint="shop"): 1,
        line("in_flight", endpoint="shop"): 1,
        line("in_flight_limit", endpoint="shop"): 4,
        line("window", endpoint="shop"): 9,
        line("paced_waiting", endpoint="shop"): 2,
        line("breaker_state", endpoint="shop", state="half_open"): 1,
        line("breaker_state", endpoint="shop", state="open"): 0,
        line("endpoint_state", endpoint="shop", state="active"): 1,
        line("odd_events", state="unrouted"): 7,
        line("certificate_expiry_seconds", kind="client", name="shop"): 1234,
        line("outbox_waiting_rows", source="orders"): 11,
        line("outbox_oldest_seconds", source="orders"): 12,
        line("outbox_oldest_seconds", source="quiet"): 0,
        line("outbox_state", source="orders", state="waits"): 1,
        line("outbox_state", source="orders", state="follows"): 0,
    }
    assert {each: said.get(each) for each in wanted} == wanted


def _python() -> str:
    import platform

    return platform.python_version()


async def test_not_ready_is_said_with_its_reason(world: World):
    world.unready["disk_low"] = True
    said = await world.lines()
    assert said[line("ready")] == 0
    assert said[line("unready", why="disk_low")] == 1
    assert said[line("unready", why="starting")] == 0


async def test_the_lines_of_an_endpoint_go_when_it_is_removed(world: World):
    for name in ("shop", "books"):
        world.metrics.attempt(name, "timeout", 1)
        world.metrics.retried(name)
        world.metrics.settled(name, "dead")
        world.metrics.tripped(name)
        world.metrics.stood_down(name, "gone")
    world.metrics.hook("stripe", "accepted", 1)
    before = await world.lines()
    world.rows = [world.row("shop")]
    after = await world.lines()
    gone = {each for each in before if ("endpoint", "books") in each[1]}
    assert len(gone) > 10
    assert before.keys() - after.keys() == gone


async def test_two_who_scrape_at_a_time_are_both_answered(world: World):
    first, second = await asyncio.gather(world.lines(), world.lines())
    assert first.keys() == second.keys()


def test_a_certificate_ends_when_the_first_of_its_text_does():
    authority, other = trustme.CA(), trustme.CA()
    soon = datetime(2031, 1, 1, tzinfo=UTC)
    leaf = authority.issue_cert("shop.example", not_after=soon)
    chain = b"".join(each.bytes() for each in leaf.cert_chain_pems) + other.cert_pem.bytes()
    pem = leaf.cert_chain_pems[0].bytes()
    der = x509.load_pem_x509_certificate(pem).public_bytes(encoding=_der())
    found = [("client", "a", chain), ("ca", "b", der), ("ca", "c", b"no certificate"), ("ca", "d", b"-----BEGIN x")]
    expiries = Expiries()
    for _ in range(2):
        assert expiries.of(found) == [("client", "a", soon.timestamp()), ("ca", "b", soon.timestamp())]
    assert expiries.of([]) == []
    assert expiries._known == {}


def _der() -> Any:
    from cryptography.hazmat.primitives.serialization import Encoding

    return Encoding.DER


async def test_the_loop_is_as_late_as_its_timer():
    clock, late = FakeClock(), []
    lag = LoopLag(clock, late.append)
    await lag.look()
    clock._steady_ms += LAG_EVERY_S * 1_000 + 250
    await lag.look()
    clock._steady_ms += LAG_EVERY_S * 1_000
    await lag.look()
    assert late == [pytest.approx(0.25), pytest.approx(0)]
