"""`webhookd move`: the log goes from SQLite to PostgreSQL, while the daemon runs up to the last few seconds."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.database import database_file, must_be_a_file
from webhookd.cli.given import given
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    complain,
    fail,
    messages,
    no_daemon,
    output,
    read_config,
    write_json,
)
from webhookd.clock import SystemClock
from webhookd.config import Config
from webhookd.config.secret_text import OperatorsTexts
from webhookd.config.store_url import StoreUrl
from webhookd.observe.whereabouts import running_at, since_ms
from webhookd.providers import reread
from webhookd.store.data_dir import DataDir, DataDirError, DataDirInUseError
from webhookd.store.protocol.errors import StoreError
from webhookd.store.protocol.store import WrongStoreError
from webhookd.store.seal import KEY_FILE, SealError, seal_for
from webhookd.store.sql.audit import Finding
from webhookd.store.sqlite.audit import audit
from webhookd.store.sqlite.connection import WrongDatabaseError

if TYPE_CHECKING:
    from webhookd.store.move.move import Move

INTERRUPTED = 130
POLL_S = 0.1
RESTS = 9
"""While it waits, it rests so many times as long as it was busy: the daemon has work to do."""
Told = Callable[[str, int, int | None], None]


class Moved(msgspec.Struct):
    """What `--json` says."""

    to: str
    rows: Mapping[str, int]
    """Of each table."""
    without_a_daemon_s: float
    findings: list[Finding]
    """Of `verify`, on the new side."""


@given(_no_daemon=no_daemon)
def move(
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="URL", help="postgresql://user@host/database, or env:NAME, credential:NAME, file:PATH."
        ),
    ],
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Have the running daemon stop once all but the last is copied (SIGTERM).")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Go back to the file, as long as no daemon was started on the new store.")
    ] = False,
    as_json: Json = False,
    _no_daemon: Any = None,
) -> None:
    """Move the log from SQLite to PostgreSQL: all events, deliveries, attempts, endpoints, tokens, the ledger, the trail.

    It copies beside the running daemon, checks the file as `verify` does, and then waits for the daemon to be stopped. What is left takes seconds; then the file is marked, so that no daemon opens it by mistake, and the new store is open. After that set store.url, and store.key to the key that the file's secrets are sealed with (store.key in the data directory), and start the daemon. It goes on where it was: nothing is attempted again, ids stay, and waits go on.

    Killed or interrupted at any time, nothing is lost, and the same command goes on with it.

    webhookd move --to postgresql://webhookd@db.internal/shop --stop

    webhookd move --to env:DATABASE_URL --json

    webhookd move --to env:DATABASE_URL --undo
    """
    config = read_config(config_file, {"data_dir": data_dir}, ("server", "store"))
    must_be_a_file(config, "`webhookd move` is for a log in SQLite; store.url must name that one until it has moved")
    path, url = database_file(config), _target(to)
    try:
        with asyncio.Runner() as runner, _watched() as told:
            from webhookd.store.move.move import Move  # noqa: PLC0415 - asyncpg may not be installed

            if not undo:
                _see_that_the_key_is_right(config)
            moving = runner.run(Move.begin(path, url.url.reveal(), SystemClock().now_ms(), told, may_make=not undo))
            try:
                if undo:
                    _undo(runner, moving, config, url, as_json=as_json)
                else:
                    _say(_move(runner, moving, config, url, told, stop=stop), as_json=as_json)
            finally:
                runner.run(moving.close())
    except KeyboardInterrupt:
        complain("interrupted: what was copied so far is kept, and the same command goes on with it")
        raise typer.Exit(INTERRUPTED) from None
    except (DataDirError, WrongDatabaseError, WrongStoreError, SealError) as error:
        fail(Exit.CONFIG, _said(error))
    except (StoreError, OSError) as error:
        fail(Exit.FOUND_WRONG, _said(error))


def _said(error: Exception) -> str:
    """What of the store is said of a setting is said here of the option."""
    return str(error).replace("store.url:", "--to:", 1)


def _target(to: str) -> StoreUrl:
    try:
        url = StoreUrl.parse(OperatorsTexts(os.environ).secret(to))
    except ValueError as error:
        fail(Exit.USAGE, f"--to: {error}")
    if url.file is not None:
        fail(Exit.USAGE, "--to: names a file of SQLite's; a log moves to postgresql://user@host/database")
    if not (find_spec("asyncpg") and find_spec("greenlet")):
        fail(Exit.USAGE, "--to: needs what is not installed: pip install 'webhookd[postgres]'")
    return url


def _move(runner: asyncio.Runner, moving: "Move", config: Config, url: StoreUrl, told: Told, *, stop: bool) -> Moved:
    if moving.is_over:
        if not moving.is_finished:
            with DataDir(config.data_dir):
                runner.run(moving.finish())
        return Moved(url.shown, {}, 0.0, _verified(runner, config, url, told))
    runner.run(_see_that_the_clock_is_right(url))
    runner.run(moving.copy(since_ms(config.data_dir)))
    if wrong := [each for each in audit(config.database, reread, told) if each.check != "payments"]:
        fail(
            Exit.FOUND_WRONG,
            *(f"{each.check}: {each.subject} {each.detail}" for each in wrong[:10]),
            f"`webhookd verify` finds {len(wrong)} things wrong with {config.database}: what is wrong is not moved",
        )
    told("counting for the planner", 0, None)
    runner.run(moving.analyze())
    with ExitStack() as held:
        _wait_for_the_directory(held, runner, moving, config, told, stop=stop)
        began = time.monotonic()
        rows = runner.run(moving.switch(url.shown, SystemClock().now_ms()))
        took_s = time.monotonic() - began
    return Moved(url.shown, rows, round(took_s, 3), _verified(runner, config, url, told))


def _undo(runner: asyncio.Runner, moving: "Move", config: Config, url: StoreUrl, *, as_json: bool) -> None:
    with DataDir(config.data_dir):
        was = runner.run(moving.undo())
    said = "is the store again" if was else "is the store, and always was"
    if as_json:
        write_json(msgspec.json.encode({"undone": was}))
    else:
        output.print(f"{config.database} {said}; no daemon opens {url.shown}", highlight=False, soft_wrap=True)


def _see_that_the_key_is_right(config: Config) -> None:
    from webhookd.store.move.move import see_that_it_opens  # noqa: PLC0415 - asyncpg may not be installed

    keys = config.store
    see_that_it_opens(config.database, lambda: seal_for(config.data_dir, keys.key, keys.old_keys, is_first=False))


async def _see_that_the_clock_is_right(url: StoreUrl) -> None:
    """As the daemon does when it starts there, which it is to do once the log has moved. Raises UnfitDatabaseError."""
    from webhookd.store.postgres.clocks import why_off  # noqa: PLC0415 - asyncpg may not be installed
    from webhookd.store.postgres.connection import Session  # noqa: PLC0415
    from webhookd.store.postgres.database import UnfitDatabaseError, connect  # noqa: PLC0415

    session = Session(connect(url.url.reveal(), "move"))
    try:
        if (off := await why_off(session, SystemClock().now_ms)) is not None:
            raise UnfitDatabaseError(f"store.url: {off}")
    finally:
        await session.close()


def _wait_for_the_directory(
    held: ExitStack, runner: asyncio.Runner, moving: "Move", config: Config, told: Told, *, stop: bool
) -> None:
    """Until the daemon has stopped; meanwhile what it still takes in is copied, so that little is left."""
    asked: set[int] = set()
    is_said, rests_until = False, 0.0
    while True:
        try:
            held.enter_context(DataDir(config.data_dir))
        except DataDirInUseError:
            if not is_said:
                is_said = True
                what = "the daemon is being stopped" if stop else "stop the daemon now (systemctl stop webhookd)"
                messages.print(f"all but the last is copied: {what}; waiting for it", highlight=False, soft_wrap=True)
        else:
            return
        if stop and (running := running_at(config.data_dir)) is not None and running.pid not in asked:
            asked.add(running.pid)
            try:
                os.kill(running.pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
            except PermissionError:
                fail(Exit.USAGE, f"--stop: the daemon, process {running.pid}, is another user's: run this as that one")
        if (began := time.monotonic()) >= rests_until:
            runner.run(moving.copy(since_ms(config.data_dir)))
            rests_until = time.monotonic() + RESTS * (time.monotonic() - began)
        told("waiting for the daemon to stop", 0, None)
        time.sleep(POLL_S)


def _verified(runner: asyncio.Runner, config: Config, url: StoreUrl, told: Told) -> list[Finding]:
    """What is wrong on the new side. Whoever waits for it may start the daemon meanwhile."""
    from webhookd.store.postgres.audit import audit as audit_postgres  # noqa: PLC0415 - asyncpg may not be installed

    key = "" if config.store.key is not None else f' and key = "file:{config.data_dir.resolve() / KEY_FILE}"'
    messages.print(
        f'the log has moved. Under [store] set url = "{url.shown}"{key}, and start the daemon. Verifying meanwhile …',
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return [*runner.run(audit_postgres(url.url.reveal(), reread, told))]


def _say(moved: Moved, *, as_json: bool) -> None:
    if as_json:
        write_json(msgspec.json.encode(moved))
    elif moved.rows:
        events = moved.rows["event"] + moved.rows["past"]
        how_long = f"{moved.without_a_daemon_s:.1f} s without a daemon"
        output.print(
            f"{events} events are in {moved.to} now; {how_long}", highlight=False, soft_wrap=True, markup=False
        )
    else:
        output.print(f"the log is in {moved.to}", highlight=False, soft_wrap=True, markup=False)
    if wrong := [each for each in moved.findings if each.check != "payments"]:
        fail(Exit.FOUND_WRONG, *(f"{each.check}: {each.subject} {each.detail}" for each in wrong[:10]))


@contextmanager
def _watched() -> Iterator[Told]:
    """A bar on standard error that shows how far it is."""
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("looking", total=None)
        yield lambda what, done, total: progress.update(bar, description=what, completed=done, total=total)
