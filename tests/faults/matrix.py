"""The faults, and what is promised of each. A test that shows it is marked with its row: `@pytest.mark.fault(3)`."""

from typing import NamedTuple


class Fault(NamedTuple):
    name: str
    promise: str


FAULTS = {
    1: Fault("kill -9 at any moment under load", "nothing that was acked is lost or doubled; started again at once"),
    2: Fault("kill -9 at each write and each sync", "as 1, at every single one"),
    3: Fault("power loss: what was not synced is gone", "what was answered 200 is there"),
    4: Fault("power loss: sectors torn and in another order", "as 3, and the database is sound"),
    5: Fault("a sync fails (EIO) in a commit", "503, no 200 after it, exit, and a restart is whole"),
    6: Fault("a sync fails (EIO) in a checkpoint", "no 200 after it, exit, and a restart is whole"),
    7: Fault("a write fails (EIO) on the WAL", "as 5"),
    8: Fault("the disk is full", "503 and Retry-After, not ready, deliveries go on; recovers without a restart"),
    9: Fault("the disk is nearly full", "503 before SQLite ever fails"),
    10: Fault("the file system becomes read-only", "503, exit, and the message says so"),
    11: Fault("the disk is slow to sync", "answers are late or 503, none is wrong, and the watchdog stays quiet"),
    12: Fault("the disk hangs in a sync", "503 after a bounded time; the loop lives, the watchdog restarts"),
    13: Fault("somebody reads for ever", "the WAL stays bounded or is bounded again once he is gone"),
    14: Fault("another process holds the write lock", "waits, then 503; no crash"),
    15: Fault("the database or its WAL is removed, replaced or truncated", "found at once: no 200 after it, exit"),
    16: Fault("code that opens the database file beside SQLite", "there is none"),
    18: Fault("a database of a newer webhookd, or of another program", "refused with exit code 78, left as it is"),
    19: Fault("a second daemon on the same directory", "refused; the first does not notice"),
    21: Fault("killed for its memory", "as 1; what is held in memory is bounded"),
    23: Fault("the event loop is blocked", "the watchdog restarts it"),
    24: Fault("SIGTERM under load, and a second one", "drains, exit 0, no ack lost; the second ends it at once"),
    25: Fault("the wall clock jumps", "schedules go on, nothing is sent early in a heap, signatures follow the clock"),
    26: Fault("DNS fails, hangs, rebinds or answers without end", "retried, cut in time, blocked, bounded"),
    27: Fault("merchant: refuses, resets, swallows", "named for what it was, in bounded time, and retried"),
    28: Fault("merchant: bad TLS", "failure `tls`, retried, never sent in the clear"),
    29: Fault("merchant: trickles, endless bodies and heads, bombs, redirects", "cut at the limits"),
    30: Fault("the answer is lost after the merchant has worked", "sent again with the same id and body"),
    31: Fault("killed between the merchant's 2xx and the commit", "one request more, with the same id"),
    32: Fault("one merchant swallows with a long backlog", "the others do not notice; he is probed, then drained"),
    33: Fault("all merchants down, and back", "all of it delivered, paced, in flat memory"),
    34: Fault("packets are lost, the line is slow", "progress, and no event twice under two ids"),
    35: Fault("ten times the capacity, storms of retries", "goodput holds; who is shed is told when to come back"),
    36: Fault("thousands of slow connections", "cut at their deadlines; good traffic goes on"),
    38: Fault("kill -9 in a migration", "the old schema or the new one, never between"),
    39: Fault("kill -9 in a backup, and in pruning", "a whole backup or none; nothing undelivered is gone"),
    40: Fault(
        "PostgreSQL is stopped, killed, frozen, cut off",
        "503 while it is away; commits become known; goes on by itself",
    ),
    41: Fault(
        "two nodes, one dead or frozen beyond its lease", "the other takes over; what comes late is not recorded"
    ),
    42: Fault("secrets rotated and the configuration reloaded under load", "no 401 for either, no ack lost"),
    43: Fault(
        "an application with an outbox, webhookd or its database killed at any moment",
        "of what is committed one event, of what is not none",
    ),
    51: Fault("bad HTTP", "the documented answer, nothing else; bounded lines in the log, no growth"),
    52: Fault("bad bodies, authentic and not", "200 and quarantined, or 401: never 5xx, never lost"),
    53: Fault("secrets and card numbers where they should not be", "in no log, metric, error page or column of text"),
    54: Fault("kills, pauses, disk, clock, network, reloads at once", "every invariant, and all is delivered"),
    55: Fault("any order of what the store can be asked", "it answers as a plain model of it does"),
    56: Fault(
        "three nodes: killed, frozen, cut off, reloaded while their server crashes",
        "every invariant; order and limits of an endpoint hold across nodes; a takeover costs one request more at most",
    ),
}
"""1 to 42 are numbered as in the project's fault matrix."""
