"""What the operating system gives a process: signals, descriptors, a watchdog."""

import asyncio
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from webhookd.core.fault import place
from webhookd.observe.liveness import BEAT_S, Dispatcher, Signs, Watchdog
from webhookd.observe.sd_notify import notify, watchdog_interval_s
from webhookd.service import Failed, Service

FILES_MAX = 65536
ECHO_S = 0.5
"""Within so long a stop signal to the single executable may come again: its launchers hand on what we got, too."""
_log = structlog.get_logger("webhookd.daemon")


def watch_signals(stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """Call these on SIGTERM and SIGINT, and on SIGHUP. What nobody catches on the loop is logged."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_on_loop_error)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _without_echo(stop, loop) if getattr(sys, "frozen", False) else stop)
    loop.add_signal_handler(signal.SIGHUP, reload)


def _without_echo(stop: Callable[[], None], loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    heard_at = -ECHO_S

    def heed() -> None:
        nonlocal heard_at
        if loop.time() - heard_at >= ECHO_S:
            heard_at = loop.time()
            stop()

    return heed


def raise_file_limit() -> None:
    """As many descriptors as we may have: connections of strangers must not use up those of deliveries."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, FILES_MAX)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def watchdog(
    now_s: Callable[[], float], ask_writer: Callable[[], Awaitable[None]], dispatcher: Dispatcher, failed: Failed
) -> list[Service | Watchdog]:
    """What has systemd's watchdog fed while loop, writer and dispatcher live; nothing where there is none to feed."""
    interval_s = watchdog_interval_s()
    if interval_s is None:
        return []
    signs = Signs(now_s, ask_writer, dispatcher)
    return [
        Service("pulse", BEAT_S, signs.beat, failed),
        Service("writer-pulse", 2 * BEAT_S, signs.ask_writer, failed),
        Watchdog(signs.probes, interval_s, notify),
    ]


def _on_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    _log.error("unhandled", kind=type(error).__name__, at=place(error))
