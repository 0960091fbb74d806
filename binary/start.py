"""Where the single executable begins. What unpacks it waits outside; in here it is to be one process, as elsewhere.

Two launchers stand around this process: staticx, which brings a C library, and PyInstaller, which brings Python. Each
unpacks into a directory of its own under TMPDIR (/tmp), starts the next, hands SIGTERM and SIGINT on, and tidies up.
"""

import os
import select
import signal
import threading
from contextlib import suppress
from pathlib import Path


def start() -> None:
    with suppress(OSError):  # a kernel older than 5.3
        end_with(launchers())
    if "WATCHDOG_PID" in os.environ:
        os.environ["WATCHDOG_PID"] = str(os.getpid())  # PyInstaller does as much for LISTEN_PID

    from webhookd.__main__ import main  # noqa: PLC0415 - what is above takes no time

    main()


def launchers() -> list[int]:
    """The process that started this one, and the one that started that."""
    inner = os.getppid()
    stat = Path(f"/proc/{inner}/stat").read_text(encoding="ascii", errors="replace")
    return [inner, int(stat.rpartition(")")[2].split()[1])]


def end_with(processes: list[int]) -> None:
    """Be killed once any of these is: who kills the executable means this process, and another may start at once."""
    poll = select.poll()
    for process in processes:
        poll.register(os.pidfd_open(process), select.POLLIN)

    def watch() -> None:
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="launchers", daemon=True).start()


if __name__ == "__main__":
    start()
