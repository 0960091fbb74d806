"""`GET /api/v1/nodes`: the processes that share the log, where several may."""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from webhookd.admin.door.operation import Asked, Nothing, Operation
from webhookd.core.units import time_text
from webhookd.store.protocol.claims import Node


class NodeView(msgspec.Struct):
    name: str
    """The machine's, and the process's number on it."""
    role: str
    alive: bool
    """Whether it was heard of within its lease; of one that was not others have taken the endpoints over."""
    endpoints: int
    """That it delivers to."""
    version: str
    started_at: str
    seen_at: str


class Nodes(msgspec.Struct):
    data: list[NodeView]
    """In the order in which they came; none where the store is SQLite, which one process has to itself."""


class NodesApi:
    def __init__(self, nodes: Callable[[], Awaitable[Sequence[Node]]]) -> None:
        self._nodes = nodes

    def operations(self) -> list[Operation]:
        return [
            Operation(
                "GET",
                "/api/v1/nodes",
                self.list,
                "The nodes that share the log",
                Nodes,
                detail="One that died is listed for ten minutes.",
            )
        ]

    async def list(self, _asked: Asked[Nothing, Nothing]) -> Nodes:
        return Nodes([node_view(each) for each in await self._nodes()])


def node_view(node: Node) -> NodeView:
    started_at, seen_at = time_text(node.started_at), time_text(node.seen_at)
    return NodeView(node.name, node.role, node.is_alive, node.claims, node.version, started_at, seen_at)
