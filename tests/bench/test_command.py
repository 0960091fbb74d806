"""What may be asked of a bench, and how it ends when it is told to."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bench.rig.command import above_zero, new_file, one_or_more

BENCH = """
import asyncio, sys
from bench.rig.command import command

async def measure():
    try:
        print("measuring", flush=True)
        await asyncio.Event().wait()
    finally:
        print("stopped what it had started", flush=True)

command(lambda: asyncio.run(measure()))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_bench_that_is_told_to_end_stops_what_it_has_started_and_says_so_without_a_traceback(number):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", BENCH], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stdout.readline() == "measuring\n"
        bench.send_signal(number)
        said, complained = bench.communicate()
    assert (said, complained) == ("stopped what it had started\n", "interrupted: nothing is reported\n")
    assert bench.returncode == 130


@pytest.mark.parametrize("text", ["0", "-1"])
def test_less_than_one_of_something_is_not_asked_for(text):
    with pytest.raises(argparse.ArgumentTypeError):
        one_or_more(text)


@pytest.mark.parametrize("text", ["0", "-0.5", "inf", "nan"])
def test_a_rate_is_above_zero(text):
    with pytest.raises(argparse.ArgumentTypeError):
        above_zero(text)


def test_a_picture_that_could_not_be_written_is_known_before_the_measurement(tmp_path):
    assert new_file(str(tmp_path / "a.png")) == tmp_path / "a.png"
    for impossible in (tmp_path, tmp_path / "nowhere" / "a.png"):
        with pytest.raises(argparse.ArgumentTypeError):
            new_file(str(impossible))
