"""A start: what was owed goes out first, and it is said to be ready once both listeners answer."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO

import aiohttp
import pytest

from tests.daemon.merchant import Merchant, merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.daemon.test_watchdog import hold
from tests.running import RunningDaemon, configuration, daemon, endpoint
from tests.shell import ROOT
from webhookd.observe.whereabouts import running_at

NOT_NEEDED = {"aiohttp", "prometheus_client", "cryptography.x509", "rich", "webhookd.receive", "webhookd.evidence"}
"""By a delivery; it takes longer to load than all that is."""
SLOWLY = [sys.executable, "-m", "tests.daemon.slow_to_load", "serve"]


@asynccontextmanager
async def loading(directory: Path) -> AsyncIterator[tuple[Merchant, RunningDaemon, "asyncio.Task[None]", IO[bytes]]]:
    """A daemon that was killed while a merchant had not answered, and that has started again as far as to load what
    listens. It does so when the file is closed; the task ends when it says that it is ready.
    """
    os.mkfifo(directory / "load")
    async with merchant() as shop:
        shop.before_answer = asyncio.Event().wait
        async with daemon(directory, configuration(endpoints=endpoint("shop", shop.port))) as killed:
            body = stripe_event()
            await post(killed, "stripe", body, stripe_headers(body))
            await shop.has(1)
        shop.before_answer = None
        again = RunningDaemon(directory, SLOWLY, {})
        starting = asyncio.create_task(again.start())
        try:
            with await hold(directory / "load") as held:
                yield shop, again, starting, held
        finally:
            await asyncio.gather(starting, return_exceptions=True)
            await again.kill()


async def test_what_was_owed_is_delivered_before_anything_listens(tmp_path: Path):
    async with loading(tmp_path) as (shop, again, starting, held):
        first, repeated = await shop.has(2)
        assert first.headers["webhook-id"] == repeated.headers["webhook-id"]
        assert "ready" not in [line["event"] for line in again.log]
        assert running_at(tmp_path / "data") is None, "who looks for it would be refused"
        held.close()
        await starting
        async with aiohttp.ClientSession() as session:
            for url in (f"{again.hooks}/readyz", f"{again.admin}/api/v1/openapi.json"):
                async with session.get(url) as answer:
                    assert answer.status == 200


async def test_it_can_be_stopped_before_anything_listens_and_keeps_what_it_has_delivered(tmp_path: Path):
    async with loading(tmp_path) as (shop, again, starting, held):
        await shop.has(2)
        again.send_signal(signal.SIGTERM)
        await again.logged("stopping")
        held.close()
        await asyncio.wait([starting])
        assert await again.ended() == 0
        assert [line["event"] for line in again.log] == ["stopping", "stopped"]
        async with daemon(tmp_path, (tmp_path / "webhookd.toml").read_text()) as third:
            body = stripe_event("evt_2")
            await post(third, "stripe", body, stripe_headers(body))
            first, _, other = await shop.has(3)
            assert first.headers["webhook-id"] != other.headers["webhook-id"], "what was delivered was settled"


@pytest.mark.fault(8)
async def test_that_it_cannot_note_where_it_listens_keeps_it_from_nothing(tmp_path: Path):
    """There may be no room for even that."""
    (tmp_path / "data" / "daemon.json.new").mkdir(parents=True)
    async with daemon(tmp_path) as running:
        await running.logged("whereabouts_not_noted")
        body = stripe_event()
        assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200
        assert await running.stop() == 0


def test_before_the_first_delivery_only_what_delivers_is_loaded():
    probe = "import sys; from webhookd.cli.plain import load_what_delivers as load; load(); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    loaded = set(said.split())
    assert "webhookd.dispatch.dispatcher" in loaded
    assert not NOT_NEEDED & loaded
    assert not {each for each in loaded if each.startswith(("webhookd.admin.dashboard", "webhookd.inbound"))}
