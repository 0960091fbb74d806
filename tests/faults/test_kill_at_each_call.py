"""kill -9 as each write, sync and change of a name is entered: of seven deeds of the store, and of a daemon."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.harness import CALLS, crash
from tests.faults.calls import SENDS, Call, Tracer, needs_strace, noted
from tests.faults.deeds.mistaken import MISTAKES
from tests.store.old_files import OLD

pytestmark = needs_strace
OF_EACH_KIND, OF_EACH_KIND_OF_A_MISTAKE = 2, 12
"""Struck when it is not done in earnest. A mistake is looked for longer: it ends with the first broken promise."""
OF_WHAT_IS_SAID, SAID_IN_EARNEST = 4, 60
"""Of what is said to PostgreSQL, or answered by it: each costs a database, and of the server a recovery. All of it is
struck by `python -m tests.faults.struck` and `….server_dies`, without `--of-each-kind`.
"""
ROOT = Path(__file__).parents[2]
Swept = Callable[..., dict[str, Any]]


@pytest.fixture
def swept(tmp_path: Path, seed: int, torture: bool, record_property: Callable[[str, object], None]) -> Swept:
    """What came of a deed that was killed at every call, or at some of each kind, in a process of its own."""

    def sweep(deed: str, of_each_kind: int = OF_EACH_KIND, *more: str, by: str = "struck") -> dict[str, Any]:
        command = [sys.executable, "-m", f"tests.faults.{by}", deed, str(tmp_path), "--seed", str(seed), *more]
        if not torture:
            command += ["--of-each-kind", str(of_each_kind)]
        elif by == "server_dies" or more:
            command += ["--of-each-kind", str(SAID_IN_EARNEST)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        found["broken"] += done.stderr.splitlines()
        record_property("kills", sum(found["kills"].values()))
        record_property("syscalls", found["calls"])
        return found

    return sweep


def all_is_kept(found: dict[str, Any], seed: int) -> None:
    assert found["broken"] == [], f"again: python -m tests.faults.struck … --seed {seed}"
    assert found["missed"] == []
    assert found["kills"]["pwrite64"] > 0
    assert found["kills"].keys() & {"fsync", "fdatasync"}


@pytest.mark.fault(2)
@pytest.mark.parametrize("deed", ["start", "receive", "settle", "checkpoint"])
def test_killed_at_any_call_what_was_acked_is_there_and_what_is_pending_is_due(deed: str, swept: Swept, seed: int):
    all_is_kept(swept(deed), seed)


@pytest.mark.fault(2, 38)
@pytest.mark.parametrize("schema", OLD)
def test_killed_at_any_call_of_a_migration_the_schema_is_the_old_one_or_the_new_one(
    schema: int, swept: Swept, seed: int
):
    all_is_kept(swept(f"migrate-{schema}"), seed)


@pytest.mark.fault(2, 39)
def test_killed_at_any_call_of_a_backup_there_is_a_whole_one_or_none(swept: Swept, seed: int):
    all_is_kept(swept("backup"), seed)


@pytest.mark.fault(2, 39)
def test_killed_at_any_call_of_pruning_an_event_is_whole_or_past_and_what_is_undelivered_stays(swept: Swept, seed: int):
    all_is_kept(swept("prune"), seed)


@pytest.mark.fault(2, 40)
@pytest.mark.parametrize("deed", ["receive", "settle", "prune"])
def test_killed_at_anything_that_it_says_to_postgres_what_was_acked_is_there_and_the_rest_whole_or_absent(
    deed: str, swept: Swept, seed: int
):
    found = swept(deed, OF_WHAT_IS_SAID, "--store", "postgres")
    assert found["broken"] == [], f"again: python -m tests.faults.struck {deed} … --store postgres --seed {seed}"
    assert found["missed"] == []
    assert found["kills"][SENDS] >= OF_WHAT_IS_SAID


@pytest.mark.fault(2, 40)
@pytest.mark.parametrize("deed", ["receive", "settle", "prune"])
def test_when_postgres_dies_at_anything_that_is_said_or_answered_what_was_acked_is_there_and_the_rest_becomes_known(
    deed: str, swept: Swept, seed: int
):
    found = swept(deed, OF_WHAT_IS_SAID, by="server_dies")
    assert found["broken"] == [], f"again: python -m tests.faults.server_dies {deed} … --seed {seed}"
    assert found["kills"].keys() <= {"said", "answered", "nothing"}
    assert sum(found["kills"].values()) >= 2 * OF_WHAT_IS_SAID


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_it_is_found_out(mistake: str, swept: Swept):
    found = swept(mistake, OF_EACH_KIND_OF_A_MISTAKE)
    assert found["broken"]
    assert not [line for line in found["broken"] if line.startswith("killed by nobody")], "no kill is needed to see it"


@pytest.mark.fault(2)
async def test_a_daemon_that_is_killed_at_its_calls_under_load_loses_nothing_and_doubles_nothing(
    tmp_path: Path, seed: int, torture: bool, record_property: Callable[[str, object], None]
):
    report = await crash(tmp_path, 40 if torture else len(CALLS), seed, moments=CALLS)
    assert report.broken == [], f"seed {seed}"
    assert (report.lost, report.duplicated) == (0, 0), f"seed {seed}"
    assert report.acked > 0
    record_property("kills", sum(report.kills.values()))
    record_property("acks", report.acked)
    record_property("requests", report.requests)


def test_a_call_that_is_struck_is_not_made_and_those_before_it_are(tmp_path: Path):
    """What all of it rests on."""
    (data := tmp_path / "data").mkdir()
    for call, left in (
        (Call("pwrite64", "a", 1), {"a": 0, "b": 1}),
        (Call("pwrite64", "a", 3), {"a": 2, "b": 3}),
        (Call("fsync", "a", 1), {"a": 3, "b": 3}),
        (Call("rename", "a", 1), {"a": 3, "b": 3}),
        (Call("unlink", "b", 1), {"c": 3, "b": 3}),
        (Call("fsync", ".", 1), {"c": 3}),
    ):
        status, _log = traced(data, tmp_path / "log", call)
        assert status == -signal.SIGKILL, call
        assert {each.name: each.stat().st_size for each in data.iterdir()} == left, call


def test_every_call_on_a_file_of_the_directory_is_noted_in_order(tmp_path: Path):
    (data := tmp_path / "data").mkdir()
    status, log = traced(data, tmp_path / "log", None)
    assert status == 0
    assert list(map(str, noted(log, data))) == [
        *(f"pwrite64 {number} of {name}" for number in (1, 2, 3) for name in ("b", "a")),
        "fsync 1 of a",
        "rename 1 of a",
        "unlink 1 of b",
        "fsync 1 of .",
    ]


def traced(data: Path, log: Path, call: Call | None) -> tuple[int, str]:
    """How a process ended that writes two files, renames one and removes the other; and what was noted of it."""
    for each in data.iterdir():
        each.unlink()
    script = (
        "import os, sys; os.chdir(sys.argv[1]); sys.stdin.read(1)\n"
        "b, a = (os.open(os.path.abspath(name), os.O_RDWR | os.O_CREAT) for name in 'ba')\n"
        "for at in range(3): os.pwrite(b, b'x', at); os.pwrite(a, b'x', at)\n"
        "os.fsync(a); os.rename(os.path.abspath('a'), os.path.abspath('c')); os.unlink(os.path.abspath('b'))\n"
        "os.fsync(os.open('.', os.O_RDONLY))"
    )
    with subprocess.Popen([sys.executable, "-c", script, data], stdin=subprocess.PIPE) as process:
        tracer = Tracer(process.pid, log, data, call)
        process.communicate(b"!")
        tracer.ended()
    return process.returncode, log.read_text()
