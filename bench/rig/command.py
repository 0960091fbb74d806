"""What the commands have in common: what may be asked of them, and how they end when somebody does not want to wait."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec


def command(main: Callable[[], None]) -> None:
    """Run it. Ctrl-C, SIGTERM and a closed terminal end it alike: what it has started is stopped first, then 130."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        main()
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing is reported\n")
        sys.exit(130)


def tell(figures: object, show: Callable[[], None], *, as_json: bool) -> None:
    """What was found, on standard output: as one JSON document, or as `show` has it."""
    if as_json:
        print(msgspec.json.encode(figures).decode())
    else:
        show()


def one_or_more(text: str) -> int:
    """For argparse."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return number


def above_zero(text: str) -> float:
    """For argparse."""
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return number


def new_file(text: str) -> Path:
    """For argparse: whether it can be written is better known before the measurement than after it."""
    path = Path(text).absolute()
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a directory")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    return path
