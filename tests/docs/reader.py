"""Somebody who follows a guide to the letter, in an empty directory, with ports of their own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests.docs.guide import Block, matches
from tests.running import PATIENCE_S

ROOT = Path(__file__).parents[2]
PORTS = (8080, 8081, 9000, 5000)
"""Those that guides name; each reader has others in their place."""


class Reader:
    def __init__(self, guide: Path, directory: Path) -> None:
        self._guide, self._directory = guide, directory
        self._ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
        self._logs: dict[Path, threading.Thread] = {}
        (directory / ".venv").symlink_to(sys.prefix)
        self._shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=directory,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def follow(self, block: Block) -> None:
        if "run" in block.remarks:
            self._run(block.remarks["run"])
        if block.name:
            path = self._directory / block.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self._own(block.text))
            return
        wanted = int(block.remarks.get("code", "0"))
        steps = block.steps
        for number, (command, expected) in enumerate(steps, 1):
            code, printed = self._type(command)
            where = f"{self._guide.name}, line {block.line}: {command}"
            last = number == len(steps)
            if code != (wanted if last else 0):
                self._stumble(f"{where}\nended with {code}, not {wanted if last else 0}:\n{printed}")
            if expected is not None and not matches(expected, printed):
                self._stumble(f"{where}\nwas to print\n{expected}\nand printed\n{printed}")

    def close(self) -> None:
        self._leave()
        self._shell.wait()
        if self._shell.stdin is not None:
            self._shell.stdin.close()
        if self._shell.stdout is not None:
            self._shell.stdout.close()
        for log, reading in self._logs.items():
            with contextlib.suppress(OSError):  # nobody may have come to write it
                os.close(os.open(log, os.O_WRONLY | os.O_NONBLOCK))
            reading.join(PATIENCE_S)
            assert not reading.is_alive(), f"{self._guide.name}: something that was started there has not ended"

    def _leave(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)

    def _type(self, command: str) -> tuple[int, str]:
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        end = "--the-end--"
        self._shell.stdin.write(f"{{ {self._own(command)}\n}} </dev/null\nprintf '\\n{end}%s\\n' $?\n")
        self._shell.stdin.flush()
        printed = ""
        impatience = threading.Timer(PATIENCE_S, self._leave)
        impatience.start()
        while not (line := self._shell.stdout.readline()).startswith(end):
            if not line:
                self._stumble(f"{self._guide.name}: this does not end, or ended the shell: {command}\n{printed}")
            printed += line
        impatience.cancel()
        return int(line.removeprefix(end)), self._anybodys(printed)

    def _run(self, arguments: str) -> None:
        """In the reader's shell, with what has been exported there. One that runs already is stopped."""
        if self._logs:
            self._type("kill $webhookd; wait $webhookd")
        log = self._directory / f".log-{len(self._logs)}"
        os.mkfifo(log)
        ready = threading.Event()
        self._logs[log] = threading.Thread(target=_read, args=(log, ready), daemon=True)
        self._logs[log].start()
        self._type(f"webhookd {arguments} >/dev/null 2>{log} & webhookd=$!")
        if not ready.wait(PATIENCE_S):
            self._stumble(f"{self._guide.name}: `webhookd {arguments}` did not start")

    def _environment(self) -> dict[str, str]:
        mine = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f".:{ROOT}",
            "COLUMNS": "100",
            "HOME": str(self._directory),
            "WEBHOOKD_SERVER__LISTEN": f"127.0.0.1:{self._ports[8080]}",
            "WEBHOOKD_SERVER__ADMIN_LISTEN": f"127.0.0.1:{self._ports[8081]}",
            "WEBHOOKD_SERVER__MIN_FREE": "1MiB",
        }
        return {**{name: value for name, value in os.environ.items() if not name.startswith("WEBHOOKD_")}, **mine}

    def _own(self, text: str) -> str:
        for port, mine in self._ports.items():
            text = re.sub(rf"([:=(]){port}\b", rf"\g<1>{mine}", text)
        return text

    def _anybodys(self, text: str) -> str:
        for port, mine in self._ports.items():
            text = text.replace(str(mine), str(port))
        return text

    def _stumble(self, why: str) -> NoReturn:
        pytest.fail(why, pytrace=False)


@contextlib.contextmanager
def reader(guide: Path, directory: Path) -> Iterator[Reader]:
    who = Reader(guide, directory)
    try:
        yield who
    finally:
        who.close()


def _read(log: Path, ready: threading.Event) -> None:
    """To its end: what nobody reads would stop who writes it."""
    with log.open("rb") as lines:
        for line in lines:
            if b'"ready"' in line:
                ready.set()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
