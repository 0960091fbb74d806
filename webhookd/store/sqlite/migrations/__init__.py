"""One file for each schema, which brings the tables of the schema before it to it: `to_2.sql`, `to_3.sql`, …

A file moves what is there. Tables that are new, triggers, views and indexes are made from `schema.sql` once all files
have run (`migrate.py`); so a step that changes a table which an earlier step left to `schema.sql` must first make
it (`CREATE TABLE IF NOT EXISTS`). Triggers and views are gone while a step runs, references between tables are not
followed, and `seal(text, endpoint, created_at)` seals an endpoint's secret.
"""

from importlib import resources

LEDGER_OF = 4
"""The ledger of a file from before this schema is made anew from the log: it was read by rules that have changed."""


def step(version: int) -> str:
    """What brings the schema before `version` to it."""
    return (resources.files(__name__) / f"to_{version}.sql").read_text(encoding="utf-8")
