"""In a network of its own: merchants whose names lead nowhere, nobody knows where, or where nothing may be sent.

Argument: a directory. Names that are not known lead to the merchant once an attempt has failed for it; the others stay.
"""

import asyncio
from pathlib import Path
from typing import Any

from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.deliver.raw import merchant, polite
from tests.faults.name_server import NameServer, Says
from tests.faults.namespace import run
from tests.faults.settled import settled
from tests.running import ENDPOINT_SECRET, configuration, daemon

SERVER = "127.0.0.53"
METADATA = "169.254.169.254"
BAD: dict[str, Says] = {
    "fails.example": "failure",
    "hangs.example": "nothing",
    "rebinds.example": [METADATA],
    "private.example": ["10.0.0.1", "192.168.0.1"],
    "crowded.example": [f"127.0.{number >> 8}.{number & 255}" for number in range(1, 1_001)],
}


async def main(arguments: list[str]) -> dict[str, Any]:
    directory = Path(arguments[0])
    lookups = directory / "resolv.conf"
    lookups.write_text(f"nameserver {SERVER}\noptions timeout:6 attempts:1\n")
    run("mount", "--bind", str(lookups), "/etc/resolv.conf")
    for address in ("192.0.2.1/24", f"{METADATA}/32"):
        run("ip", "address", "add", address, "dev", "lo")
    names = NameServer(BAD)
    async with (
        names.listening(SERVER, 53),
        merchant(polite, host="0.0.0.0") as there,
    ):
        tables = [
            f'[endpoints.{name.partition(".")[0]}]\nurl = "http://{name}:{there.port}/hook"\n'
            f'secret = "{ENDPOINT_SECRET}"\nallow_http = true\n'
            for name in BAD
        ]
        config = configuration(endpoints="".join(tables), delivery='schedule = ["0s", "1s", "1s", "1s"]')
        async with daemon(directory, config) as running:
            body = stripe_event()
            _, answer = await post(running, "stripe", body, stripe_headers(body))

            async def mend(name: str) -> None:
                await running.logged("attempt_failed", endpoint=name.partition(".")[0])
                names.says[name] = ["127.0.0.1"]

            await asyncio.gather(mend("fails.example"), mend("hangs.example"))
            found = await settled(running, answer["event_id"])
            assert await running.stop() == 0
        dialled = {peer.writer.get_extra_info("sockname")[0] for peer in there.peers}
    return {
        "errors": {name: [each["error"] for each in delivery["history"]] for name, delivery in found.items()},
        "dialled": sorted(dialled),
        "ids": sorted({request.headers["webhook-id"] for peer in there.peers for request in peer.requests}),
    }
