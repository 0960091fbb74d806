"""webhookd itself: a daemon with its default configuration and one endpoint."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from bench.peers.parts import Parts
from bench.peers.peer import IN_FLIGHT, MERCHANT_SECRET, Peer
from bench.rig.daemon import configure


class Ours(Peer):
    name = "webhookd"
    made_of = "one process, SQLite in it"
    means = "the event and its delivery are committed and synced to the log"
    power_cut = "nothing"
    settles_s = 10.0

    async def prepare(self, say: Callable[[str], None]) -> None:
        pass

    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        endpoint = f'[endpoints.sink]\nurl = "{sink_url}"\nsecret = "{MERCHANT_SECRET}"\nmax_in_flight = {IN_FLIGHT}'
        config = configure(directory, endpoint)
        command = (sys.executable, "-m", "webhookd", "serve", "-c", str(config))
        part = await parts.start("webhookd", command)
        ready = json.loads(await part.said('"event": "ready"'))
        return int(ready["hooks"].rpartition(":")[2])
