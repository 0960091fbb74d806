"""Who takes part, in the order of the table."""

from collections.abc import Mapping

from bench.peers.bullmq import BullMQ
from bench.peers.celery import Celery
from bench.peers.ours import Ours
from bench.peers.peer import Peer
from bench.peers.procrastinate import Procrastinate
from bench.peers.restate import Restate

OURS = Ours.name
PEERS: Mapping[str, Peer] = {
    peer.name: peer for peer in (Ours(), BullMQ("always"), BullMQ("everysec"), Restate(), Celery(), Procrastinate())
}
