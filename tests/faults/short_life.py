"""A process that may die at any step: what it said until then is what it can be held to."""

import asyncio
import json
import os
import signal
import traceback
import warnings
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

Tell = Callable[..., None]
"""Says something, as JSON; it was heard when this returns."""
BOUND_S = 120
"""Whoever lives longer is ended, so that a test ends that fails by hanging; nothing is timed by it."""


class Life(NamedTuple):
    said: list[list[Any]]
    failure: str
    """Why it did not come to its end; empty when it did, or was killed before it could say."""
    was_killed: bool


def live(work: Callable[[Tell], Coroutine[None, None, None]]) -> Life:
    """Done in a fork of this process, which has all loaded that it needs; to its end, or its death."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: pytest has threads; the child uses none
        child = os.fork()
    if not child:
        _be_born(work, writing)
    os.close(writing)
    with os.fdopen(reading) as heard:
        said = [json.loads(line) for line in heard]
    _, status = os.waitpid(child, 0)
    failure = said.pop()[1] if said and said[-1][0] == "failed" else ""
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        failure = f"not at its end after {BOUND_S} s"
    return Life(said, failure, os.WIFSIGNALED(status))


def _be_born(work: Callable[[Tell], Coroutine[None, None, None]], writing: int) -> None:
    signal.alarm(BOUND_S)

    def tell(*said: object) -> None:
        os.write(writing, json.dumps(said).encode() + b"\n")

    async def to_the_end() -> None:
        try:
            await work(tell)
        except BaseException:  # noqa: BLE001 - whatever it is: nothing in this process is to be closed in order
            tell("failed", traceback.format_exc()[-3_000:])
        finally:
            os._exit(0)

    try:
        asyncio.run(to_the_end())
    finally:
        os._exit(1)
