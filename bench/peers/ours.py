"""webhookd itself: a daemon with its default configuration and one endpoint."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.peers.parts import Parts
from bench.peers.peer import IN_FLIGHT, MERCHANT_SECRET, Peer
from bench.rig.hooks import SECRET


class Ours(Peer):
    name = "webhookd"
    made_of = "one process, SQLite in it"
    means = "the event and its delivery are committed and synced to the log"
    power_cut = "nothing"
    settles_s = 10.0

    async def prepare(self, say: Callable[[str], None]) -> None:
        pass

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        config = directory / "webhookd.toml"
        lines = [
            *("[server]", 'listen = "127.0.0.1:0"', 'admin_listen = "127.0.0.1:0"'),
            *(f'data_dir = "{directory}/data"', 'min_free = "1MiB"'),
            *("[delivery]", 'allow_networks = ["127.0.0.0/8"]'),
            *("[sources.stripe]", 'provider = "stripe"', f'secrets = ["{SECRET}"]'),
            *("[endpoints.sink]", f'url = "{sink_url}"', f'secret = "{MERCHANT_SECRET}"'),
            f"max_in_flight = {IN_FLIGHT}",
        ]
        config.write_text("\n".join(lines) + "\n")
        command = (sys.executable, "-m", "webhookd", "serve", "-c", str(config))
        part = await parts.start("webhookd", command)
        ready = json.loads(await part.said('"event": "ready"'))
        return int(ready["hooks"].rpartition(":")[2])
