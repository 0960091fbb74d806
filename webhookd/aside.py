"""Runs what takes its time beside the loop, on a thread that nobody waits for when the process stops."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


async def aside(function: Callable[[], T]) -> T:
    """What the function gives, or raises."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def end(settle: Callable[[Any], None], found: Any) -> None:
        if not future.done():
            settle(found)

    def run() -> None:
        found: tuple[Callable[[Any], None], Any]
        try:
            found = future.set_result, function()
        except Exception as error:  # noqa: BLE001 - handed on
            found = future.set_exception, error
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(end, *found)

    threading.Thread(target=run, name="aside", daemon=True).start()
    return await future
