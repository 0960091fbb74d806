"""A part of the rig in a process of its own, so that it does not use up the time of another part."""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import uvloop

Asked = TypeVar("Asked", bound=msgspec.Struct)
Found = TypeVar("Found", bound=msgspec.Struct)
ROOT = Path(__file__).resolve().parents[2]


async def apart(module: str, asked: msgspec.Struct, kind: type[Found]) -> Found:
    """What the module finds when it is asked. It is killed when nobody waits for it any more. Raises SystemExit."""
    with tempfile.TemporaryFile() as told:  # megabytes, of which a pipe lost the end once
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module),
            stdin=asyncio.subprocess.PIPE,
            stdout=told,
            cwd=ROOT,
            start_new_session=True,
        )
        try:
            await process.communicate(msgspec.msgpack.encode(asked))
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise SystemExit(f"{module} ended with {process.returncode}")
        told.seek(0)
        return msgspec.msgpack.decode(told.read(), type=kind)


def answer(find: Callable[[Asked], Awaitable[Found]], kind: type[Asked]) -> None:
    """The module's side of it."""

    async def found() -> Found:
        return await find(msgspec.msgpack.decode(sys.stdin.buffer.read(), type=kind))

    sys.stdout.buffer.write(msgspec.msgpack.encode(uvloop.run(found())))
