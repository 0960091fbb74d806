"""The statements of a file, by their names in it."""

from collections.abc import Mapping

from webhookd.store.sqlite.statements import STATEMENTS


def of(*files: str) -> Mapping[str, str]:
    return {name: sql for full, sql in STATEMENTS.items() for file, _, name in [full.partition(".")] if file in files}
