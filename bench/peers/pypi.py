"""What a peer takes from PyPI, installed once into an environment of its own, as its lock file says."""

import asyncio
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_LAST_WORDS = 2_000


async def installed(lock: Path, target: Path, say: Callable[[str], None]) -> Path:
    """The interpreter of the environment, which has just what `requirements.txt` names, by its hashes.

    Raises SystemExit with what pip said last.
    """
    python, mark = target / "bin" / "python", target / "installed"
    wanted = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return python
    say(f"pip installs what {lock.parent.name} needs …")
    shutil.rmtree(target, ignore_errors=True)
    await done(sys.executable, "-m", "venv", target)
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:")
    await done(python, "-m", "pip", "install", *options, "-r", lock)
    mark.write_text(wanted)
    return python


async def done(*command: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> None:
    """Wait for a command. Raises SystemExit with its last words when it fails. `env` is added to that of the bench."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **(env or {})},
        cwd=cwd,
    )
    said, _ = await process.communicate()
    if process.returncode != 0:
        words = said[-_LAST_WORDS:].decode(errors="replace")
        raise SystemExit(f"{' '.join(map(str, command))} ended with {process.returncode}: {words}")
