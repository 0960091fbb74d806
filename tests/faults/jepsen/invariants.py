"""The auditor: what provider, merchants and nemesis saw, and what the database holds, and whether they agree.

Each rule is a question to both files at once whose answer must be empty. The numbers are those of the project's
invariants; what can only be found out during the run (I12, I14 after each crash, I15, I16) comes as a finding.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.jepsen.history import History
from tests.faults.jepsen.provider import PREFIX
from tests.faults.jepsen.rules import PREPARATION, RULES, Rule
from tests.faults.jepsen.settings import (
    IN_FLIGHT_MAX,
    IN_FLIGHT_MAX_OF_ALL,
    JITTER,
    LATECOMER,
    NAMES,
    WAITS_S,
)
from webhookd.providers import reread
from webhookd.store.sql.audit import Finding
from webhookd.store.sqlite.audit import audit as verify
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.wal import WAL_BYTES_MAX

SHOWN_MAX = 5
"""Broken promises of one rule that are told with their subject; the rest is counted."""


class Broken(NamedTuple):
    invariant: str
    rule: str
    subject: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.rule}: {self.subject}"


def audit(history: History, database: Path, secrets: Iterable[str], *, forgets: bool) -> list[Broken]:
    """Every broken promise; to be called when no daemon runs. `forgets`: retention takes what is finished out."""
    broken: list[Broken] = []
    with closing(driver.connect(database)) as connection:
        lines = [str(line) for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"]
        lines += [f"foreign key: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        broken += [Broken("I14", "the database is sound", line) for line in lines]
    broken += verified(verify(database, reread))
    return [*broken, *judged(history, database, secrets, forgets=forgets)]


def verified(findings: Iterable[Finding]) -> list[Broken]:
    """What `webhookd verify` has found."""
    return [Broken("verify", each.check, f"{each.subject} {each.detail}") for each in findings]


def judged(
    history: History,
    log: Path,
    secrets: Iterable[str],
    *,
    forgets: bool,
    rules: Iterable[Rule] = RULES,
    preparation: str = PREPARATION,
) -> list[Broken]:
    """By rules, and what was found during the run. `log` is the database, or what was in it, as a file of SQLite."""
    broken = [Broken(number, "found during the run", what) for number, what in history.rows("SELECT * FROM finding")]
    with closing(driver.connect(log)) as connection:
        broken += [Broken("I16", "a secret in the database", where) for where in _told(connection, secrets)]
    with closing(driver.connect(history.file, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS log", (str(log),))
        _prepare(connection, preparation, forgets=forgets)
        for rule in rules:
            for row in connection.execute(rule.question).fetchall():
                broken.append(Broken(rule.invariant, rule.name, " ".join(map(str, row))))
    return broken


def summary(broken: Iterable[Broken]) -> Iterator[str]:
    """The first of each rule, and how many more there are."""
    of_rule: dict[tuple[str, str], list[Broken]] = {}
    for each in broken:
        of_rule.setdefault((each.invariant, each.rule), []).append(each)
    for (number, rule), found in of_rule.items():
        yield from map(str, found[:SHOWN_MAX])
        if len(found) > SHOWN_MAX:
            yield f"{number} {rule}: {len(found) - SHOWN_MAX} more"


def _prepare(connection: Any, preparation: str, *, forgets: bool) -> None:
    connection.execute("CREATE TEMP TABLE given (name TEXT PRIMARY KEY, value)")
    connection.executemany(
        "INSERT INTO given VALUES (?, ?)",
        {
            "forgets": forgets,
            "prefix": len(PREFIX) + 1,
            "latecomer": LATECOMER,
            "attempts_max": len(WAITS_S),
            "in_flight_max": IN_FLIGHT_MAX,
            "in_flight_max_of_all": IN_FLIGHT_MAX_OF_ALL,
            "wal_max": WAL_BYTES_MAX,
        }.items(),
    )
    connection.execute("CREATE TEMP TABLE always (merchant TEXT)")
    connection.executemany("INSERT INTO always VALUES (?)", [(name,) for name in NAMES])
    connection.execute("CREATE TEMP TABLE wait (number INTEGER PRIMARY KEY, least_s REAL)")
    waits = [(number, wait_s * (1 - JITTER)) for number, wait_s in enumerate(WAITS_S)]
    connection.executemany("INSERT INTO wait VALUES (?, ?)", waits)
    connection.executescript(preparation)


def _told(connection: Any, secrets: Iterable[str]) -> Iterator[str]:
    """Columns of text in which a secret stands."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if row[2] == "TEXT"]
        for column in columns:
            for secret in secrets:
                query = f"SELECT count(*) FROM {table} WHERE instr({column}, ?)"
                if connection.execute(query, (secret,)).fetchone() != (0,):
                    yield f"{table}.{column}"
