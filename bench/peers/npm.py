"""What a peer takes from npm, installed once, in the exact versions that its package.json names."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

DEBIAN = (("node", "nodejs"), ("npm", "npm"))
_LAST_WORDS = 2_000


async def installed(source: Path, target: Path, say: Callable[[str], None]) -> None:
    """In `target`: the programs of `source` (*.mjs) as they are now, and beside them what its package.json names.

    Raises SystemExit with what npm said last.
    """
    target.mkdir(parents=True, exist_ok=True)
    for program in source.glob("*.mjs"):
        shutil.copy(program, target)
    wanted, done = (source / "package.json").read_text(), target / "installed.json"
    if done.exists() and done.read_text() == wanted:
        return
    say(f"npm installs what {source.name} needs …")
    shutil.copy(source / "package.json", target)
    # No lock file: what it would name depends on the processor (msgpackr's and Restate's native parts).
    command = ("npm", "install", "--no-package-lock", "--omit=dev", "--no-audit", "--no-fund", "--no-update-notifier")
    npm = await asyncio.create_subprocess_exec(
        *command, cwd=target, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await npm.communicate()
    if npm.returncode != 0:
        raise SystemExit(f"{' '.join(command)} ended with {npm.returncode}: {said[-_LAST_WORDS:].decode()}")
    done.write_text(wanted)
