"""Follows the daemon's stream for as long as somebody wants to know, over its restarts too."""

import http.client
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import msgspec

from webhookd.cli.client import Client
from webhookd.cli.options import messages

SILENCE_S_MAX = 45.0
"""The daemon says something every 15 seconds: one that is silent for so long is no longer there."""
RETRY_S = 1.0
PATH = "/api/v1/stream"


class Message(NamedTuple):
    kind: str
    data: Any
    position: str | None
    """Where to go on behind it; None for what does not move that."""


def follow(client: Client, **query: Any) -> Iterator[Message]:
    """Every message, for ever; of events each once. Ends the command when nobody answers the first time."""
    last: str | None = None
    is_waiting = False
    while True:
        try:
            with client.listen(PATH, SILENCE_S_MAX, last, **query) as response:
                is_waiting = False
                for message in _read(response):
                    last = message.position or last
                    yield message
        except (OSError, ValueError, http.client.HTTPException):
            pass
        if last is None:
            client.nobody()
        if not is_waiting:
            is_waiting = True
            messages.print("webhookd: the daemon has gone; waiting for it", markup=False, highlight=False)
        time.sleep(RETRY_S)
        client.find()


def _read(lines: Iterable[bytes]) -> Iterator[Message]:
    """Whole ones; what a break cuts short was not told."""
    fields: dict[str, str] = {}
    for line in lines:
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(":")
            fields[name] = value.removeprefix(" ")
        else:
            if "data" in fields:
                yield Message(fields.get("event", ""), msgspec.json.decode(fields["data"]), fields.get("id"))
            fields = {}
