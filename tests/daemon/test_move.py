"""A log moves from SQLite to PostgreSQL under a daemon that is in use."""

import asyncio
from collections import Counter
from pathlib import Path

import aiohttp

from tests.admin.desk import desk
from tests.daemon.merchant import Got, merchant
from tests.daemon.on_postgres import STORE_KEY, send
from tests.faults.settled import settled
from tests.postgres import Server
from tests.running import PATIENCE_S, RunningDaemon, configuration, daemon, endpoint
from tests.shell import run


def kept_in(url: str, **tables: str) -> str:
    return configuration(**tables) + f'\n[store]\nurl = "{url}"\nkey = "{STORE_KEY}"\n'


WAITS = 'schedule = ["0s", "3s", "3s", "3s"]'
"""So that many wait for their second attempt while the log moves."""


def is_failing(got: Got) -> bool:
    return got.headers["webhook-id"][-1] in "0123" and got.headers["webhookd-attempt"] == "1"


async def test_senders_go_on_through_the_move_and_every_event_is_delivered_once(tmp_path: Path, postgres: Server):
    url = postgres.url()
    taken: set[str] = set()
    is_over = asyncio.Event()

    async def sender(running: RunningDaemon, name: str) -> None:
        number = 0
        while not is_over.is_set():
            try:
                status, event_id = await send(running, f"evt_{name}_{number}")
            except (OSError, aiohttp.ClientError):
                status, event_id = 0, None
            if status == 200:
                assert event_id is not None
                taken.add(event_id)
                number += 1
            await asyncio.sleep(0.01)

    async with merchant() as shop:
        shop.answer = lambda got: 500 if is_failing(got) else 200
        tables = {"endpoints": endpoint("shop", shop.port), "delivery": WAITS}
        async with daemon(tmp_path, kept_in("sqlite:webhookd.db", **tables)) as running:
            senders = [asyncio.create_task(sender(running, str(each))) for each in range(4)]
            await shop.has(50)
            moved = await run("move", "--to", url, "--stop", "--json", cwd=tmp_path)
            assert moved.code == 0, moved.err
            assert await running.ended() == 0
            assert moved.json["findings"] == []
            before = len(taken)
            (tmp_path / "webhookd.toml").write_text(kept_in(url, **tables))
            await running.start()
            async with asyncio.timeout(PATIENCE_S):
                while len(taken) < before + 50:
                    await asyncio.sleep(0.01)
            is_over.set()
            await asyncio.gather(*senders)
            for event_id in taken:
                assert (await settled(running, event_id))["shop"]["state"] == "delivered"
            async with desk(running) as operator:
                assert (await operator.get("/status"))["ready"]
        made = Counter((each.headers["webhook-id"], int(each.headers["webhookd-attempt"])) for each in shop.got)
        assert set(made.values()) == {1}
        assert taken <= {event_id for event_id, _number in made}
        failed = {each.headers["webhook-id"] for each in shop.got if is_failing(each)}
        assert {event_id for event_id, number in made if number == 2} == failed
