"""The real daemon, which loads what listens once somebody has opened the FIFO `load` in its directory, and closed it.

python -m tests.daemon.slow_to_load serve …
"""

from pathlib import Path
from unittest.mock import patch

from webhookd import daemon
from webhookd.cli.app import main

what_listens = daemon._what_listens


def load() -> object:
    Path("load").read_bytes()
    return what_listens()


if __name__ == "__main__":
    with patch("webhookd.daemon._what_listens", load):
        main()
