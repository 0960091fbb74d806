"""All that is around the daemons, of which there may be one or several: their provider, their merchants, the lines."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.faults.jepsen.history import History
from tests.faults.jepsen.invariants import Broken
from tests.faults.jepsen.merchants import Merchants
from tests.faults.jepsen.nemesis import Planned
from tests.faults.jepsen.node import Node
from tests.faults.jepsen.provider import CARD_NUMBER, Provider
from tests.faults.jepsen.settings import LATECOMER, NAMES, Settings
from tests.faults.proxy import Proxy

STANDING = ("name", "state", "breaker", "retry_at", "failing_since", "in_flight", "backlog", "last_failure")
"""What tells why an endpoint gets nothing."""
ALL_NAMES: Sequence[str] = (*NAMES, LATECOMER)


class Load(NamedTuple):
    rate: float
    """New hooks a second."""
    money_one_in: int = 2
    """What was said of money stays in the ledger for good: a run that judges the file says little of it."""
    retention: str = ""
    """What stands under [retention]; the default keeps all of the run."""
    of_a_payment: int = 1
    """So many events speak of the same one."""


class World:
    """Ready for the first lives of its `nodes` once it was started."""

    def __init__(self, directory: Path, seed: int, load: Load, settings: Settings, lines: Mapping[str, Proxy]) -> None:
        self.directory = directory
        self.history = History(directory / "history.db")
        self.load, self.settings, self.lines = load, settings, lines
        self.merchants = Merchants(random.Random(f"{seed}:merchants"), self.history)
        self.provider: Provider
        self.nodes: list[Node] = []
        self.lives = 0
        self.takeovers = 0
        """Of endpoints, by one node from another: known once all was audited."""
        self._dice = random.Random(f"{seed}:provider")

    async def start(self) -> None:
        """All but the daemons."""
        await self.merchants.start([node.name for node in self.nodes])
        for line in self.lines.values():
            await line.start()
        for node in self.nodes:
            await node.hooks.start()
        load = self.load
        self.provider = Provider(
            self._dice, self.history, self._some_node, load.rate, load.money_one_in, load.of_a_payment
        )
        self.write_settings()
        self.now_signs()

    async def begin(self) -> None:
        """The first life of each node."""
        for node in self.nodes:
            await node.begin()

    async def stop(self) -> None:
        """However the run ended."""
        for node in self.nodes:
            await node.destroy()
        for line in self.lines.values():
            await line.stop()
        await self.merchants.stop()
        self.history.close()

    async def goes_on(self) -> None:
        for node in self.nodes:
            await node.goes_on()

    async def end(self) -> None:
        """All of them, as a supervisor does it."""
        for node in self.nodes:
            await node.end()

    def picked(self, fault: Planned) -> Node:
        """Whom it is done to."""
        return self.nodes[int(fault.pick * len(self.nodes))]

    def found(self, invariant: str, what: str) -> None:
        """A promise was broken."""
        self.history.note("finding", invariant, what)

    def born(self, node: Node) -> int:
        self.lives += 1
        self.merchants.lives[node.name] = self.lives
        self.merchants.taken_in_life[self.lives] = 0
        return self.lives

    async def left(self, node: Node, wanted: str | None) -> None:
        node.look_for_secrets("log", self.secrets(node), *node.said)

    def secrets(self, node: Node) -> set[str]:
        """What may stand nowhere."""
        return {CARD_NUMBER, node.running.token, *self.settings.ever}

    # --- What differs from world to world

    def files(self) -> tuple[int, int]:
        """Bytes of the database and its WAL, where they are the daemon's."""
        return 0, 0

    async def audit(self) -> list[Broken]:
        """Every broken promise, once no daemon runs."""
        raise NotImplementedError

    # --- Settings

    def write_settings(self) -> None:
        self.merchants.secrets = self.settings.of_endpoints
        for node in self.nodes:
            (node.directory / "webhookd.toml").write_text(self.text(node))

    def text(self, node: Node) -> str:
        return self.settings.text()

    def now_signs(self) -> None:
        """The daemons know the secret by now."""
        self.provider.secret = self.settings.of_provider[0]

    def _some_node(self, dice: random.Random) -> str:
        """Where a hook is sent: providers know of one address, and a load balancer behind it of all nodes."""
        return f"http://127.0.0.1:{dice.choice(self.nodes).hooks.port}/webhooks/stripe"

    async def nothing_pending(self, patience_s: float) -> bool:
        """Whether all that was owed has been delivered in time."""
        try:
            async with asyncio.timeout(patience_s):
                while (await self.nodes[0].asked("GET", "/api/v1/status"))["backlog"]:
                    await asyncio.sleep(0.05)
        except TimeoutError:
            return False
        return True

    async def forgive(self) -> None:
        """As an operator does who knows that all merchants are well: an open breaker may wait ten minutes for its next
        probe, and one probe in twenty fails here.
        """
        node = self.nodes[0]
        for view in (await node.asked("GET", "/api/v1/endpoints"))["data"]:
            if view["breaker"] != "closed":
                for deed in ("pause", "resume"):
                    await node.asked("POST", f"/api/v1/endpoints/{view['name']}/{deed}")

    async def owed(self) -> str:
        """To whom, and what is said of them: by the daemons, by their lines, and by what they did last."""
        said = []
        for node in self.nodes:
            views = (await node.asked("GET", "/api/v1/endpoints"))["data"]
            said += [f"{node.name} {[view[field] for field in STANDING]}" for view in views if view["backlog"]]
        for name, line in self.lines.items():
            asked = "SELECT count(*), max(arrived) FROM request WHERE merchant = ?"
            [(requests, last)] = self.history.rows(asked, name)
            said.append(f"{name}: {line.weather}, {requests} requests, the last at {last}")
        return f"at {self.history.now():.1f}: {'; '.join(said)}"
