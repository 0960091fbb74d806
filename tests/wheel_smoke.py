"""Builds the wheel, installs it into an empty environment, sends one event through it, and looks at its dashboard.

`make wheel-smoke`. What works in a checkout may be missing from the package: the schema, the samples, the templates, an
undeclared dependency.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import IO

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.visitor import see_the_dashboard

ROOT = Path(__file__).parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="webhookd-wheel-") as name:
        directory = Path(name)
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(directory), cwd=ROOT)
        [wheel] = directory.glob("*.whl")
        venv.create(directory / "venv", with_pip=True)
        pip = [str(directory / "venv" / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(ROOT / "requirements.lock"), cwd=directory)
        run(*pip, "--no-deps", "--no-index", str(wheel), cwd=directory)
        try_it(directory, str(directory / "venv" / "bin" / "webhookd"))
    print("wheel: builds, installs into an empty environment, delivers an event, and shows its dashboard")


def try_it(directory: Path, webhookd: str) -> None:
    # Away from the checkout, so that only what the wheel brought can be found.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    arguments = [webhookd, "serve", "--dev", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]
    daemon = subprocess.Popen(
        arguments, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert daemon.stderr is not None
        assert daemon.stdout is not None
        ready = json.loads(until(daemon.stderr, '"event": "ready"'))
        run(webhookd, "trigger", "stripe", "payment_intent.succeeded", cwd=directory)
        delivered = until(daemon.stdout, "payment_intent.succeeded")
        assert "signed" in delivered, delivered
        answer = run(webhookd, "status", "--json", cwd=directory)
        assert json.loads(answer)["accepted"] == 1, answer
        for engine in ("postgres", "sqlite"):
            assert "CREATE TABLE" in run(webhookd, "outbox", "sql", "--engine", engine, cwd=directory)
        see_the_dashboard(ready["admin"], (directory / "data" / "admin.token").read_text().strip())
    finally:
        daemon.terminate()
        daemon.communicate(timeout=60)
    assert daemon.returncode == 0, daemon.returncode


def until(stream: IO[str], text: str) -> str:
    """The first line with the text in it."""
    said = []
    for line in stream:
        if text in line:
            return line
        said.append(line)
    raise SystemExit("the daemon ended early: " + "".join(said))


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
