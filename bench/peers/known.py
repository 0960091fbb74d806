"""Who takes part, in the order of the table."""

from collections.abc import Mapping

from bench.peers.bullmq import BullMQ
from bench.peers.ours import Ours
from bench.peers.peer import Peer

OURS = Ours.name
PEERS: Mapping[str, Peer] = {peer.name: peer for peer in (Ours(), BullMQ("always"), BullMQ("everysec"))}
