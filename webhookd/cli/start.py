"""Starts the daemon and says how it ended: what `webhookd serve` does once its command line has been read."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import NoReturn

from webhookd.admin.door.token import TokenError
from webhookd.config import Config, ConfigError
from webhookd.daemon import Daemon, DaemonFailedError
from webhookd.observe import logs
from webhookd.store.data_dir import DataDirError
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.store import WrongStoreError
from webhookd.store.seal import SealError
from webhookd.store.sqlite.connection import WrongDatabaseError
from webhookd.store.sqlite.driver import driver, in_its_words

try:
    from uvloop import new_event_loop as _new_event_loop
except ImportError:  # where uvloop has no wheel
    from asyncio import new_event_loop as _new_event_loop  # type: ignore[assignment]


def start(load: Callable[[], Config], run: Callable[[Config], Coroutine[None, None, None]] | None = None) -> None:
    """Run the daemon of the configuration until it is stopped. `run` is what runs it, if not the daemon alone.

    Raises SystemExit with the contract's exit code, once standard error has been told why.
    """
    try:
        config = load()
        logs.configure()
        # A thread that holds the interpreter for the default 5 ms holds up a commit for as long.
        sys.setswitchinterval(0.0002)
        with asyncio.Runner(loop_factory=_new_event_loop) as runner:
            runner.run(run(config) if run is not None else Daemon(config, load).run())
    except (
        ConfigError,
        DataDirError,
        SealError,
        TokenError,
        DaemonFailedError,
        StoreError,
        driver.Error,
        UnicodeDecodeError,  # SQLite may quote a damaged file
    ) as error:
        _end(error)
    finally:
        _let_go_of_standard_error()


def _end(error: Exception) -> NoReturn:
    # What prints this is read when there is something to print: a daemon that runs does not carry it.
    from webhookd.cli.options import Exit, complain  # noqa: PLC0415

    match error:
        case ConfigError():
            code, lines = Exit.CONFIG, error.mistakes
        case DataDirError() | WrongDatabaseError() | WrongStoreError() | SealError() | TokenError():
            code, lines = Exit.CONFIG, [str(error)]
        case driver.Error() | UnicodeDecodeError():
            code, lines = Exit.FOUND_WRONG, [f"stopped: the database is not as webhookd made it: {in_its_words(error)}"]
        case _:
            code, lines = Exit.FOUND_WRONG, [f"stopped: {error}"]
    complain(*lines)
    raise SystemExit(code)


def _let_go_of_standard_error() -> None:
    """What nobody reads any more must not turn the exit code into Python's 120."""
    try:
        sys.stderr.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
