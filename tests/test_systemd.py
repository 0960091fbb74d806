"""The units, judged by systemd itself: well-formed, and exposed no more than 1.5 of 10."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
UNITS = sorted((ROOT / "systemd").iterdir())
INSTALLED = "/usr/local/bin/webhookd"
EXPOSURE_TENTHS_MAX = 15


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None and "CI" not in os.environ:
        pytest.skip("NOT CHECKED: systemd-analyze is not here (Debian: apt-get install systemd)")
    assert found is not None, "CI must have systemd-analyze: see .ci/run"
    return found


def test_the_service_is_exposed_no_more_than_systemds_own_are(analyze: str) -> None:
    judged = [analyze, "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_TENTHS_MAX}"]
    said = subprocess.run([*judged, ROOT / "systemd/webhookd.service"], capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr


def test_systemd_finds_nothing_wrong_with_the_units(analyze: str, tmp_path: Path) -> None:
    """It wants to see the executable, which is not installed here: another stands in its place."""
    copies = []
    for unit in UNITS:
        text = unit.read_text(encoding="utf-8")
        copies.append(tmp_path / unit.name)
        copies[-1].write_text(text.replace(INSTALLED, "/bin/true"), encoding="utf-8")
    said = subprocess.run([analyze, "verify", "--man=no", *copies], capture_output=True, text=True, check=False)
    ours = [line for line in said.stderr.splitlines() if "webhookd" in line]
    assert (said.returncode, ours) == (0, []), said.stderr


def test_all_units_are_there() -> None:
    assert [unit.name for unit in UNITS] == ["webhookd-admin.socket", "webhookd.service", "webhookd.socket"]


def test_what_is_run_is_where_the_ten_lines_put_it() -> None:
    service = (ROOT / "systemd/webhookd.service").read_text(encoding="utf-8")
    assert {line.split("=")[1].split()[0] for line in service.splitlines() if line.startswith("Exec")} == {INSTALLED}
    assert f"install webhookd {Path(INSTALLED).parent}/" in ten_lines()


def ten_lines() -> str:
    """What the README has one paste on a fresh machine."""
    run_it = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Run it\n")[2]
    block = re.search(r"```sh\n(.*?)```", run_it, re.DOTALL)
    assert block is not None
    return block[1]


def test_it_is_ten_lines() -> None:
    assert len(ten_lines().splitlines()) <= 10


def test_the_ten_lines_are_shell(tmp_path: Path) -> None:
    subprocess.run(["bash", "-n", "-c", ten_lines()], check=True)
