"""SQL by name: the queries of `sqlite.sql` and the like, `schema.sql`, and inserts of as many rows as there are."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path

FACT_COLUMNS = (
    *("kind", "object_id", "status", "detail", "major", "minor", "counts"),
    *("amount", "currency", "exponent", "refunded", "reference", "names"),
)
EVENT_COLUMNS = (
    *("key", "salt", "source", "provider", "provider_event_id", "type", "state", "received_at"),
    *("occurred_at", "payment_id", *FACT_COLUMNS, "headers", "sha256", "size", "body", "trace"),
)
LEDGER_COLUMNS = (
    *("provider", "kind", "id", "status", "detail", "major", "minor", "tie", "occurred_at", "amount", "currency"),
    *("exponent", "payment_id", "reference", "refunded", "refunded_at", "counted_at", "first_event"),
)
ATTEMPT_COLUMNS = (
    *("event", "endpoint", "number", "started_at", "duration_ms", "status"),
    *("error", "response", "replay", "state", "due_at", "step"),
)


def schema() -> str:
    """`schema.sql`: inside the package when it was installed from a wheel, beside it in a checkout."""
    packaged = resources.files("webhookd") / "schema.sql"
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "schema.sql").read_text(encoding="utf-8")


def named(text: str) -> Mapping[str, str]:
    """The queries of a file, each headed by `-- its_name: what it is for`."""
    queries = {}
    for block in text.strip().split("\n\n"):
        head, _, body = block.partition("\n")
        name = head.removeprefix("-- ").split(":", 1)[0]
        queries[name] = body.strip().rstrip(";")
    return queries


def _file(name: str) -> Mapping[str, str]:
    return named((resources.files("webhookd.store") / name).read_text(encoding="utf-8"))


SQL = {**_file("sqlite.sql"), **_file("ledger.sql")}
REPLAY = _file("replay.sql")
FEED = _file("feed.sql")
ACCESS = _file("access.sql")
STUCK = _file("stuck.sql")
STORY = _file("story.sql")
LOOKUP = _file("lookup.sql")
DEAD = _file("dead.sql")
CHRONICLE = _file("chronicle.sql")
RECONCILE = _file("reconcile.sql")
RETENTION = _file("retention.sql")
AUDIT = _file("audit.sql")
"""What runs beside the log, on a connection of `open_beside`: `main` is the recount, `log` what is kept."""


@cache
def insert_events(rows: int) -> str:
    """Adds the new ones of these events; a known (source, provider event id) is passed over."""
    return f"{_insert('event', EVENT_COLUMNS, rows)} ON CONFLICT (source, provider_event_id) DO NOTHING"


@cache
def insert_notice() -> str:
    """Adds an event of webhookd's own, unless it is there."""
    return f"{_insert('event', EVENT_COLUMNS, 1)} ON CONFLICT DO NOTHING"


@cache
def insert_aliases(rows: int) -> str:
    """Binds aliases to their events; one that is bound already is passed over."""
    return f"{_insert('alias', ('source', 'name', 'event', 'sha256'), rows)} ON CONFLICT DO NOTHING"


@cache
def insert_attempts(rows: int) -> str:
    """Records attempts; one that is on record already (its first commit was not heard of) is passed over."""
    return f"{_insert('attempt', ATTEMPT_COLUMNS, rows)} ON CONFLICT DO NOTHING"


def _insert(table: str, columns: tuple[str, ...], rows: int) -> str:
    values = "(" + ",".join("?" * len(columns)) + ")"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {','.join([values] * rows)}"  # noqa: S608 - our names
