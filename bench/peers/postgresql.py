"""A PostgreSQL of the bench's own: a cluster in the peer's directory, reached by a socket there and by nothing else."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bench.peers.parts import Parts

DEBIAN = "postgresql"
MEANS = "the job is committed and PostgreSQL has synced its log (synchronous_commit = on, its default)"
_USER = "postgres"
"""Who runs it when the bench is run by root: PostgreSQL refuses to be root. Debian's package makes this user."""
_SETTINGS = {
    "listen_addresses": "",
    "track_wal_io_timing": "on",  # how long syncs take is asked by bench/nodes.py
    "synchronous_commit": "on",  # the default, but it is what our 200 stands on
    "shared_buffers": "512MB",  # the manual: more than the default, a quarter of the memory; all of a run is in it
}


def programs() -> Path | None:
    """Where initdb and postgres are, of the newest version: Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: float(path.parts[-3]))
    path = shutil.which("postgres") if not found else found[-1]
    return Path(path).resolve().parent if path else None


def version() -> str:
    """Of the server; nothing where there is none."""
    binaries = programs()
    if binaries is None:
        return ""
    said = subprocess.run([binaries / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return said.split()[2]


async def start_postgresql(parts: Parts, directory: Path) -> str:
    """What clients connect with. Ready: what its log has is replayed. The first start here makes the cluster."""
    home, cluster = directory / "postgresql", directory / "postgresql" / "data"
    binaries = programs()
    assert binaries is not None
    if not cluster.exists():
        home.mkdir()
        if os.geteuid() == 0:
            shutil.chown(home, _USER, _USER)
            directory.chmod(0o711)  # it has to get through to what is its own
        await _done(binaries / "initdb", cluster, "--username=bench", "--auth=trust", "--locale=C.UTF-8")
    settings = {**_SETTINGS, "unix_socket_directories": str(home)}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    server = await parts.start("postgres", _unprivileged(binaries / "postgres", "-D", cluster, *options), cwd=home)
    await server.said("ready to accept connections")
    return f"host={home} user=bench dbname=postgres"


def _unprivileged(*command: str | Path) -> Sequence[str | Path]:
    if os.geteuid() != 0:
        return command
    return ("setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups", "--", *command)


async def _done(*command: str | Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *_unprivileged(*command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd="/"
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"initdb ended with {process.returncode}: {said.decode()}")
