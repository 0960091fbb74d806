"""Spans of what happens to an event, for a collector of OpenTelemetry. Only imported where one is configured.

A hook's span begins when it came and is made once it is verified, so that no stranger can make any. It hangs on the
`traceparent` that came with the hook, and what attempts hang on is stored with the event: days and restarts later they
are of the same trace. Spans are sent by a thread, from a queue of SPANS_MAX; what finds it full is dropped.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from webhookd.aside import aside
from webhookd.core.delivery import Due
from webhookd.core.endpoint import Endpoint
from webhookd.core.event import Event
from webhookd.core.trace import Trace, kept_trace, parse_trace

SPANS_MAX, BATCH_MAX = 4096, 256
SEND_EVERY_S, SEND_S, FLUSH_S = 2.0, 5.0, 2.0
_NS = 1_000_000
Count = Callable[[str, int], None]


class Tracing:
    """`sample` is the share of hooks that is traced where the sender has not decided; `count` hears of spans by result.

    `exporter` is what sends them: by default to the URL `otlp`.
    """

    def __init__(
        self, otlp: str, sample: float, version: str, count: Count, exporter: SpanExporter | None = None
    ) -> None:
        # What it has to say it says of every batch, or every span; what was sent and what was not is counted instead.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._count = count
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(sample)),
            resource=Resource.create({"service.name": "webhookd", "service.version": version}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                _Counted(exporter or OTLPSpanExporter(endpoint=otlp, timeout=SEND_S), count),
                max_queue_size=SPANS_MAX,
                max_export_batch_size=BATCH_MAX,
                schedule_delay_millis=SEND_EVERY_S * 1_000,
            )
        )
        self._tracer = self._provider.get_tracer("webhookd", version)

    def received(self, event: Event, headers: Mapping[str, str]) -> "Receiving":
        """A verified hook, about to be committed."""
        sent = parse_trace(headers.get("traceparent", ""), headers.get("tracestate", ""))
        span = self._begin(
            f"receive {event.source}",
            SpanKind.SERVER,
            sent,
            event.received_at,
            {
                "http.request.method": "POST",
                "http.route": "/webhooks/{source}",
                "url.path": f"/webhooks/{event.source}",
                "messaging.system": "webhookd",
                "messaging.operation.type": "receive",
                "messaging.message.body.size": event.size,
                "webhookd.source": event.source,
                "webhookd.provider": event.provider,
                "webhookd.event.type": event.type,
            },
        )
        commit = self._begin("commit", SpanKind.INTERNAL, _trace(span), None, {"webhookd.source": event.source})
        return Receiving(span, commit, self._count)

    def attempt(self, endpoint: Endpoint, due: Due, started_at: int) -> "Trying":
        url = urlsplit(endpoint.spec.url)
        span = self._begin(
            f"attempt {endpoint.spec.name}",
            SpanKind.CLIENT,
            kept_trace(due.event.trace) if due.event.trace is not None else None,
            started_at,
            {
                "http.request.method": "POST",
                "url.full": f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}",
                "server.address": url.hostname or "",
                "messaging.system": "webhookd",
                "messaging.operation.type": "process",
                "messaging.message.id": due.event.id,
                "webhookd.endpoint": endpoint.spec.name,
                "webhookd.event.type": due.event.type,
                "webhookd.delivery.id": due.key.id,
                "webhookd.attempt": due.attempts + 1,
                "webhookd.replay": due.replay,
                **({"http.request.resend_count": due.attempts} if due.attempts else {}),
            },
        )
        return Trying(span, self._count)

    async def close(self) -> None:
        """Send what there is, for at most FLUSH_S seconds. The thread that sends holds up no exit."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await aside(self._provider.shutdown)

    def _begin(
        self,
        name: str,
        kind: SpanKind,
        parent: Trace | None,
        at_ms: int | None,
        attributes: Mapping[str, AttributeValue],
    ) -> Span:
        context = set_span_in_context(NonRecordingSpan(_context(parent))) if parent is not None else None
        start = None if at_ms is None else at_ms * _NS
        return self._tracer.start_span(name, context, kind, attributes, start_time=start)


class Receiving:
    def __init__(self, span: Span, commit: Span, count: Count) -> None:
        self._span, self._commit, self._count = span, commit, count

    @property
    def context(self) -> str:
        """What attempts hang on."""
        return _trace(self._span).text

    def end(self, result: str, event_id: str | None) -> None:
        for span in (self._commit, self._span):
            span.set_attribute("webhookd.result", result)
            if event_id is not None:
                span.set_attribute("messaging.message.id", event_id)
            else:
                span.set_status(Status(StatusCode.ERROR))
                span.set_attribute("error.type", result)
            _end(span, self._count)


class Trying:
    def __init__(self, span: Span, count: Count) -> None:
        self._span, self._count = span, count

    @property
    def headers(self) -> Mapping[str, str]:
        """For the endpoint, so that what it does is of the trace too."""
        return _trace(self._span).headers

    def end(self, status: int | None, error: str | None) -> None:
        if status is not None:
            self._span.set_attribute("http.response.status_code", status)
        if error is not None:
            self._span.set_attribute("error.type", str(status) if error == "status" else error)
            self._span.set_status(Status(StatusCode.ERROR))
        _end(self._span, self._count)


class _Counted(SpanExporter):
    def __init__(self, exporter: SpanExporter, count: Count) -> None:
        self._exporter, self._count = exporter, count

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        self._count("sent" if result is SpanExportResult.SUCCESS else "not_sent", len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _end(span: Span, count: Count) -> None:
    if span.is_recording():
        count("ended", 1)
    span.end()


def _trace(span: Span) -> Trace:
    context = span.get_span_context()
    state = context.trace_state.to_header() if context.trace_state else ""
    return Trace(context.trace_id, context.span_id, context.trace_flags.sampled, state)


def _context(trace: Trace) -> SpanContext:
    state = TraceState.from_header([trace.state]) if trace.state else TraceState()
    flags = TraceFlags(TraceFlags.SAMPLED if trace.is_sampled else TraceFlags.DEFAULT)
    return SpanContext(trace.trace_id, trace.span_id, is_remote=True, trace_flags=flags, trace_state=state)
