"""A log that moves from SQLite to PostgreSQL: nothing is lost, and at any time one store is there to be opened."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import Server
from tests.store.old_files import SEAL_OF_3, old_file
from webhookd.providers import reread
from webhookd.store.sqlite.migrate import migrate
from webhookd.upgrade import nobody


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A file with something in every table."""
    path = old_file(tmp_path / "log" / "webhookd.db", 4)
    migrate(path, SEAL_OF_3, reread, nobody, stamp="then")
    return path


@pytest.mark.fault(1)
def test_killed_at_any_point_it_leaves_one_store_that_opens_and_goes_on(log: Path, tmp_path: Path, postgres: Server):
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.killed_move", str(log), str(tmp_path), postgres.url("killed")],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    of_the_file, of_the_target = map(int, done.stdout.split())
    assert of_the_file > 10
    assert of_the_target >= 3
