"""A bridge, and nodes that are on it as machines are on a network: each in a Linux namespace of its own.

On the bridge's side, at HOST, are PostgreSQL, the merchants' lines, and who sends hooks. A line is cut as by a switch:
packets are dropped both ways, and nobody is told.
"""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from tests.faults.namespace import run

HOST, NETWORK = "10.77.0.1", "10.77.0.0/24"
_BRIDGE = "nodes"


class Network:
    """Of the namespace that this process is in; `namespace.main` has made its table of rules."""

    def __init__(self, nodes: Sequence[str], prefixes: Mapping[str, Sequence[str]]) -> None:
        self.nodes = nodes
        self._prefixes = prefixes
        self._weather: dict[str, Sequence[str]] = {}

    def address(self, node: str) -> str:
        return f"10.77.0.{11 + self.nodes.index(node)}"

    def node_at(self, address: str) -> str | None:
        return next((node for node in self.nodes if self.address(node) == address), None)

    def prefix(self, node: str) -> Sequence[str]:
        """What stands before a command that is to run there."""
        return self._prefixes[node]

    def strike(self, node: str, ports: Sequence[int], verdict: str = "drop") -> None:
        """What goes between that node and those ports of HOST, either way; until `heal`."""
        its, them = self.address(node), ", ".join(map(str, ports))
        self._weather[f"{node} {them}"] = (
            f"add rule ip weather input ip saddr {its} tcp dport {{ {them} }} {verdict}",
            f"add rule ip weather output ip daddr {its} tcp sport {{ {them} }} {verdict}",
        )
        self._blow()

    def heal(self, node: str, ports: Sequence[int]) -> None:
        self._weather.pop(f"{node} {', '.join(map(str, ports))}", None)
        self._blow()

    def _blow(self) -> None:
        """All rules anew, in one transaction: those of two faults may hold at the same time."""
        rules = ["flush chain ip weather input", "flush chain ip weather output"]
        rules += [rule for rules in self._weather.values() for rule in rules]
        subprocess.run(["nft", "-f", "-"], input="\n".join(rules), text=True, check=True)


@contextmanager
def network(nodes: Sequence[str]) -> Iterator[Network]:
    run("ip", "link", "add", _BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{HOST}/24", "dev", _BRIDGE)
    run("ip", "link", "set", _BRIDGE, "up")
    run("nft", "add", "chain", "ip", "weather", "output", "{ type filter hook output priority 0; }")
    with ExitStack() as holding:
        holders = {node: holding.enter_context(_namespace()) for node in nodes}
        made = Network(nodes, {node: ("nsenter", f"--net=/proc/{pid}/ns/net", "--") for node, pid in holders.items()})
        for node, pid in holders.items():
            near, far = f"to-{node}", f"of-{node}"
            run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", str(pid))
            run("ip", "link", "set", near, "master", _BRIDGE, "up")
            within = made.prefix(node)
            run(*within, "ip", "address", "add", f"{made.address(node)}/24", "dev", far)
            run(*within, "ip", "link", "set", far, "up")
            run(*within, "ip", "link", "set", "lo", "up")
        yield made


@contextmanager
def _namespace() -> Iterator[int]:
    """The id of a process that holds it, until we end or leave, however that comes."""
    with subprocess.Popen(
        ["unshare", "--net", "--", "sh", "-c", "echo there; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "there\n"
        yield holder.pid
        # `with` closes its standard input, and it ends
