"""The wall clock of a daemon, set from outside while it runs: libfaketime stands between it and the kernel.

The clock that never steps back stays the real one.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

LIBRARY = next(
    (found for top in ("/usr/lib", "/usr/lib64") for found in Path(top).glob("*/faketime/libfaketimeMT.so.1")), None
)
needs_faketime = pytest.mark.skipif(
    LIBRARY is None and "CI" not in os.environ, reason="the clock cannot be set: Debian's package faketime is not here"
)


class FakedClock:
    """`environment` is that of the process whose clock it is."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.ahead_s = 0
        self.set(0)

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, ahead_s: int) -> None:
        """So far ahead of the real time, or behind it, from now on."""
        self.ahead_s = ahead_s
        draft = self._file.with_suffix(".draft")
        draft.write_text(f"{ahead_s:+}\n")
        draft.replace(self._file)  # a clock that was read while half of this is written would be anywhere

    def now_s(self) -> int:
        """What it says."""
        return int(time.time()) + self.ahead_s
