"""Begins to listen: where systemd has, or else where the configuration says."""

import asyncio
import os
from collections.abc import Sequence
from socket import socket
from typing import cast

from aiohttp import web

from webhookd.config.mistake import ConfigError
from webhookd.config.value import Address
from webhookd.receive.server import BACKLOG

ACCEPTED_AT_ONCE = 16
"""uvloop takes one connection from a listening socket in each turn of the loop, and turns are few when there is much to
do: so each socket is listened to as often as this, by descriptors of its own."""


async def listen(runner: web.BaseRunner, inherited: Sequence[socket], address: Address) -> Address:
    """Serve on the sockets that systemd handed over, else on the address. Raises ConfigError when that is taken."""
    await runner.setup()
    sites: list[web.BaseSite] = [web.SockSite(runner, each, backlog=BACKLOG) for each in inherited]
    if not sites:
        sites = [web.TCPSite(runner, address.host, address.port, backlog=BACKLOG, reuse_address=True)]
    try:
        for site in sites:
            await site.start()
        for site in sites:
            for each in _sockets(site) * (ACCEPTED_AT_ONCE - 1):
                await web.SockSite(runner, socket(fileno=os.dup(each.fileno())), backlog=BACKLOG).start()
    except OSError as error:
        how = "choose another with --listen or --admin-listen"
        raise ConfigError([f"cannot listen on {address}: {error.strerror}; {how}"]) from None
    return Address(*runner.addresses[0][:2])


def _sockets(site: web.BaseSite) -> list[socket]:
    """Those that it listens on."""
    return [*cast(asyncio.Server, site._server).sockets]  # noqa: SLF001 - nothing else tells
