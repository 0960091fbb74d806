"""Prometheus itself, from its Debian package. Where it is missing its tests are skipped, but never where CI runs."""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IS_MISSING = not (shutil.which("promtool") and shutil.which("prometheus"))
needs_prometheus = pytest.mark.skipif(
    IS_MISSING and not os.environ.get("CI"),
    reason="the rules are NOT tried without Prometheus: apt-get install --no-install-recommends prometheus",
)
