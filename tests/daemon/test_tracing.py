"""One trace from the provider's hook over a restart to the merchant, as a collector of OpenTelemetry receives it."""

import asyncio
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.daemon.merchant import merchant
from tests.running import PATIENCE_S, STRIPE_SECRET, RunningDaemon, configuration, daemon, endpoint
from webhookd.core.secret import Secret
from webhookd.core.trace import parse_trace
from webhookd.providers.provider import Credentials
from webhookd.providers.stripe import Stripe

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BODY = b'{"id":"evt_traced","type":"charge.refunded","data":{"object":{"id":"ch_1","object":"charge"}}}'


class Collector:
    """Takes spans over OTLP/HTTP, and can be waited on."""

    def __init__(self) -> None:
        self.url = ""
        self.raw = b""
        self._spans: dict[str, Span] = {}
        self._news = asyncio.Condition()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        sent = ExportTraceServiceRequest.FromString(body)
        async with self._news:
            self.raw += body
            for resource in sent.resource_spans:
                for scope in resource.scope_spans:
                    self._spans |= {span.name: span for span in scope.spans}
            self._news.notify_all()
        return web.Response(content_type="application/x-protobuf")

    async def span(self, name: str) -> Span:
        async with asyncio.timeout(PATIENCE_S), self._news:
            await self._news.wait_for(lambda: name in self._spans)
        return self._spans[name]


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    taking = Collector()
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", taking.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    taking.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/traces"
    try:
        yield taking
    finally:
        await runner.cleanup()


async def send(running: RunningDaemon, **headers: str) -> None:
    signed = Stripe(Credentials((Secret(STRIPE_SECRET),))).sign(BODY, int(time.time()), "")
    sent = {**signed, "Content-Type": "application/json", **headers}
    url = f"{running.hooks}/webhooks/stripe"
    async with aiohttp.ClientSession() as session, session.post(url, data=BODY, headers=sent) as response:
        assert response.status == 200, await response.text()


def traced(otlp: str, *endpoints: str) -> str:
    return configuration(endpoints="".join(endpoints)) + f'\n[tracing]\notlp = "{otlp}"\n'


async def test_an_attempt_after_a_restart_is_of_the_trace_that_the_provider_began(tmp_path: Path):
    async with collector() as spans:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            nobody = endpoint("shop", bound.getsockname()[1], schedule=["1h"])
            async with daemon(tmp_path, traced(spans.url, nobody)) as running:
                await send(running, traceparent=PARENT, tracestate="vendor=1")
                assert await running.stop() == 0
        received, committed = await spans.span("receive stripe"), await spans.span("commit")
        async with merchant() as shop:
            at_once = traced(spans.url, endpoint("shop", shop.port))
            async with daemon(tmp_path, at_once) as running:
                await replay(running)
                [request] = await shop.has(1)
                attempt = await spans.span("attempt shop")
                await running.stop()
    provider = parse_trace(PARENT)
    told = parse_trace(request.headers["traceparent"])
    assert provider is not None
    assert told is not None
    assert {int.from_bytes(span.trace_id) for span in (received, committed, attempt)} == {provider.trace_id}
    assert int.from_bytes(received.parent_span_id) == provider.span_id
    assert committed.parent_span_id == attempt.parent_span_id == received.span_id
    assert (told.trace_id, told.span_id) == (provider.trace_id, int.from_bytes(attempt.span_id))
    assert request.headers["tracestate"] == "vendor=1"
    assert STRIPE_SECRET.encode() not in spans.raw
    assert BODY not in spans.raw


async def replay(running: RunningDaemon) -> None:
    headers = {"Authorization": f"Bearer {running.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(f"{running.admin}/api/v1/events") as response:
            ids = [each["id"] for each in (await response.json())["data"]]
        async with session.post(f"{running.admin}/api/v1/replays", json={"ids": ids}) as response:
            assert response.status == 202, await response.text()


async def test_where_no_collector_is_configured_nobody_is_told_of_a_trace(tmp_path: Path):
    async with (
        merchant() as shop,
        daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running,
    ):
        await send(running, traceparent=PARENT)
        [request] = await shop.has(1)
    assert "traceparent" not in request.headers


async def test_a_collector_that_is_not_there_costs_no_hook_no_attempt_and_no_time_at_the_end(tmp_path: Path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        async with merchant() as shop:
            config = traced(f"http://127.0.0.1:{bound.getsockname()[1]}/v1/traces", endpoint("shop", shop.port))
            async with daemon(tmp_path, config) as running:
                await send(running)
                [request] = await shop.has(1)
                assert parse_trace(request.headers["traceparent"]) is not None
                assert await running.stop() == 0
                assert [line for line in running.log if line["event"] is None] == []


async def test_tracing_without_its_extra_is_a_mistake_that_says_what_to_install(tmp_path: Path):
    (tmp_path / "webhookd.toml").write_text(traced("http://127.0.0.1:4318/v1/traces"))
    hidden = "import sys; sys.modules['opentelemetry'] = None; from webhookd.cli.app import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", hidden, "config", "check"),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    said, _ = await process.communicate()
    assert process.returncode == 78, said
    assert b"tracing.otlp" in said
    assert b"pip install 'webhookd[tracing]'" in said
