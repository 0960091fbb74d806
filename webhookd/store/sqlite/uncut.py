"""Work on a thread of its own that no cancelled task cuts in half."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(function: Callable[[], T]) -> T:
    """When the caller is cancelled, that waits until the function has ended."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
