"""Restate: its server, a Node service that it drives with its SDK, and a Node receiver before its ingress."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from bench.peers import npm
from bench.peers.parts import Parts
from bench.peers.peer import BUILD, IN_FLIGHT, MERCHANT_SECRET, Peer
from bench.peers.ports import kept_ports
from bench.rig.hooks import SECRET

_HERE = Path(__file__).with_suffix("")
_BUILT = BUILD / "restate"
_READY_S_MAX = 60
_READY_POLL_S = 0.1


class Restate(Peer):
    name = "restate"
    made_of = "restate-server 1.7.12, Node with its SDK 1.17.2"
    means = "the invocation is in Restate's log, which is synced (its default)"
    power_cut = "nothing"
    settles_s = 30.0  # partitions find their leader in seconds, and the waits of its retries end at 10 s
    debian = npm.DEBIAN

    async def prepare(self, say: Callable[[str], None]) -> None:
        await npm.installed(_HERE, _BUILT, say)

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        # The same ports at each start, since Restate remembers where the service is.
        ports = kept_ports(directory, ("ingress", "admin", "node", "service"))
        service = await parts.start(
            "service",
            ["node", _BUILT / "service.mjs"],
            env={
                "PORT": str(ports["service"]),
                "SINK_URL": sink_url,
                "MERCHANT_SECRET": MERCHANT_SECRET,
                "IN_FLIGHT": str(IN_FLIGHT),
                "NODE_ENV": "production",  # Node's guide
                "RESTATE_LOGGING": "WARN",  # the SDK's default is a line for each step
            },
        )
        await service.said("listening")
        await parts.start(
            "restate-server",
            [_binary(), "--config-file", _HERE / "restate.toml", "--base-dir", directory / "restate"],
            env={
                "RESTATE_BIND_PORT": str(ports["node"]),
                "RESTATE_ADMIN__BIND_PORT": str(ports["admin"]),
                "RESTATE_INGRESS__BIND_PORT": str(ports["ingress"]),
            },
        )
        await _ready(parts, ports)
        receiver = await parts.start(
            "receiver",
            ["node", _BUILT / "receiver.mjs"],
            env={
                "INGRESS": f"http://127.0.0.1:{ports['ingress']}",
                "STRIPE_SECRET": SECRET,
                "NODE_ENV": "production",
            },
        )
        return int((await receiver.said("listening")).split()[-1])


def _binary() -> Path:
    """What the package's own script would run, without a Node process around it."""
    [binary] = _BUILT.glob("node_modules/@restatedev/restate-server-*/bin/restate-server")
    return binary


async def _ready(parts: Parts, ports: Mapping[str, int]) -> None:
    """Wait until the server knows the service: it is told at each start, which changes nothing from the second on."""
    deployment = {"uri": f"http://127.0.0.1:{ports['service']}"}
    async with asyncio.timeout(_READY_S_MAX), aiohttp.ClientSession() as session:
        while True:
            parts.check()
            with suppress(aiohttp.ClientConnectionError):
                async with session.post(f"http://127.0.0.1:{ports['admin']}/deployments", json=deployment) as answer:
                    if answer.ok:
                        return
            await asyncio.sleep(_READY_POLL_S)
