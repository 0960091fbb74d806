"""Nothing opens the database beside SQLite: `tests/test_architecture.py` says so of the code, this of a process."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.faults.beside import OPENED_BESIDE
from tests.running import PATIENCE_S, configuration, daemon, endpoint
from tests.shell import run

WATCHED = [sys.executable, "-m", "tests.faults.beside", "serve"]


@pytest.mark.fault(16)
async def test_a_daemon_at_work_opens_its_database_through_sqlite_alone(tmp_path: Path):
    async with merchant() as shop:
        config = configuration(endpoints=endpoint("shop", shop.port))
        async with daemon(tmp_path, config, command=WATCHED) as running, desk(running) as operator:
            for number in range(5):
                body = stripe_event(f"evt_{number}")
                assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200
            await shop.has(5)
            assert (await operator.ask("POST", "/backup", {"file": "monday.db"})).status == 202
            async with asyncio.timeout(PATIENCE_S):
                while (await operator.get("/backup"))["state"] == "running":
                    pass
            assert (await operator.get("/backup"))["state"] == "done"
            assert (await run("verify", cwd=tmp_path)).code == 0
            assert (await operator.get("/status"))["backlog"] == 0
            assert await running.stop() == 0


@pytest.mark.parametrize("name", ["webhookd.db", "webhookd.db-shm"])
@pytest.mark.parametrize("mistake", ["open(path)", "os.open(path, os.O_RDONLY)", "shutil.copy(path, path + '.copy')"])
def test_whoever_opened_it_would_be_noticed(tmp_path: Path, name: str, mistake: str):
    (path := tmp_path / name).write_bytes(b"something")
    script = f"import os, shutil; from tests.faults.beside import watch; watch(); path = {str(path)!r}; {mistake}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[2], check=False, capture_output=True
    )
    assert done.returncode == OPENED_BESIDE, done.stderr
