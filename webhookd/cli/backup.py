"""`webhookd backup`: a verified copy of the database, while it is in use."""

import os
import shutil
import time
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress

from webhookd.cli.client import Client
from webhookd.cli.database import database_file, must_be_a_file
from webhookd.cli.options import (
    ConfigFile,
    DataDirOption,
    Exit,
    Json,
    TokenFile,
    Url,
    fail,
    messages,
    output,
    read_config,
    write_json,
)
from webhookd.config import Config
from webhookd.observe.whereabouts import running_at
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.backups import Told, check_name
from webhookd.store.protocol.errors import StoreError
from webhookd.store.sqlite.backup import DIRECTORY, copy, remove_drafts, sync
from webhookd.store.sqlite.connection import open_alone, schema_version

POLL_S = 0.2
_OF_POSTGRES = (
    "its own tools back it up while it is in use: pg_dump with --schema, or a base backup and its WAL for any point in "
    "time. Keep a copy of store.key, too"
)
PATH = "/api/v1/backup"


def backup(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A plain name is one in the data directory's backups/; with a / it is put where it says.",
        ),
    ],
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    url: Url = None,
    token_file: TokenFile = None,
    as_json: Json = False,
) -> None:
    """Copy the database, beside all else that the daemon does, or without one. The copy is read back before it counts.

    It is one file, with the whole log, the outbox and the ledger. It does not hold the key that endpoints' secrets are sealed with: keep a copy of store.key, from the data directory, somewhere else. What to do with both: docs/backup.md.

    webhookd backup monday.db

    webhookd backup /mnt/backups/webhookd-$(date +%F).db
    """
    config = read_config(config_file, {"data_dir": data_dir}, ("server", "store"))
    if url is None:
        must_be_a_file(config, _OF_POSTGRES)
    target = Path(file) if os.sep in file else None
    if target is not None and (target.exists() or not target.parent.is_dir()):
        why = "is there already" if target.exists() else "is in no directory that is there"
        fail(Exit.USAGE, f"{target} {why}: give another name")
    name = file if target is None else f"webhookd-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}.db"
    try:
        check_name(name)
    except ValueError as error:
        fail(Exit.USAGE, f"FILE {error}")
    with Progress(console=messages, transient=True, disable=not messages.is_terminal) as progress:
        bar = progress.add_task("copying", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(bar, description=what, completed=done, total=total or None)

        if url is None and running_at(config.data_dir) is None:
            made = _copy_here(config, name, told)
        else:
            made = _copy_there(Client(config_file, data_dir, url, token_file), name, told)
    if target is not None:
        made["path"], made["file"] = str(_put(Path(made["path"]), target.resolve())), target.name
    if as_json:
        write_json(msgspec.json.encode(made))
    else:
        output.print(f"{made['path']}: {made['size']} bytes, {made['events']} events", highlight=False, soft_wrap=True)


def _copy_there(client: Client, name: str, told: Told) -> dict[str, Any]:
    found: dict[str, Any] = client.post(PATH, {"file": name}, lambda _field: "FILE")
    while found["state"] == "running":
        told(found["step"] or "copying", found["done"], found["total"])
        time.sleep(POLL_S)
        found = client.get(PATH)
    if found["state"] != "done":
        fail(Exit.FOUND_WRONG, f"no backup was made: {found['error']}")
    return found


def _copy_here(config: Config, name: str, told: Told) -> dict[str, Any]:
    database = database_file(config)
    target = config.data_dir / DIRECTORY / name
    try:
        with DataDir(config.data_dir), closing(open_alone(database, read_only=True)) as source:
            remove_drafts(config.data_dir)
            if target.exists():
                fail(Exit.FOUND_WRONG, f"{target} is there already: give another name")
            made = copy(source, target, told, version=schema_version(source))
    except (StoreError, OSError) as error:
        fail(Exit.FOUND_WRONG, str(error))
    return {"state": "done", "file": name, **msgspec.to_builtins(made)}


def _put(made: Path, target: Path) -> Path:
    """Where it was asked for, whole or not at all; where it is, if it cannot be read from here."""
    draft = target.with_name(f".{target.name}.unfinished")
    try:
        try:
            made.rename(target)
        except OSError:  # another file system, or another's directory
            draft.touch(mode=0o600)
            shutil.copyfile(made, draft)
            sync(draft)
            draft.rename(target)
            made.unlink()
        sync(target.parent)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        messages.print(
            f"webhookd: not put to {target} ({error.strerror}): it is where the daemon made it", highlight=False
        )
        return made
    return target
