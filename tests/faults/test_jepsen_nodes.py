"""Three nodes on one PostgreSQL, each in a network of its own, under everything at once; and its auditor, who bites."""

from pathlib import Path

import pytest

from tests.faults.jepsen.invariants import summary
from tests.faults.jepsen.nemesis import DAWDLES, HASTY, STEADY
from tests.faults.jepsen.nodes.nemesis import FREEZES, IN_PROCESS, IS_OVERTAKEN, KILLS_SERVER, LONG, ON_NODES
from tests.faults.jepsen.nodes.rules import OWN
from tests.faults.jepsen.nodes.scenario import run_of_nodes
from tests.faults.jepsen.nodes.several import LOG, judged_of_nodes
from tests.faults.jepsen.nodes.wishes import LIMITED, ORDERED
from tests.faults.jepsen.world import Load
from tests.faults.namespace import must_be_possible
from tests.faults.test_jepsen_auditor import LAST, ONE_DELIVERY, Kept, again

SMALL, LARGE = Load(30.0, of_a_payment=4), Load(100.0, of_a_payment=4)
TORTURE_S = 300.0
ON_LINES = ("hooks: loses answers", "merchant: swallows", "merchant: loses answers", DAWDLES)
"""Of the weathers those that are done when it is not done in earnest: the others are for one daemon, too."""
SLOW = {LONG, FREEZES, "no database"}
"""And these take their time: others show in less what they are for."""
AGAIN = "python -m tests.faults.jepsen --nodes 3 --seed"
A_THOUSAND = "(WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT i FROM n)"
SPOILT_HISTORY = {
    "a number twice under one claim": again(LAST, arrived="arrived + 0.001"),
    "a success on record that no request of who had the endpoint was": "UPDATE request SET signed_at = signed_at + 9",
    "a request after the one that settled it, by who has the endpoint": again(LAST, arrived="arrived + 0.5"),
    "numbers that go back, though each sender has the endpoint": again(
        LAST, number="number + 1", arrived="arrived - 0.01"
    ),
    "more at once than an endpoint takes, of all nodes together": ";".join([again(LAST, done="done + 9")] * 9),
    "more a second than an endpoint wants, of all nodes together": again(
        LAST.replace("checkout", LIMITED), merchant="merchant"
    ).replace("FROM request", f"FROM {A_THOUSAND}, request", 1),
    "the next one of a payment before the one before it was through": (
        f"UPDATE request SET status = 500 WHERE merchant = '{ORDERED}'"
    ),
    "what was acknowledged before another was sent comes after it": "UPDATE answer SET sent = -sent, at = -at",
    "sent by who had never had the endpoint": again(life="999"),
    "begun after its sender was overtaken": again(signed_at="signed_at + 1000"),
    "sent long after its sender was overtaken": again(arrived="arrived + 1000"),
}
SPOILT_LOG = {
    "not owed to an endpoint that had asked for it": f"DELETE FROM delivery WHERE {ONE_DELIVERY}",
    "recorded by a node that did not have the endpoint": "UPDATE recorded SET address = '10.77.0.99' WHERE rowid = 1",
    "a number recorded twice, or not at all": "DELETE FROM recorded WHERE rowid = 1",
}


@pytest.mark.fault(40, 41, 56)
async def test_under_all_that_befalls_nodes_and_their_server_every_invariant_holds_and_each_rule_finds_what_breaks_it(
    tmp_path: Path, seed: int, torture: bool, record_property
):
    must_be_possible(or_skip=False)
    only = () if torture else tuple({*IN_PROCESS, *ON_NODES, *ON_LINES} - SLOW)
    seconds, load, tempo = (TORTURE_S, LARGE, STEADY) if torture else (0.0, SMALL, HASTY)
    report = await run_of_nodes(tmp_path, seed, seconds, load, tempo, only=only)
    record_property("kills", report.kills)
    record_property("faults", sum(report.faults.values()))
    record_property("takeovers", report.takeovers)
    record_property("requests", report.requests)
    record_property("acks", report.acked)
    assert not report.broken, "\n".join([*summary(report.broken), f"{AGAIN} {seed}"])
    assert report.enough, f"{report}\n{AGAIN} {seed}"
    assert {IS_OVERTAKEN, KILLS_SERVER, "kill", "no database until it is overtaken"} <= report.faults.keys()
    assert report.takeovers > 0
    assert torture or set(report.faults) == set(only)
    if not torture:
        each_rule_finds_what_breaks_it(tmp_path)


def each_rule_finds_what_breaks_it(directory: Path) -> None:
    kept = Kept(directory, LOG, judged_of_nodes)
    assert kept.judged() == set()
    for rule, statement in SPOILT_HISTORY.items():
        assert rule in kept.judged(history=statement), rule
    for rule, statement in SPOILT_LOG.items():
        assert rule in kept.judged(log=statement), rule
    assert {rule.name for rule in OWN} == {*SPOILT_HISTORY, *SPOILT_LOG}


async def test_an_ack_before_the_commit_is_found_out(tmp_path: Path, seed: int):
    must_be_possible(or_skip=False)
    report = await run_of_nodes(
        tmp_path, seed, 0, SMALL, HASTY, only=("kill", KILLS_SERVER), sabotage="ack-before-commit"
    )
    assert "acknowledged and not in the log" in {each.rule for each in report.broken}, f"{AGAIN} {seed}"
