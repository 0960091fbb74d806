"""What is asked of a measurement beside what was found."""

from collections.abc import Sequence

import msgspec
from rich.table import Table


class Promise(msgspec.Struct):
    what: str
    asked: str
    found: str
    kept: bool


def at_most(what: str, found: float, most: float, unit: str = "") -> Promise:
    return Promise(what, f"≤ {most:g} {unit}".strip(), f"{round(found, 2):g} {unit}".strip(), found <= most)


def at_least(what: str, found: float, least: float) -> Promise:
    return Promise(what, f"≥ {least:g}", f"{round(found, 3):g}", found >= least)


def none(what: str, found: int) -> Promise:
    return Promise(what, "0", str(found), found == 0)


def asked_and_found(promises: Sequence[Promise]) -> Table:
    table = Table("", "asked", "found", "")
    for promise in promises:
        table.add_row(promise.what, promise.asked, promise.found, "" if promise.kept else "NOT KEPT")
    return table
