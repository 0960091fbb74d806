"""A real PostgreSQL server of the tests' own: in a directory of its own, on a port of its own, gone when they end."""

import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

_BINARIES = Path("/usr/lib/postgresql")
_SETTINGS = {"max_connections": "300", "log_line_prefix": "'%m %p %a '"}
_GIVEN_TO_ANYBODY = Path("/proc/sys/net/ipv4/ip_local_port_range")
_GONE = ("", "Z", "X")
_STOPPED = ("T", "t", *_GONE)
_numbers = count(1)


def binaries() -> Path:
    """Of the newest server that is installed. There is none: the tests fail, for what they hold would not be seen."""
    found = sorted(_BINARIES.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        pytest.fail("no PostgreSQL server is installed: apt-get install postgresql", pytrace=False)
    return found[-1].parent


def _state(pid: int) -> str:
    """As proc(5) has it; "" of a process that is no more."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="latin-1").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _free_port(host: str) -> int:
    """Below those that the kernel gives to whoever wants any: nobody gets it while a server that crashed is down."""
    ports = range(20_000, int(_GIVEN_TO_ANYBODY.read_text().split()[0]))
    for port in random.SystemRandom().sample(ports, len(ports)):
        with socket.socket() as its, suppress(OSError):
            its.bind((host, port))
            return port
    raise AssertionError("no port is free")


class Server:
    """`fsync` is on: a directory in memory makes it quick. It listens at `host`, to whom that reaches."""

    def __init__(self, directory: Path, host: str = "127.0.0.1") -> None:
        self.host = host
        self._directory = directory
        self._data = directory / "data"
        self.port = _free_port(host)

    def make(self) -> None:
        if os.getuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(self._directory, user.pw_uid, user.pw_gid)
        self._run("initdb", "-D", str(self._data), "-U", "webhookd", "--auth", "trust", "--no-sync", "-E", "UTF8")
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in _SETTINGS.items())
            file.write(f"port = {self.port}\nunix_socket_directories = '{self._directory}'\n")
            file.write(f"listen_addresses = '{self.host}'\n")
        with (self._data / "pg_hba.conf").open("a") as file:
            file.write("host all all samenet trust\n")

    def start(self) -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", str(self._directory / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def kill(self) -> None:
        """The postmaster and all that it started, at once, as when a machine's memory is up. On return they are gone:
        one that is not yet has the port, or the shared memory, and the next server would not start.
        """
        parent = int((self._data / "postmaster.pid").read_text().partition("\n")[0])
        os.kill(parent, signal.SIGSTOP)
        while _state(parent) not in _STOPPED:  # until then it may start one more
            pass
        children = subprocess.run(
            ["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False
        ).stdout.split()
        family = (parent, *map(int, children))
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        while any(_state(pid) not in _GONE for pid in family):
            pass

    @property
    def data(self) -> Path:
        return self._data

    def url(self, schema: str | None = None) -> str:
        """Of a schema that nothing else uses."""
        schema = schema or f"webhookd_{next(_numbers)}"
        return f"postgresql://webhookd@{self.host}:{self.port}/postgres?search_path={schema}"

    def _run(self, program: str, *arguments: str) -> None:
        drop = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.getuid() == 0 else {}
        done = subprocess.run(
            [str(binaries() / program), *arguments],
            **drop,
            cwd=self._directory,
            stdout=subprocess.DEVNULL,  # a pipe would be kept open by the server
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            log = self._directory / "log"
            pytest.fail(f"{program} failed\n{log.read_text() if log.exists() else ''}", pytrace=False)


@contextmanager
def server(host: str = "127.0.0.1") -> Iterator[Server]:
    in_memory = Path("/dev/shm")
    directory = Path(tempfile.mkdtemp(prefix="webhookd-postgres-", dir=in_memory if in_memory.is_dir() else None))
    try:
        one = Server(directory, host)
        one.make()
        one.start()
        try:
            yield one
        finally:
            with suppress(pytest.fail.Exception):  # a test may have killed it
                one.stop("immediate")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
