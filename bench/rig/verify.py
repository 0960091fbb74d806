"""What a database says of itself after a measurement."""

import asyncio
import sys
from pathlib import Path

import msgspec

from bench.rig.daemon import database_of


async def verify(config: Path) -> list[str]:
    """What `webhookd verify` finds wrong."""
    command = (sys.executable, "-m", "webhookd", "verify", str(database_of(config)), "--json")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate()
    if process.returncode not in (0, 1) or not answer:
        raise SystemExit(f"refused to report: webhookd verify ended with {process.returncode}")
    return [" ".join(map(str, finding.values())) for finding in msgspec.json.decode(answer)["findings"]]
