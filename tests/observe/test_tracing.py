"""What a span says, and what becomes of spans that nobody takes."""

import asyncio
import threading
from collections import Counter
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.making import event as an_event
from webhookd.core.delivery import Due
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.trace import kept_trace, parse_trace
from webhookd.observe import tracing
from webhookd.observe.tracing import Tracing

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SHOP = Endpoint(3, EndpointSpec("shop", "https://user:pass@shop.example/hooks?token=geheim"), (), "active", "config")


class World:
    def __init__(self, exporter: SpanExporter | None = None, sample: float = 1.0) -> None:
        self.memory = InMemorySpanExporter()
        self.counts: Counter[str] = Counter()
        self.tracing = Tracing("", sample, "1", self._count, exporter or self.memory)

    def _count(self, result: str, number: int) -> None:
        self.counts[result] += number

    async def spans(self) -> dict[str, ReadableSpan]:
        await self.tracing.close()
        return {span.name: span for span in self.memory.get_finished_spans()}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


async def test_a_hook_a_commit_and_an_attempt_are_of_the_trace_that_the_sender_began():
    world = World()
    event = an_event()
    receiving = world.tracing.received(event, {"traceparent": PARENT, "tracestate": "vendor=1"})
    kept = receiving.context
    receiving.end("accepted", event.id)
    trying = world.tracing.attempt(SHOP, Due(3, an_event(trace=kept), 0), event.received_at + 7)
    handed_on = parse_trace(trying.headers["traceparent"])
    trying.end(500, "status")
    spans = await world.spans()
    receive, commit, attempt = (spans[name] for name in (f"receive {event.source}", "commit", "attempt shop"))
    sent = parse_trace(PARENT)
    assert sent is not None
    assert {span.context.trace_id for span in spans.values()} == {sent.trace_id}
    assert getattr(receive.parent, "span_id", None) == sent.span_id
    assert getattr(commit.parent, "span_id", None) == receive.context.span_id
    assert getattr(attempt.parent, "span_id", None) == receive.context.span_id
    assert handed_on is not None
    assert handed_on.span_id == attempt.context.span_id
    assert trying.headers["tracestate"] == "vendor=1"
    assert receive.start_time == event.received_at * 1_000_000
    assert attributes(attempt)["http.response.status_code"] == 500
    assert not attempt.status.is_ok
    assert world.counts == {"ended": 3, "sent": 3}


async def test_no_span_holds_a_secret_a_query_or_a_body():
    world = World()
    event = an_event(body=b'{"card":"4242424242424242"}')
    world.tracing.received(event, {"authorization": "geheim", "stripe-signature": "geheim"}).end("accepted", event.id)
    world.tracing.attempt(SHOP, Due(3, event, 0), 0).end(None, "timeout")
    spans = await world.spans()
    text = " ".join(span.to_json() for span in spans.values())
    assert attributes(spans["attempt shop"])["url.full"] == "https://shop.example/hooks"
    for never in ("geheim", "pass", "4242", "token"):
        assert never not in text


async def test_what_the_sender_has_decided_not_to_record_is_not_recorded_but_handed_on():
    world = World()
    receiving = world.tracing.received(an_event(), {"traceparent": PARENT[:-1] + "0"})
    receiving.end("accepted", "evt_1")
    trace = kept_trace(receiving.context)
    assert trace is not None
    assert not trace.is_sampled
    assert f"{trace.trace_id:032x}" in PARENT
    assert await world.spans() == {}
    assert not world.counts


@pytest.mark.parametrize(("sample", "spans"), [(0.0, 0), (1.0, 2)])
async def test_of_hooks_without_a_trace_the_share_is_traced_that_is_configured(sample: float, spans: int):
    world = World(sample=sample)
    world.tracing.received(an_event(), {"traceparent": "nonsense"}).end("accepted", "evt_1")
    assert len(await world.spans()) == spans


class Hanging(SpanExporter):
    """A collector that takes the first batch and says nothing."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self.taken = 0
        self.was_shut = False

    def export(self, spans: Any) -> SpanExportResult:
        self.taken += len(spans)
        self.begun.set()
        self.over.wait()
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self.was_shut = True


async def test_a_collector_that_hangs_holds_up_nothing_and_bounds_what_waits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tracing, "SPANS_MAX", 300)
    monkeypatch.setattr(tracing, "FLUSH_S", 0.01)
    exporter = Hanging()
    world = World(exporter)
    for _ in range(400):
        world.tracing.attempt(SHOP, Due(3, an_event(), 0), 0).end(200, None)
    await asyncio.to_thread(exporter.begun.wait)
    for _ in range(400):
        world.tracing.attempt(SHOP, Due(3, an_event(), 0), 0).end(200, None)
    await world.tracing.close()
    assert not exporter.was_shut  # it was not waited for
    assert world.counts == {"ended": 800}
    exporter.over.set()


async def test_of_the_spans_that_wait_the_newest_are_kept_and_no_more_than_there_may_be(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(tracing, "SPANS_MAX", 300)
    exporter = Hanging()
    world = World(exporter)
    for _ in range(1_000):
        world.tracing.attempt(SHOP, Due(3, an_event(), 0), 0).end(200, None)
    await asyncio.to_thread(exporter.begun.wait)
    exporter.over.set()
    await world.tracing.close()
    assert 300 <= exporter.taken <= 300 + tracing.BATCH_MAX
