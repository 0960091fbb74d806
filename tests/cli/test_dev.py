"""`serve --dev`: what somebody is told who has just arrived."""

import asyncio
from pathlib import Path

from tests.dev_daemon import dev_daemon
from tests.visitor import see_the_dashboard


async def test_dev_mode_says_where_the_dashboard_is_and_what_opens_it(tmp_path: Path):
    async with dev_daemon(tmp_path) as dev:
        said = await dev.running.logged("dev")
        token = Path(said["log_in_with"]).read_text().strip()
        await asyncio.to_thread(see_the_dashboard, said["dashboard"].rstrip("/"), token)
