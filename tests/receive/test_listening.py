"""How those who come at once are let in."""

import asyncio
import socket

import pytest
import uvloop
from aiohttp import web

from webhookd.config.value import Address
from webhookd.listening import ACCEPTED_AT_ONCE, listen

pytestmark = pytest.mark.fault(35, 36)
CONNECTIONS = 8 * ACCEPTED_AT_ONCE


async def turns_until_all_are_in() -> int:
    """Of the loop. They are in the kernel's queue when the first one begins."""

    async def handle(_request: web.BaseRequest) -> web.StreamResponse:
        raise NotImplementedError

    server = web.Server(handle)
    runner = web.ServerRunner(server)
    at = await listen(runner, [], Address("127.0.0.1", 0))
    comers = [socket.create_connection((at.host, at.port)) for _ in range(CONNECTIONS)]
    try:
        turns = 0
        while len(server.connections) < CONNECTIONS:
            await asyncio.sleep(0)
            turns += 1
        return turns
    finally:
        for each in comers:
            each.close()
        await runner.cleanup()


def test_many_who_come_at_once_are_let_in_within_few_turns_of_the_loop() -> None:
    """By uvloop one in a turn is taken from each descriptor that listens: with other work to do, one in a while."""
    assert uvloop.run(turns_until_all_are_in()) < CONNECTIONS / 4
