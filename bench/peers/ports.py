"""Ports of loopback for servers that have to be told theirs."""

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path


def free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


def kept_ports(directory: Path, names: Sequence[str]) -> dict[str, int]:
    """The same at each start in this directory: for a server that remembers where others are."""
    file = directory / "ports.json"
    if not file.exists():
        with ExitStack() as all_at_once:  # or one port might be given twice
            sockets = [all_at_once.enter_context(socket.socket()) for _ in names]
            for each in sockets:
                each.bind(("127.0.0.1", 0))
            file.write_text(json.dumps({name: s.getsockname()[1] for name, s in zip(names, sockets, strict=True)}))
    ports: dict[str, int] = json.loads(file.read_text())
    return ports
