"""Tells systemd how we are (sd_notify(3)): ready, alive, stopping. Does nothing where systemd does not listen."""

import os
import socket


def notify(*lines: str) -> None:
    """Send `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`. A missing or deaf systemd is not an error."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)  # a systemd that does not read must not hold us up
            channel.connect(address)
            channel.send("\n".join(lines).encode())
    except OSError:
        return


def watchdog_interval_s() -> float | None:
    """How often to send WATCHDOG=1: a third of what systemd allows; None where no watchdog is set for this process."""
    microseconds, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or process != str(os.getpid()):
        return None
    return int(microseconds) / 3_000_000


def listen_sockets() -> dict[str, list[socket.socket]]:
    """The sockets that systemd opened for us (sd_listen_fds(3)), by FileDescriptorName=, which may have several."""
    count = os.environ.get("LISTEN_FDS", "")
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or not count.isdigit():
        return {}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    sockets: dict[str, list[socket.socket]] = {}
    for offset in range(int(count)):
        name = names[offset] if offset < len(names) else ""
        found = socket.socket(fileno=3 + offset)
        found.setblocking(False)
        found.set_inheritable(False)
        sockets.setdefault(name, []).append(found)
    return sockets
