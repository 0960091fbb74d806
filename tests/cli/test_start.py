"""A small verb does not wait for what it does not need: which modules are read is counted, not how long that takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.shell import ROOT, ask
from webhookd.cli.app import VERBS, app, read_verb

HEAVY = {
    *("aiohttp", "aiosqlite", "uvloop", "cryptography", "httptools", "prometheus_client", "asyncio", "sqlite3"),
    *("pysqlite3", "structlog", "webhookd.daemon", "webhookd.store.sqlite.store", "webhookd.providers.stripe"),
}
SMALL = [
    *("--help", "--version", "-h", "nonsense"),
    *("status", "events list", "deliveries list", "endpoints list", "payments list", "revenue", "sources", "why evt_1"),
    *("reconcile stripe --from -", "tokens list", "audit list", "why --help", "events -h", "reload"),
]
PROBE = """
import sys, json
sys.argv = ["webhookd", *json.loads(sys.argv[1])]
from webhookd.cli.app import main
try:
    main()
finally:
    sys.stderr.write("\\n" + json.dumps(sorted(sys.modules)))
"""


def read_for(arguments: list[str], cwd: Path) -> set[str]:
    """The modules that a command has read when it ends."""
    asked = [sys.executable, "-c", PROBE, json.dumps(arguments)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    found = subprocess.run(asked, cwd=cwd, env=environment, capture_output=True, text=True, input="{}", check=False)
    return set(json.loads(found.stderr.splitlines()[-1]))


@pytest.mark.parametrize("arguments", SMALL)
def test_a_small_verb_reads_neither_the_daemon_nor_what_signs(arguments: str, tmp_path: Path):
    at = [] if arguments.startswith("-") or arguments == "nonsense" else ["--url", "http://127.0.0.1:1"]
    words = arguments.split()
    (tmp_path / "token").write_text("whd_x")
    (tmp_path / "token").chmod(0o600)
    if at and words[-1] not in ("-h", "--help"):
        words += [*at, "--token-file", "token", "--data-dir", "data"]
    read = read_for(words, tmp_path)
    assert "webhookd.cli.app" in read
    assert not HEAVY & read


def test_a_daemon_that_nobody_looks_at_reads_nothing_that_makes_pages():
    probe = "import sys, json, webhookd.daemon, webhookd.inbound; print(json.dumps(sorted(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    read = set(json.loads(said))
    assert "webhookd.admin.dashboard.frame.render" in read
    assert not {"jinja2", "markupsafe"} & read


def test_the_help_reads_no_verb(tmp_path: Path):
    read = read_for(["--help"], tmp_path)
    assert {each for each in read if each.startswith("webhookd.")} == {"webhookd.cli", "webhookd.cli.app"}


@pytest.mark.parametrize("name", VERBS)
def test_the_list_says_of_a_verb_what_its_own_help_begins_with(name: str):
    whole = read_verb(name).help
    assert " ".join(whole.split("\n\n")[0].split()) == VERBS[name].about


def test_every_file_with_a_verb_is_in_the_list():
    files = {verb.file for verb in VERBS.values()}
    for path in sorted((ROOT / "webhookd" / "cli").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if text.startswith('"""`webhookd ') and path.stem != "app":
            assert path.stem in files, path


async def test_h_is_help_everywhere():
    for verb in ([], ["why"], ["events"], ["events", "list"]):
        assert (await ask(*verb, "-h")).out == (await ask(*verb, "--help")).out != ""


async def test_a_misspelt_verb_is_answered_with_the_one_that_was_meant():
    found = await ask("statsu")
    assert (found.code, "'status'" in found.err) == (2, True)


def test_the_app_is_a_group_with_its_verbs():
    assert typer.main.get_command(app).list_commands(None) == list(VERBS)  # type: ignore[attr-defined, arg-type]
