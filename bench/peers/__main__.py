"""The same work done by webhookd and by what else one would pick for it, on this machine, in one run.

    python -m bench.peers [--peers webhookd,bullmq-always] [--events 10000] [--rounds 3] [--rates 200 500]
                          [--seconds 10] [--kills 5] [--picture peers.png] [--json]

The work: take signed Stripe events of 1 KiB, check the signature, make them durable, answer 200, and post them to a
merchant, signed as Standard Webhooks are, 64 at a time. Each peer is installed from its package in an exact version
(into build/peers, once), set up as its own documentation recommends, and started by this bench on a fresh directory.
Debian's packages are not installed: whoever lacks one is left out, and that is said.

In each round all peers and a bare aiohttp echo have their turn, in an order that is rotated from round to round.

  accepted/s    a closed loop of 64 connections, after one of a tenth that does not count, while events are delivered
  events/s      from the first hook sent to the last event that reached the merchant
  of echo, of webhookd   events/s, as the median of the ratios within each round
  hook to merchant       an open loop at a rate: from when a hook was due until the merchant has its event
  CPU ms/event  of all processes; MB is their resident memory, a page that some share being counted once

Then each peer has all its processes killed (SIGKILL) at once under load, several times, and is started again on the
same directory. Hooks without a 200 are sent again, as providers do. When it has been silent for as long as its own
settings let it be, the acknowledged hooks that never reached the merchant are counted as lost.

A SIGKILL leaves the kernel's page cache alone; a power cut does not, and cannot be had here. What it takes is stated,
not measured.

A turn does not count when a hook was not answered 200, an event did not arrive, or a post was not signed: its peer is
then left out, and that is said. A rate at which the load could not be sent on time has no latency. Without webhookd
nothing is reported. Exit code 1 when webhookd has not what is asked of it beside those that took part.
"""

import argparse
import sys
from collections.abc import Sequence

import uvloop
from rich.console import Console
from rich.progress import Progress

from bench.peers.comparison import Comparison
from bench.peers.known import OURS, PEERS
from bench.peers.peer import Peer
from bench.peers.report import Report, show
from bench.rig import picture
from bench.rig.command import above_zero, command, new_file, one_or_more, tell


def named(names: str) -> list[Peer]:
    """Those of a list with commas, and webhookd, in the order of the table. Raises ArgumentTypeError for others."""
    wanted = {OURS, *filter(None, names.split(","))}
    if unknown := wanted - PEERS.keys():
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    return [peer for name, peer in PEERS.items() if name in wanted]


async def compare(
    peers: Sequence[Peer], events: int, rounds: int, rates: Sequence[float], seconds: float, kills: int, seed: int
) -> Report:
    """Raises SystemExit when webhookd cannot be measured."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        comparison = Comparison(peers, progress)
        await comparison.prepare()
        await comparison.measure(events, rounds, rates, seconds)
        if kills:
            await comparison.kill(kills, seed)
    return comparison.report(events)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peers", type=named, default=list(PEERS.values()), metavar="NAMES", help=f"some of {','.join(PEERS)}"
    )
    parser.add_argument("--events", type=one_or_more, default=10_000, help="hooks in each closed loop")
    parser.add_argument("--rounds", type=one_or_more, default=3, help="how often all are measured, in turn")
    parser.add_argument(
        "--rates", type=above_zero, nargs="*", default=[200, 500], metavar="RATE", help="hooks a second"
    )
    parser.add_argument("--seconds", type=above_zero, default=10, help="of each rate that are measured")
    parser.add_argument("--kills", type=int, default=5, help="of each peer; 0: none")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the kills")
    parser.add_argument(
        "--picture", type=new_file, metavar="FILE", help="draw the events a second of each into this PNG"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    arguments = parser.parse_args()
    report = uvloop.run(
        compare(
            *(arguments.peers, arguments.events, arguments.rounds, arguments.rates),
            *(arguments.seconds, arguments.kills, arguments.seed),
        )
    )
    tell(report, lambda: show(report), as_json=arguments.json)
    if arguments.picture is not None:
        rates = {row.name: float(row.events_per_s) for row in report.peers}
        title = "Taken in, made durable, delivered: events a second"
        arguments.picture.write_bytes(picture.bars(rates, title, accent=OURS))
    sys.exit(0 if report.kept else 1)


if __name__ == "__main__":
    command(main)
