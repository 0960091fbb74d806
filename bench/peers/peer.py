"""What takes part in the comparison: something that takes hooks in, answers 200, and posts them to a merchant.

The work is the same for each: check Stripe's signature over the raw body (`bench.rig.hooks.SECRET`), make the event
durable, answer 200, and post the same raw body to the sink with the headers `webhook-id` (stable for an event),
`webhook-timestamp` and `webhook-signature` (Standard Webhooks, with `MERCHANT_SECRET`): up to `IN_FLIGHT` at a time,
over connections that are kept. What was not answered 2xx is tried again, with growing waits. An event that was taken
in before is answered 200 and, as far as it is still known, not posted again.
"""

import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.peers.parts import Parts

MERCHANT_SECRET = "whsec_YmVuY2gtYmVuY2gtYmVuY2gtYmVuY2gt"
"""What deliveries are signed with: the key is what stands after the underscore, in base64."""
IN_FLIGHT = 64
"""How many posts to the merchant are under way at most."""
BUILD = Path(__file__).resolve().parents[2] / "build" / "peers"


class Peer(ABC):
    """A subclass says in comments why each of its settings is what its own documentation recommends."""

    name: str
    """What `--peers` calls it."""
    made_of: str
    """Its parts, with the versions that decide."""
    means: str
    """What its 200 says: the end of the sentence "200 means that …"."""
    power_cut: str
    """What of that is lost when the power fails, in a few words. (A SIGKILL leaves the kernel's page cache alone.)"""
    settles_s: float
    """After it was killed and started again: how long it may be silent, by its own settings, and still have work."""
    sources: Sequence[str] = ("stripe",)
    """What it takes hooks of: /webhooks/{source}."""
    debian: Sequence[tuple[str, str]] = ()
    """(command, Debian's package of it): what must be on the machine. The bench installs none of these."""

    def missing(self) -> list[str]:
        """The packages of Debian that are not here."""
        return [package for command, package in self.debian if shutil.which(command) is None]

    @abstractmethod
    async def prepare(self, say: Callable[[str], None]) -> None:
        """Install what comes from a registry into `BUILD / name`, in exact versions, unless that was done before.

        What takes long is told to `say`. Raises SystemExit with the last words of what failed.
        """

    @abstractmethod
    async def start(self, parts: Parts, directory: Path, sink_url: str) -> int:
        """Start its parts (`parts.start`), wait until it is ready, and return the port that takes /webhooks/stripe.

        All it keeps is in the directory; when it was killed there, it takes up what is left. Raises SystemExit with its
        last words when it does not come up; what was started until then is killed by the caller.
        """


@asynccontextmanager
async def started(peer: Peer, directory: Path, sink_url: str) -> AsyncIterator[tuple[Parts, int]]:
    """Its parts, and its port for hooks. Stopped at the end, whatever happened."""
    parts = Parts()
    try:
        yield parts, await peer.start(parts, directory, sink_url)
    finally:
        await parts.stop()
