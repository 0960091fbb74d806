"""A newer daemon is started on what an older one left: it must just work, and say so when it cannot."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import STRIPE_SECRET, configuration, daemon
from tests.shell import run
from tests.store.old_files import KEY_OF_3, OLD, ask, old_file
from webhookd.store.sqlite.connection import SCHEMA_VERSION

SOURCES = f"""
[sources.stripe]
provider = "stripe"
secrets = ["{STRIPE_SECRET}"]
[sources.razorpay]
provider = "razorpay"
secrets = ["razorpay-secret-of-tests"]
"""


def left_behind(directory: Path, version: int) -> Path:
    """The data directory of a daemon of that time."""
    path = old_file(directory / "data" / "webhookd.db", version)
    if version >= 3:
        (path.parent / "store.key").write_text(f"{KEY_OF_3}\n")
        (path.parent / "store.key").chmod(0o600)
    return path


def books(port: int) -> str:
    """The endpoint that has something coming; its secret is in the database alone."""
    return f'[endpoints.books]\nurl = "http://127.0.0.1:{port}/books"\nevents = ["payment_intent.*", "charge.*"]\n'


@pytest.mark.parametrize("version", OLD)
async def test_what_was_pending_is_delivered_under_its_old_id_and_signed_with_the_old_secret(
    tmp_path: Path, version: int
):
    path = left_behind(tmp_path, version)
    [(pending,)] = ask(
        path, "SELECT count(*) FROM delivery JOIN endpoint ON number = endpoint WHERE name = 'books' AND due_at > 0"
    )
    assert pending > 1
    async with merchant() as shop:  # who checks the signature with the secret of that time
        config = configuration(SOURCES, books(shop.port))
        async with daemon(tmp_path, config) as running, desk(running) as operator:
            [copy] = (tmp_path / "data" / "backups").iterdir()
            await running.logged("migrated", was=version, backup=str(copy.relative_to(tmp_path)))
            got = await shop.has(pending)
            assert len({each.headers["webhook-id"] for each in got}) == pending
            body = stripe_event("evt_new")
            assert (await post(running, "stripe", body, stripe_headers(body)))[1]["status"] == "accepted"
            await shop.has(pending + 1)
            found = await operator.get("/payments/stripe/pi_1")
            assert (found["status"], found["refunded"]["amount"]) == ("partially_refunded", 1200)
            assert (await run("verify", cwd=tmp_path)).code == 0
            assert ask(copy, "PRAGMA user_version") == [(version,)]


async def test_the_second_start_has_nothing_to_do(tmp_path: Path):
    left_behind(tmp_path, 1)
    async with daemon(tmp_path, configuration(SOURCES)) as running:
        await running.stop()
        await running.start()
        assert not [line for line in running.log if line["event"] in ("migrating", "migrated", "compacting")]
        assert len(list((tmp_path / "data" / "backups").iterdir())) == 1


async def test_systemd_is_asked_to_wait_and_told_why(tmp_path: Path):
    import socket

    left_behind(tmp_path, 2)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(30)
        async with daemon(tmp_path, configuration(SOURCES), NOTIFY_SOCKET=str(tmp_path / "notify")):
            said = systemd.recv(4096).decode().splitlines()
    assert said[0].startswith("EXTEND_TIMEOUT_USEC=")
    assert said[1].startswith("STATUS=migrating")


@pytest.mark.parametrize("version", OLD)
async def test_a_file_that_is_old_is_brought_up_to_date_by_command_and_gives_back_space_from_then_on(
    tmp_path: Path, version: int
):
    path = left_behind(tmp_path, version)
    (tmp_path / "webhookd.toml").write_text(configuration(SOURCES))
    assert ask(path, "PRAGMA auto_vacuum") == [(0,)]
    done = await run("migrate", "--json", cwd=tmp_path)
    assert done.code == 0, done.err
    assert {**done.json, "backup": None} == {"was": version, "schema": SCHEMA_VERSION, "backup": None}
    assert Path(tmp_path, done.json["backup"]).is_file()
    assert ask(path, "PRAGMA auto_vacuum") == [(2,)]
    assert (await run("verify", cwd=tmp_path)).code == 0
    again = await run("migrate", cwd=tmp_path)
    assert (again.code, "nothing to do" in again.out) == (0, True)


async def test_it_may_be_left_as_long_as_it_is(tmp_path: Path):
    path = left_behind(tmp_path, 3)
    (tmp_path / "webhookd.toml").write_text(configuration(SOURCES))
    done = await run("migrate", "--no-compact", cwd=tmp_path)
    assert (done.code, f"schema 3 → {SCHEMA_VERSION}" in done.out, "not_compacted" in done.err) == (0, True, True)
    assert ask(path, "PRAGMA auto_vacuum") == [(0,)]


async def test_beside_a_running_daemon_the_command_does_nothing(tmp_path: Path):
    async with daemon(tmp_path):
        found = await run("migrate", cwd=tmp_path)
        assert (found.code, "in use by another webhookd" in found.err) == (78, True)


@pytest.mark.parametrize(
    ("statement", "said"),
    [("PRAGMA user_version = 99", "schema 99"), ("PRAGMA application_id = 7", "another program")],
)
async def test_a_newer_file_or_a_strangers_ends_the_start_and_stays_as_it_is(tmp_path: Path, statement: str, said: str):
    path = left_behind(tmp_path, 3)
    ask(path, statement)
    before = path.read_bytes()
    (tmp_path / "webhookd.toml").write_text(configuration(SOURCES))
    for verb in ("serve", "migrate"):
        found = await run(verb, cwd=tmp_path)
        assert (found.code, said in found.err) == (78, True), found.err
    assert path.read_bytes() == before


async def test_a_key_that_is_lost_ends_the_start_after_an_upgrade_as_before_one(tmp_path: Path):
    left_behind(tmp_path, 3)
    (tmp_path / "data" / "store.key").write_text("another key, and long enough to be one\n")
    (tmp_path / "webhookd.toml").write_text(configuration(SOURCES))
    found = await run("serve", cwd=tmp_path)
    assert (found.code, "store.key" in found.err) == (78, True), found.err


async def test_going_back_is_the_copy_from_before(tmp_path: Path):
    path = left_behind(tmp_path, 2)
    before = ask(path, "SELECT * FROM event ORDER BY key"), ask(path, "SELECT * FROM delivery ORDER BY 1, 2")
    (tmp_path / "webhookd.toml").write_text(configuration(SOURCES))
    done = await run("migrate", "--json", cwd=tmp_path)
    shutil.copy(Path(tmp_path, json.loads(done.out)["backup"]), path)
    found: Any = ask(path, "SELECT * FROM event ORDER BY key"), ask(path, "SELECT * FROM delivery ORDER BY 1, 2")
    assert found == before
    assert ask(path, "PRAGMA user_version") == [(2,)]
