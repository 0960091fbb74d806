"""A real Prometheus that scrapes a real daemon, and has the rules watch it."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_metrics

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.monitoring.tools import ROOT, needs_prometheus
from tests.running import PATIENCE_S, endpoint
from webhookd.observe.catalogue import CATALOGUE

MONITORING = ROOT / "monitoring"
SCRAPE_PATIENCE_S = 4 * PATIENCE_S
CAPTURED = {"type": "payment_intent.succeeded", "created": 1_700_000_000}
INTENT = {"object": "payment_intent", "status": "succeeded", "amount": 1050, "amount_received": 1050, "currency": "usd"}


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def nobody() -> Iterator[str]:
    """An endpoint where nothing listens, and that is given up after one attempt."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield endpoint("down", bound.getsockname()[1], schedule=["0s"])


class Prometheus:
    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def asked(self, path: str, **query: str) -> Any:
        async with self._session.get(f"{self._url}/api/v1/{path}", params=query) as response:
            answer = await response.json()
            assert answer["status"] == "success", answer
            return answer["data"]

    async def until(self, query: str) -> list[dict[str, Any]]:
        """What the query finds, once it finds anything: asked for again and again, for nothing announces it."""
        async with asyncio.timeout(SCRAPE_PATIENCE_S):
            while True:
                try:
                    if found := (await self.asked("query", query=query))["result"]:
                        return list(found)
                except aiohttp.ClientError:  # it has not begun to listen
                    await asyncio.sleep(0)


@asynccontextmanager
async def prometheus(directory: Path, admin: str) -> AsyncIterator[Prometheus]:
    config = (MONITORING / "prometheus.yml").read_text(encoding="utf-8")
    assert "127.0.0.1:8081" in config
    config = config.replace("127.0.0.1:8081", admin.removeprefix("http://")).replace("15s", "1s")
    (directory / "prometheus.yml").write_text(config, encoding="utf-8")
    rules = (MONITORING / "alerts.yml").read_text(encoding="utf-8").replace("for: 5m", "for: 0s")
    (directory / "alerts.yml").write_text(rules, encoding="utf-8")
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        "prometheus",
        f"--config.file={directory / 'prometheus.yml'}",
        f"--storage.tsdb.path={directory / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=directory,
    )
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE_S)) as session:
            yield Prometheus(f"http://127.0.0.1:{port}", session)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


def captured(number: str) -> dict[str, Any]:
    return {"id": f"evt_{number}", **CAPTURED, "data": {"object": {"id": f"pi_{number}", **INTENT}}}


async def scraped(dev: DevDaemon, accept: str = "") -> tuple[str, str]:
    headers = {"Accept": accept} if accept else {}
    async with dev.session.get(f"{dev.running.admin}/metrics", headers=headers) as response:
        assert response.status == 200
        return await response.text(), response.headers["Content-Type"]


@needs_prometheus
async def test_prometheus_scrapes_a_daemon_and_its_rules_find_the_payment_that_did_not_arrive(tmp_path: Path):
    with nobody() as down:
        async with dev_daemon(tmp_path, down) as dev, prometheus(tmp_path, dev.running.admin) as watcher:
            await the_stuck_payment_is_found(dev, watcher)


async def the_stuck_payment_is_found(dev: DevDaemon, watcher: Prometheus) -> None:
    [up] = await watcher.until('up{job="webhookd"} == 1')
    assert up["metric"]["job"] == "webhookd"
    await watcher.until("webhookd_ready == 1")
    await dev.send(captured("stuck"))
    [stuck] = await watcher.until('webhookd_stuck{endpoint="down", state="dead"} == 1')
    assert stuck["metric"]["instance"] == dev.running.admin.removeprefix("http://")
    await watcher.until('ALERTS{alertname="WebhookdPaymentsStuck", alertstate="firing"}')
    alerts = {each["labels"]["alertname"]: each for each in (await watcher.asked("alerts"))["alerts"]}
    told = alerts["WebhookdPaymentsStuck"]["annotations"]
    assert told["summary"] == "1 captured payments have not reached down (dead)."
    assert "webhookd replay --endpoint down --state dead" in told["description"]
    assert "WebhookdDown" not in alerts
    rules = [rule for group in (await watcher.asked("rules"))["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
    assert not [each for each in alerts.values() if "error expanding" in str(each["annotations"])]


@needs_prometheus
async def test_prometheus_has_nothing_to_say_against_the_metrics(tmp_path: Path):
    async with dev_daemon(tmp_path) as dev:
        await dev.send(captured("checked"))
        text, _ = await scraped(dev)
    check = await asyncio.create_subprocess_exec(
        *("promtool", "check", "metrics"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await check.communicate(text.encode())
    assert (check.returncode, said.decode()) == (0, "")


async def test_every_metric_of_the_catalogue_is_exposed_and_no_other_with_its_help_type_and_labels(tmp_path: Path):
    async with dev_daemon(tmp_path) as dev:
        found = await dev.send(captured("exposed"))
        assert found
        async with dev.session.post(f"{dev.running.hooks}/webhooks/stripe", data=b"{}") as refused:
            assert refused.status == 401
        text, content_type = await scraped(dev)
    assert content_type.startswith("text/plain; version=0.0.4")
    assert 'webhookd_signature_failures_total{source="stripe"} 1.0' in text
    assert 'webhookd_facts_total{kind="payment",provider="stripe",status="captured"} 1.0' in text
    families = {family.name: family for family in plain_metrics(text)}
    ours = {name: family for name, family in families.items() if name.startswith("webhookd_")}
    declared = {metric.name.removesuffix("_total"): metric for metric in CATALOGUE.metrics.values()}
    assert ours.keys() == declared.keys()
    for name, metric in declared.items():
        family = ours[name]
        assert family.documentation == metric.what
        assert family.type == ("gauge" if metric.kind == "info" else metric.kind), name
        for sample in family.samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels), name
    assert {"process_cpu_seconds", "process_open_fds", "python_info"} <= families.keys()


async def test_who_asks_for_openmetrics_is_given_it(tmp_path: Path):
    async with dev_daemon(tmp_path) as dev:
        text, content_type = await scraped(dev, "application/openmetrics-text; version=1.0.0, text/plain;q=0.5")
    assert content_type.startswith("application/openmetrics-text")
    assert "webhookd_hooks" in {family.name for family in open_metrics(text)}
