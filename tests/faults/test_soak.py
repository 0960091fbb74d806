"""What a soak calls flat, and what it does not."""

from pathlib import Path

import pytest

from tests.faults.jepsen.history import History
from tests.faults.jepsen.soak import figures, growing, write

MIB = 2**20


def soaked(directory: Path, *, grows: str = "", by: float = 0) -> History:
    """An hour, looked at each 10 s; of one figure there is this many times more at its end."""
    history = History(directory / "history.db")
    usual = {"rss": 90 * MIB, "files": 120, "threads": 9, "file": 60 * MIB, "wal": 4 * MIB}
    for at in range(0, 3600, 10):
        row = [round(value * (1 + by * at / 3600 * (name == grows))) for name, value in usual.items()]
        history.note("sample", float(at), 1, float(at), *row)
    history.note("life", 1, 0.0, 3600.0, 0, "stop")
    return history


def test_what_stays_as_it_was_is_flat(tmp_path: Path):
    history = soaked(tmp_path)
    assert growing(history, 3600) == []
    assert [each.name for each in figures(history)] == ["rss", "files", "threads", "file", "wal"]
    history.close()


@pytest.mark.parametrize(
    ("name", "by"), [("rss", 2.0), ("files", 2.0), ("threads", 10.0), ("file", 2.0), ("wal", 20.0)]
)
def test_what_grows_is_found(tmp_path: Path, name: str, by: float):
    history = soaked(tmp_path, grows=name, by=by)
    [found] = growing(history, 3600)
    assert found.startswith(f"{name}: ")
    history.close()


def test_a_soak_in_which_no_process_lived_long_enough_is_refused(tmp_path: Path):
    history = History(tmp_path / "history.db")
    assert "too few" in growing(history, 20)[0]
    history.close()


def test_its_figures_and_pictures_are_written(tmp_path: Path):
    history = soaked(tmp_path)
    files = write(history, {"lost": 0}, tmp_path / "build")
    assert [file.name for file in files] == ["soak.json", "soak-bytes.png", "soak-counts.png"]
    assert all(file.stat().st_size for file in files)
    history.close()
