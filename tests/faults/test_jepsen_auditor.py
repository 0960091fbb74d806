"""Whether the auditor bites: a run in which all went well, and then for each rule the one thing that breaks it."""

import shutil
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

from tests.faults.jepsen.history import History
from tests.faults.jepsen.invariants import Broken, audit
from tests.faults.jepsen.nemesis import HASTY
from tests.faults.jepsen.rules import RULES
from tests.faults.jepsen.run import run
from tests.faults.jepsen.world import Load
from webhookd.store.sqlite.driver import driver

FIRST = "rowid = (SELECT min(rowid) FROM request WHERE status = 200 AND merchant = 'checkout')"
LAST = FIRST.replace("min", "max")
PAST = "key, salt, source, provider, provider_event_id, type, state, received_at, sha256, size"
ONE_EVENT = "(SELECT min(key) FROM event)"
ONE_DELIVERY = f"event = {ONE_EVENT} AND endpoint = (SELECT min(endpoint) FROM delivery WHERE event = {ONE_EVENT})"


def again(which: str = FIRST, **changed: str) -> str:
    """The first request that was taken, or another, comes once more, a little otherwise."""
    columns = (
        "merchant key salt endpoint number sha256 authentic replay signed_at arrived done status retry_after_s life"
    ).split()
    row = ", ".join(changed.get(name, name) for name in columns)
    return f"INSERT INTO request SELECT {row} FROM request WHERE {which}"


SPOILT_HISTORY = {
    "lost": f"DELETE FROM request WHERE key = (SELECT key FROM request WHERE {FIRST}) AND merchant = 'checkout'",
    "acknowledged under another id": "UPDATE answer SET salt = salt + 1 WHERE status = 200",
    "accepted more than once": "INSERT INTO answer SELECT * FROM answer WHERE word = 'accepted' LIMIT 1",
    "doubled": again(salt="salt + 1"),
    "in the log and never sent like that": "UPDATE hook SET sha256 = x'00' WHERE number = 1",
    "delivered and never sent like that": again(sha256="x'00'"),
    "delivered, and the merchant took none": f"UPDATE request SET status = 500 WHERE {FIRST}",
    "not signed as it should be": f"UPDATE request SET authentic = 0 WHERE {FIRST}",
    "one id, different bodies or delivery ids": again(endpoint="endpoint + 1"),
    "not the id, or not the body, of the log": f"UPDATE request SET salt = salt + 1 WHERE {FIRST}",
    "requests beyond the attempts on record": f"UPDATE request SET number = 50 WHERE {FIRST}",
    "a number twice in one life": again(arrived="arrived + 9", done="done + 9"),
    "a request after the one that settled it": again(arrived="arrived + 9", done="done + 9", signed_at="signed_at + 9"),
    "numbers that go back": again(number="number + 1", arrived="arrived - 9", done="done - 9"),
    "sooner than its schedule, or than it was asked to": again(number="number + 1", arrived="done + 0.001"),
    "two at once of one event": again(number="number + 1", arrived="arrived - 1"),
    "more at once than an endpoint takes": ";".join([again(done="done + 9")] * 9),
    "more at once than all may": ";".join([again(merchant=f"'m{each}'", done="done + 9") for each in range(21)]),
    "an authentic hook is refused otherwise than for now": "UPDATE answer SET status = 401 WHERE rowid = 1",
    "never acknowledged": "INSERT INTO hook VALUES (999999, x'00', NULL)",
    "acknowledged after a sync had failed": "INSERT INTO sync_failed VALUES (1, 0)",
    "the WAL is larger than its bound": "INSERT INTO sample (at, wal) VALUES (1, 100000000)",
    "found during the run": "INSERT INTO finding VALUES ('I12', 'something')",
}
SPOILT_LOG = {
    "acknowledged and not in the log": f"DELETE FROM event WHERE key = {ONE_EVENT}",
    "twice in the log": f"INSERT INTO past ({PAST}, taken_at) SELECT {PAST}, 0 FROM event LIMIT 1",
    "not owed to an endpoint that asked for it": f"DELETE FROM delivery WHERE {ONE_DELIVERY}",
    "ended otherwise than delivered": f"UPDATE delivery SET state = 'dead' WHERE {ONE_DELIVERY}",
    "not accepted": f"UPDATE event SET state = 'unrouted' WHERE key = {ONE_EVENT}",
    "attempts with gaps, or more than the schedule has": f"UPDATE attempt SET number = number + 1 WHERE {ONE_DELIVERY}",
    "attempts without an outcome": f"UPDATE attempt SET duration_ms = -1 WHERE {ONE_DELIVERY}",
    "attempts after one that succeeded": f"UPDATE delivery SET attempts = attempts + 1 WHERE {ONE_DELIVERY}",
    "the database is sound": f"DELETE FROM event WHERE key = {ONE_EVENT}",
    "a secret in the database": f"UPDATE event SET type = 'a secret' WHERE key = {ONE_EVENT}",
}


class Kept:
    """History and log of a run, in a directory, and who judges them."""

    def __init__(self, directory: Path, log: str, judge: Callable[[History, Path, list[str]], list[Broken]]) -> None:
        self._directory, self._log, self._judge = directory, log, judge

    def judged(self, history: str = "", log: str = "") -> set[str]:
        """The rules that are broken once this has been done to a copy of history and log."""
        copy = self._directory / "copy"
        copy.mkdir(exist_ok=True)
        for name, statements in (("history.db", history), (self._log, log)):
            shutil.copy(self._directory / name, copy / name)
            with closing(driver.connect(copy / name, isolation_level=None)) as connection:
                connection.execute("PRAGMA foreign_keys = OFF")
                connection.executescript(statements)
        with closing(History(copy / "history.db")) as kept:
            broken = self._judge(kept, copy / self._log, ["a secret"])
        return {each.rule for each in broken}


async def test_a_run_in_which_all_went_well_breaks_no_rule_and_each_rule_finds_what_breaks_it(
    tmp_path: Path, seed: int
):
    kept = Kept(tmp_path, "webhookd.db", partial(audit, forgets=False))
    report = await run(tmp_path, seed, 0, Load(30), HASTY, only=["kill", "hooks: late"])
    assert report.broken == []
    shutil.copy(tmp_path / "data" / "webhookd.db", tmp_path)
    assert kept.judged() == set()
    for rule, statement in SPOILT_HISTORY.items():
        assert rule in kept.judged(history=statement), rule
    for rule, statement in SPOILT_LOG.items():
        assert rule in kept.judged(log=statement), rule
    assert {each.name for each in RULES} <= {*SPOILT_HISTORY, *SPOILT_LOG}
