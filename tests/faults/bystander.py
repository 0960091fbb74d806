"""Somebody else who has the database open, as an operator's `sqlite3` may have.

    python -m tests.faults.bystander DATABASE STATEMENT …

Executes them, says "there", and stays so until its standard input ends.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.running import PATIENCE_S
from webhookd.store.sqlite.driver import driver

READS = ("BEGIN", "SELECT count(*) FROM event")
WRITES = ("BEGIN IMMEDIATE",)


@asynccontextmanager
async def bystander(database: Path, *statements: str) -> AsyncIterator[None]:
    """Until the end of it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults.bystander", str(database), *statements),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert await process.stdout.readline() == b"there\n"
        yield
    finally:
        async with asyncio.timeout(PATIENCE_S):
            await process.communicate(b"")
    assert process.returncode == 0


def main() -> None:
    database, *statements = sys.argv[1:]
    connection = driver.connect(database, isolation_level=None, timeout=PATIENCE_S)
    for statement in statements:
        connection.execute(statement).fetchall()
    print("there", flush=True)
    sys.stdin.read()
    connection.close()


if __name__ == "__main__":
    main()
