"""What a peer takes from npm, installed once, as its lock file says."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

DEBIAN = (("node", "nodejs"), ("npm", "npm"))
_LAST_WORDS = 2_000


async def installed(source: Path, target: Path, say: Callable[[str], None]) -> Path:
    """The target: the programs of `source` (*.mjs) as they are now, and what its package-lock.json names beside them.

    Raises SystemExit with what npm said last.
    """
    target.mkdir(parents=True, exist_ok=True)
    lock = (source / "package-lock.json").read_bytes()
    for program in source.glob("*.mjs"):
        shutil.copy(program, target)
    done = target / "installed"
    if done.exists() and done.read_text() == hashlib.sha256(lock).hexdigest():
        return target
    say(f"npm installs what {source.name} needs …")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(source / name, target)
    command = ("npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier")
    npm = await asyncio.create_subprocess_exec(
        *command, cwd=target, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await npm.communicate()
    if npm.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {npm.returncode}: {said[-_LAST_WORDS:].decode()}")
    done.write_text(hashlib.sha256(lock).hexdigest())
    return target
