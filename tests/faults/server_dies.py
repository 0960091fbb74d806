"""Does a deed again and again while PostgreSQL dies, as what is said to it or what it answers is on its way.

    python -m tests.faults.server_dies DEED DIRECTORY --seed N [--of-each-kind K]

Prints a line of JSON. What was said is not heard by the server then, and what was answered not by who asked: it may be
committed. Whoever does the deed goes on, with a server that has recovered.
"""

import argparse
import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from tests.daemon.on_postgres import crash
from tests.faults.deeds import DEEDS
from tests.faults.deeds.deed import URL, Deed
from tests.faults.grounds import Databases
from tests.faults.proxy import Proxy
from tests.faults.struck import Swept
from tests.postgres import Server, server

SAID, ANSWERED = "said", "answered"


class Deathly(Proxy):
    """The way to the server, which is killed once so many pieces have passed, and started again; None: never."""

    def __init__(self, own: Server, after: int | None) -> None:
        super().__init__((own.host, own.port))
        self.pieces: list[str] = []
        """What has passed, and what was to be the next."""
        self.killed_as = ""
        """What was on its way."""
        self._postgres, self._after = own, after
        self._starting: asyncio.Task[None] | None = None

    def lets_pass(self, *, is_asking: bool) -> bool:
        self.pieces.append(SAID if is_asking else ANSWERED)
        if len(self.pieces) - 1 != self._after:
            return True
        self.killed_as = self.pieces[-1]
        crash(self._postgres, self._postgres.data)
        self._starting = asyncio.create_task(asyncio.to_thread(self._postgres.start))
        return False

    async def stop(self) -> None:
        await super().stop()
        if self._starting is not None:
            await self._starting


class Deaths:
    """A deed, done again and again on the same ground."""

    def __init__(self, deed: Deed, ground: Databases, own: Server, dice: random.Random) -> None:
        self._deed, self._ground, self._server, self._dice = deed, ground, own, dice
        self._prepared: list[list[Any]] = []
        asyncio.run(deed.prepare(ground.before, lambda *what: self._prepared.append(list(what))))
        self._swept = Swept(0, Counter(), [], [])

    def run(self, of_each_kind: int | None = None) -> Swept:
        """Kill at each piece, or at so many of each kind. Ends with the first that leaves a promise broken."""
        pieces = self._done(None).pieces
        chosen = [*range(len(pieces))]
        if of_each_kind is not None:
            kinds = [[place for place in chosen if pieces[place] == kind] for kind in (SAID, ANSWERED)]
            chosen = [place for kind in kinds for place in self._dice.sample(kind, of_each_kind)]
        for place in chosen:
            if self._swept.broken:
                break
            # At the very end there may be fewer pieces this time: two may come as one.
            self._swept.kills[self._done(place).killed_as or "nothing"] += 1
        return self._swept._replace(calls=len(pieces))

    def _done(self, after: int | None) -> Deathly:
        ground, acked = self._ground, list(self._prepared)
        ground.copy(ground.before, ground.data)
        line = Deathly(self._server, after)
        asyncio.run(self._do(line, acked))
        ground.copy(ground.data, ground.looked_at)
        broken = asyncio.run(self._deed.broken(ground.looked_at, json.loads(json.dumps(acked)), over=True))
        self._swept.broken.extend(
            f"killed after {after} pieces, as one was {line.killed_as}: {each}" for each in broken
        )
        return line

    async def _do(self, line: Deathly, acked: list[list[Any]]) -> None:
        await line.start()
        try:
            url = self._ground.data / URL
            url.write_text(url.read_text().replace(f":{self._server.port}/", f":{line.port}/"))
            await self._deed.do(self._ground.data, lambda: None, lambda *what: acked.append(list(what)))
        finally:
            await line.stop()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("deed", choices=("receive", "settle", "prune"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--of-each-kind", type=int)
    own = parser.parse_args()
    dice = random.Random(f"{own.seed}:{own.deed}")
    with server() as its:
        swept = Deaths(DEEDS[own.deed](dice), Databases(own.directory, its), its, dice).run(own.of_each_kind)
    print(json.dumps(swept._asdict()))


if __name__ == "__main__":
    main()
