"""A fuzzer looks for a body that a provider's room stumbles over: it is led by the lines that an input reaches."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from webhookd.providers import PROVIDERS
from webhookd.sandbox.samples import sample, types

ROOT = Path(__file__).parents[2]
NOW_S = 1_772_366_400
SECONDS_EACH_MAX = 10
"""A body is read in well under a millisecond."""
_DONE = re.compile(r"Done (\d+) runs")

pytestmark = [
    pytest.mark.fault(52),
    pytest.mark.skipif(
        importlib.util.find_spec("atheris") is None and "CI" not in os.environ,
        reason="needs atheris, which has no wheel for this machine's Python",
    ),
]


def corpus(directory: Path) -> Path:
    """A sample of every type there is, each after its provider's number."""
    directory.mkdir()
    for number, provider in enumerate(PROVIDERS):
        for event_type in types(provider):
            body = sample(provider, event_type, NOW_S, Random(1))
            (directory / f"{provider}-{event_type}").write_bytes(bytes([number]) + body)
    return directory


def test_no_body_is_found_that_a_room_stumbles_over(
    tmp_path: Path, torture: bool, seed: int, record_property: Any
) -> None:
    runs = 200_000 if torture else 5_000
    found = tmp_path / "found"
    found.mkdir()
    options = [f"-runs={runs}", f"-seed={seed}", "-max_len=16384", f"-timeout={SECONDS_EACH_MAX}"]
    command = [sys.executable, "-m", "tests.faults.parser_fuzzer", *options, f"-artifact_prefix={tmp_path}/input-"]
    ended = subprocess.run(
        [*command, str(found), str(corpus(tmp_path / "corpus"))],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    inputs = [(path.name, path.read_bytes()[:5_000]) for path in tmp_path.glob("input-*")]
    assert ended.returncode == 0, f"{ended.stderr[-5_000:]}\n{inputs}"
    done = _DONE.search(ended.stderr)
    assert done is not None, ended.stderr[-5_000:]
    record_property("bad_inputs", int(done[1]))
