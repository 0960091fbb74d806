"""What systemd is told, over the sockets it really uses."""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import daemon
from webhookd.observe.sd_notify import listen_sockets, notify, watchdog_interval_s

ROOT = Path(__file__).parents[2]
BYTES_MAX = 4096


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@webhookd-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0"))
        channel.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield channel


def test_systemd_hears_that_the_daemon_is_ready(systemd: socket.socket) -> None:
    notify("READY=1")
    assert systemd.recv(BYTES_MAX) == b"READY=1"


def test_several_facts_come_in_one_datagram(systemd: socket.socket) -> None:
    notify("READY=1", "STATUS=receiving on 127.0.0.1:8080 – übrigens")
    assert systemd.recv(BYTES_MAX).decode().split("\n") == [
        "READY=1",
        "STATUS=receiving on 127.0.0.1:8080 – übrigens",
    ]


def test_where_systemd_does_not_listen_nothing_happens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/" + "x" * 500)
    notify("READY=1")


def test_a_systemd_that_does_not_read_does_not_hold_the_daemon_up(systemd: socket.socket) -> None:
    for _ in range(5_000):
        notify("WATCHDOG=1")
    assert systemd.recv(BYTES_MAX) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("microseconds", "process", "interval_s"),
    [
        ("30000000", None, 10.0),
        ("30000000", str(os.getpid()), 10.0),
        ("30000000", "1", None),
        (None, None, None),
        ("", None, None),
        ("soon", None, None),
    ],
    ids=["for whom it may concern", "for us", "for another", "not at all", "empty", "in words"],
)
def test_the_watchdog_is_fed_three_times_as_often_as_systemd_asks(
    monkeypatch: pytest.MonkeyPatch, microseconds: str | None, process: str | None, interval_s: float | None
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", process)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert watchdog_interval_s() == interval_s


async def test_a_real_daemon_says_when_it_is_ready_and_when_it_stops(systemd: socket.socket, tmp_path: Path) -> None:
    systemd.setblocking(False)
    loop = asyncio.get_running_loop()

    async def said(word: bytes) -> bytes:
        while True:
            heard = await loop.sock_recv(systemd, BYTES_MAX)
            if word in heard.split(b"\n"):
                return heard

    async with (
        asyncio.timeout(60),
        daemon(tmp_path, NOTIFY_SOCKET=os.environ["NOTIFY_SOCKET"]) as running,
    ):
        ready = await said(b"READY=1")
        assert f"STATUS=receiving on 127.0.0.1:{running.port}".encode() in ready
        with socket.create_connection(("127.0.0.1", running.port), timeout=30):
            pass
        assert await running.stop() == 0
        await said(b"STOPPING=1")


# --- Sockets that systemd opened

SET_UP = """
import os, sys
count = int(sys.argv[1])
held = [os.dup(int(number)) for number in sys.argv[2:2 + count]]
for offset, number in enumerate(held):
    os.dup2(os.dup(number), 100 + offset)
for offset in range(count):
    os.dup2(100 + offset, 3 + offset, inheritable=True)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-c", sys.argv[2 + count]])
"""
ANSWER = """
import json
from webhookd.observe.sd_notify import listen_sockets
sockets = listen_sockets()
assert not any(each.getblocking() or each.get_inheritable() for each in sum(sockets.values(), []))
mine = sockets[NAME][-1]
mine.setblocking(True)
connection, _ = mine.accept()
ports = {name: [one.getsockname()[1] for one in each] for name, each in sockets.items()}
connection.sendall(json.dumps(ports).encode())
connection.close()
"""


async def handed_over(names: str | None, name: str) -> tuple[dict[str, list[int]], list[int]]:
    """What a process that got two listening sockets says of them, over the one it knows by that name."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [listener.getsockname()[1] for listener in listeners]
    numbers = [listener.fileno() for listener in listeners]
    environment = {**os.environ, "LISTEN_FDS": "2", "PYTHONPATH": str(ROOT)}
    if names is not None:
        environment["LISTEN_FDNAMES"] = names
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SET_UP, "2", *map(str, numbers), ANSWER.replace("NAME", repr(name))),
        pass_fds=numbers,
        env=environment,
        stderr=subprocess.PIPE,
    )
    for listener in listeners:
        listener.close()
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection("127.0.0.1", ports[1])
        said = await reader.read()
        writer.close()
        await writer.wait_closed()
        _, errors = await process.communicate()
    assert process.returncode == 0, errors
    return json.loads(said), ports


async def test_sockets_that_systemd_opened_are_known_by_their_names_and_accept() -> None:
    said, (hooks, admin) = await handed_over("hooks:admin", "admin")
    assert said == {"hooks": [hooks], "admin": [admin]}


async def test_several_sockets_of_one_name_are_all_there() -> None:
    said, ports = await handed_over("hooks:hooks", "hooks")
    assert said == {"hooks": ports}


async def test_sockets_without_a_name_are_not_lost() -> None:
    said, ports = await handed_over(None, "")
    assert said == {"": ports}


def test_sockets_meant_for_another_process_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_FDS", "2")
    monkeypatch.setenv("LISTEN_PID", "1")
    assert listen_sockets() == {}
    monkeypatch.delenv("LISTEN_PID")
    assert listen_sockets() == {}
