"""Begins to listen: where systemd has, or else where the configuration says."""

from collections.abc import Sequence
from socket import socket

from aiohttp import web

from webhookd.config.mistake import ConfigError
from webhookd.config.value import Address
from webhookd.receive.server import BACKLOG


async def listen(runner: web.BaseRunner, inherited: Sequence[socket], address: Address) -> Address:
    """Serve on the sockets that systemd handed over, else on the address. Raises ConfigError when that is taken."""
    await runner.setup()
    sites: list[web.BaseSite] = [web.SockSite(runner, each, backlog=BACKLOG) for each in inherited]
    if not sites:
        sites = [web.TCPSite(runner, address.host, address.port, backlog=BACKLOG, reuse_address=True)]
    try:
        for site in sites:
            await site.start()
    except OSError as error:
        how = "choose another with --listen or --admin-listen"
        raise ConfigError([f"cannot listen on {address}: {error.strerror}; {how}"]) from None
    return Address(*runner.addresses[0][:2])
