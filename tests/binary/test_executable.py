"""The single executable, in a root directory that holds nothing else: no Python, no C library, no shell.

`make dist-test` builds it and runs this. What it needs of a machine is /proc, a place for what it unpacks, and a place
for its data.
"""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.supervisor import Supervisor, sockets
from tests.daemon.test_restart_under_load import Senders
from tests.running import PATIENCE_S, configuration
from tests.test_systemd import ten_lines
from tests.visitor import see_the_dashboard

BINARY = Path(os.environ.get("WEBHOOKD_BINARY", ""))
pytestmark = pytest.mark.skipif("WEBHOOKD_BINARY" not in os.environ, reason="make dist-test builds what is tried here")
# Within a mount namespace of its own, so that nothing of it is left; in a user namespace where we are not root.
APART = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
ENTER = [*APART, "sh", "-c"]
INSIDE = 'mount --rbind /proc "$0/proc" && exec env -i "$(command -v chroot)" "$0" /webhookd "$@"'
DEV = ["serve", "--dev", "--data-dir", "/data", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]


class EmptyRoot:
    """A root directory with the executable, /proc, /tmp and a directory for the data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("proc", "tmp", "data"):
            (path / name).mkdir(parents=True)
        shutil.copy2(BINARY, path / "webhookd")

    def command(self, *arguments: str) -> list[str]:
        return [*ENTER, INSIDE, str(self.path), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=False, timeout=PATIENCE_S, cwd="/"
        )

    @property
    def unpacked(self) -> list[str]:
        return sorted(each.name for each in (self.path / "tmp").iterdir())

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator["Inside"]:
        process = await asyncio.create_subprocess_exec(
            *self.command(*DEV),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        inside = Inside(process)
        try:
            yield inside
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()


class Inside:
    """A daemon in the empty root."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def said(self, event: str) -> dict[str, Any]:
        assert self.process.stderr is not None
        before = []
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stderr:
                before.append(line)
                if line.startswith(b"{") and (entry := json.loads(line))["event"] == event:
                    return dict(entry)
        raise AssertionError(f"it ended without saying {event}: {before}")

    async def printed(self, text: str) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            async for line in self.process.stdout:
                if text in line.decode():
                    return line.decode()
        raise AssertionError(f"it ended without printing {text}")

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode


@pytest.fixture
def root(tmp_path: Path) -> EmptyRoot:
    made = EmptyRoot(tmp_path / "root")
    entered = subprocess.run([*APART, "true"], capture_output=True, text=True, check=False)
    if entered.returncode:
        pytest.skip(f"NOT TRIED: no root directory of its own may be entered here ({entered.stderr.strip()})")
    return made


INSTALL = r"""
set -eu
for place in /etc /usr/local/bin; do
  mkdir -p "$0$place" "$0/beneath$place"
  mount -t overlay overlay -o "lowerdir=$place,upperdir=$0$place,workdir=$0/beneath$place" "$place"
done
PATH="$0/stubs:$PATH"
cd "$0"
{lines}
CREDENTIALS_DIRECTORY=/etc/webhookd/given /usr/local/bin/webhookd config check
systemd-analyze verify --man=no webhookd.service
"""
STUBS = {
    "systemctl": 'echo "systemctl $*" >>"$HERE/asked"',
    "curl": 'echo "curl $*" >>"$HERE/asked"',
    "apt-get": "mkdir -p /etc/caddy",
}


def test_the_ten_lines_install_what_neither_systemd_nor_webhookd_objects_to(root: EmptyRoot, tmp_path: Path) -> None:
    """Carried out over this machine's own files, with what they change beside them; systemd itself is not asked."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("NOT TRIED: systemd-analyze is not here")
    [archive] = BINARY.parent.glob("webhookd-*-linux-*.tar.gz")
    shutil.copy2(archive, tmp_path)
    for name, text in STUBS.items():
        (tmp_path / "stubs").mkdir(exist_ok=True)
        (tmp_path / "stubs" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "stubs" / name).chmod(0o755)
    given = tmp_path / "etc" / "webhookd" / "given"
    given.mkdir(parents=True)
    (given / "stripe").write_text("whsec_from_the_drop_in\n")
    said = subprocess.run(
        [*APART, "bash", "-c", INSTALL.replace("{lines}", ten_lines()), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "STRIPE_WEBHOOK_SECRET": "whsec_given", "HERE": str(tmp_path)},
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "webhookd" not in said.stderr
    made = tmp_path / "etc"
    assert (made / "webhookd/stripe.secret").read_text() == "whsec_given\n"
    assert (made / "webhookd/stripe.secret").stat().st_mode & 0o077 == 0
    assert "stripe:/etc/webhookd/stripe.secret" in (made / "systemd/system/webhookd.service.d/secrets.conf").read_text()
    assert "enable --now webhookd.socket" in (tmp_path / "asked").read_text()


def test_it_asks_for_no_library_of_the_machine() -> None:
    """A static executable has no interpreter (PT_INTERP), whose path would have to be there."""
    said = subprocess.run(["readelf", "--program-headers", BINARY], capture_output=True, text=True, check=True).stdout
    assert "INTERP" not in said


def test_it_says_its_version_where_there_is_nothing_else(root: EmptyRoot) -> None:
    said = root.run("--version")
    assert (said.returncode, said.stdout.split()[0]) == (0, "webhookd"), said.stderr
    assert root.unpacked == []


def test_it_checks_a_configuration_there(root: EmptyRoot) -> None:
    (root.path / "webhookd.toml").write_text(configuration())
    said = root.run("config", "check", "-c", "/webhookd.toml")
    assert said.returncode == 0, said.stderr
    (root.path / "webhookd.toml").write_text("[servr]\n")
    assert root.run("config", "check", "-c", "/webhookd.toml").returncode == 78


async def test_a_signed_hook_comes_in_and_is_delivered_there(root: EmptyRoot) -> None:
    async with root.daemon() as inside:
        ready = await inside.said("ready")
        await inside.said("dev")
        assert tuple(map(int, ready["sqlite"].split("."))) >= (3, 51, 3)
        sent = await asyncio.to_thread(root.run, "trigger", "stripe", "charge.refunded", "--data-dir", "/data")
        assert sent.returncode == 0, sent.stderr
        assert "charge.refunded" in await inside.printed("charge.refunded")
        verified = await asyncio.to_thread(root.run, "verify", "--data-dir", "/data")
        assert verified.returncode == 0, verified.stderr
        inside.process.terminate()
        assert await inside.ended() == 0
    assert root.unpacked == []


async def test_the_dashboard_is_in_it(root: EmptyRoot) -> None:
    async with root.daemon() as inside:
        ready = await inside.said("ready")
        token = (root.path / "data" / "admin.token").read_text().strip()
        await asyncio.to_thread(see_the_dashboard, ready["admin"], token)
        inside.process.terminate()
        assert await inside.ended() == 0


async def test_a_signal_to_the_terminals_whole_group_is_one_signal(root: EmptyRoot) -> None:
    """Ctrl-C reaches the launchers and the daemon, and each launcher hands it on: a second one would end it at once."""
    async with root.daemon() as inside:
        await inside.said("ready")
        os.killpg(inside.process.pid, signal.SIGINT)
        assert await inside.ended() == 0


async def test_who_kills_the_executable_kills_the_daemon_and_may_start_another(root: EmptyRoot) -> None:
    async with root.daemon() as inside:
        await inside.said("dev")
        pid = json.loads((root.path / "data" / "daemon.json").read_text())["pid"]
        daemon = os.pidfd_open(pid)
        assert pid != inside.process.pid
        inside.process.kill()
        assert await inside.ended() == -signal.SIGKILL
        gone = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(daemon, gone.set_result, None)
        async with asyncio.timeout(PATIENCE_S):
            await gone
        asyncio.get_running_loop().remove_reader(daemon)
        os.close(daemon)
    async with root.daemon() as inside:
        await inside.said("ready")
        inside.process.terminate()
        assert await inside.ended() == 0


async def test_it_takes_the_sockets_of_a_supervisor_and_feeds_its_watchdog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "webhookd.toml").write_text(configuration())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, sockets() as (hooks, admin):
        channel.bind(str(tmp_path / "notify"))
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        supervisor = Supervisor(tmp_path, hooks, admin, [str(BINARY), "serve"])
        ready = await supervisor.start()
        try:
            assert ready["hooks"] == f"http://127.0.0.1:{supervisor.hooks_port}"
            async with asyncio.timeout(PATIENCE_S):
                while b"WATCHDOG=1" not in await asyncio.get_running_loop().sock_recv(channel, 4096):
                    pass
            assert await supervisor.end() == 0
        finally:
            await supervisor.kill()


async def test_it_is_replaced_and_restarted_under_load_without_a_request_lost(tmp_path: Path) -> None:
    (tmp_path / "webhookd.toml").write_text(configuration())
    shutil.copy2(BINARY, tmp_path / "webhookd")
    with sockets() as (hooks, admin):
        supervisor = Supervisor(tmp_path, hooks, admin, [str(tmp_path / "webhookd"), "serve"])
        await supervisor.start()
        senders = Senders(supervisor.hooks_port)
        try:
            async with senders.at_work():
                shutil.copy2(BINARY, tmp_path / "webhookd.new")
                (tmp_path / "webhookd.new").replace(tmp_path / "webhookd")
                assert await supervisor.end() == 0
                await supervisor.start()
            assert await supervisor.end() == 0
        finally:
            await supervisor.kill()
    assert (senders.refused, senders.lost, set(senders.answers)) == (0, 0, {200})
