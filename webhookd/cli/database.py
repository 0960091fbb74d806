"""The database file of the configuration, for verbs that work on it without a daemon."""

from pathlib import Path

from webhookd.cli.options import Exit, fail
from webhookd.config import Config


def must_be_a_file(config: Config, instead: str) -> None:
    """The end of the command where PostgreSQL keeps the store: `instead` says what does there what the verb does."""
    if config.store.url.file is None:
        fail(Exit.USAGE, f"the store is in PostgreSQL ({config.store.url.shown}): {instead}")


def database_file(config: Config) -> Path:
    """The end of the command where there is none yet."""
    if not config.database.is_file():
        fail(Exit.USAGE, f"{config.database}: there is no such database (see --data-dir)")
    return config.database
