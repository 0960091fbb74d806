"""What must hold where several nodes deliver, as questions to the history and to what was in PostgreSQL (`log.…`).

Whoever had an endpoint until when is known from the database itself (`witness.sql`). A request that arrives when its
sender no longer has the endpoint is one of those that nobody can call back: it was under way when the sender was frozen
or cut off. All that is said of order and of limits is said of the others.
"""

from collections.abc import Mapping

from tests.faults.jepsen.nodes.wishes import LIMITED, ORDERED
from tests.faults.jepsen.rules import PREPARATION as OF_ALL
from tests.faults.jepsen.rules import RULES as RULES_OF_ALL
from tests.faults.jepsen.rules import Rule
from tests.faults.jepsen.settings import IN_FLIGHT_MAX, LATECOMER, TIMEOUT_S

BEGUN_S = 3
"""A busy machine may stand still for so long between the look at the lease and that at the clock."""
STALE_S = TIMEOUT_S + 8
"""After it was overtaken, or after it goes on again, a node sends nothing more than so long: an attempt has TIMEOUT_S,
and the rest is for a busy machine.
"""
PREPARATION = (
    OF_ALL
    + """
-- Who had an endpoint, under which fence, from when to when.
CREATE TEMP TABLE tenure AS
  SELECT name AS merchant, fence, life, born.node AS node, since, until FROM (
    SELECT endpoint, fence, node, at - (SELECT unix_s FROM zero) AS since,
           coalesce(lead(at) OVER (PARTITION BY endpoint ORDER BY at), 1e12) - (SELECT unix_s FROM zero) AS until
    FROM log.took) AS took
  JOIN log.endpoint ON endpoint.number = took.endpoint
  JOIN born ON pid = CAST(substr(took.node, instr(took.node, ' ') + 1) AS INTEGER);
CREATE INDEX temp.tenure_of ON tenure (merchant, life, since);
-- What was sent: under which fence, how long that held, and whether it did when it arrived.
CREATE TEMP TABLE sent AS
  SELECT request.*, fence, until, coalesce(arrived < until, 0) AS holds, payment_id AS chain
  FROM request
  LEFT JOIN tenure ON tenure.rowid = (
    SELECT rowid FROM tenure AS its
    WHERE its.merchant = request.merchant AND its.life = request.life AND since <= arrived ORDER BY since DESC LIMIT 1)
  LEFT JOIN log.event ON event.key = request.key;
CREATE INDEX temp.sent_of ON sent (key, merchant, arrived);
-- The request whose success is on record.
CREATE TEMP TABLE settling AS
  SELECT sent.merchant, sent.key, min(arrived) AS at, done, chain
  FROM log.attempt JOIN log.endpoint ON endpoint.number = attempt.endpoint
  JOIN sent ON sent.key = attempt.event AND sent.merchant = endpoint.name AND sent.number = attempt.number
    AND sent.signed_at = attempt.started_at / 1000 AND sent.status = 200 AND holds
  WHERE error IS NULL GROUP BY sent.merchant, sent.key;
CREATE INDEX temp.settling_of ON settling (key, merchant);
-- What one merchant got of one event while its sender had the endpoint, and of one payment: each with what came next.
CREATE TEMP TABLE follows AS
  SELECT merchant, key, number, arrived, lead(number) OVER its AS next_number
  FROM sent WHERE holds WINDOW its AS (PARTITION BY key, merchant ORDER BY arrived);
CREATE TEMP TABLE chained AS
  SELECT key, arrived, lead(key) OVER its AS next_key
  FROM sent WHERE holds AND chain IS NOT NULL AND merchant = '"""
    + ORDERED
    + """' WINDOW its AS (PARTITION BY chain ORDER BY arrived);
-- When a hook was first sent, and first acknowledged.
CREATE TEMP TABLE told AS
  SELECT known.key, min(sent) AS sent, min(iif(status = 200, at, NULL)) AS acked
  FROM answer JOIN known USING (hook) GROUP BY known.key;
CREATE INDEX temp.told_of ON told (key);
"""
)
TAKEOVERS = "SELECT count(*) FROM took WHERE node IS NOT NULL AND fence > 1"
"""Of endpoints, by what the database saw."""
_NOT_HERE = {
    "acknowledged after a sync had failed",
    "the WAL is larger than its bound",
    "a number twice in one life",
    "a request after the one that settled it",
    "numbers that go back",
    "not owed to an endpoint that asked for it",
}
_FROZEN = "(kind = 'pause' OR kind LIKE 'freezes%') AND detail LIKE born.node || '%'"
OWN = (
    Rule(
        "I4",
        "not owed to an endpoint that had asked for it",  # the latecomer: from when all nodes know of it
        f"""SELECT 'event', event.key, endpoint.name FROM log.event CROSS JOIN log.endpoint
            LEFT JOIN log.delivery ON delivery.event = event.key AND delivery.endpoint = endpoint.number
            LEFT JOIN told ON told.key = event.key
            WHERE delivery.event IS NULL AND (
              endpoint.name <> '{LATECOMER}' OR sent > (SELECT min(healed) FROM fault WHERE kind = 'reload'))""",
    ),
    Rule(
        "I8",
        "a number twice under one claim",  # so each takeover may cost one request more, and nothing else may
        """SELECT merchant, key, number, 'fence', fence FROM sent
           GROUP BY key, merchant, number, fence HAVING count(*) > 1""",
    ),
    Rule(
        "I8",
        "a success on record that no request of who had the endpoint was",
        """SELECT endpoint.name, attempt.event FROM log.attempt
           JOIN log.endpoint ON endpoint.number = attempt.endpoint
           LEFT JOIN settling ON settling.key = attempt.event AND settling.merchant = endpoint.name
           WHERE error IS NULL AND settling.key IS NULL""",
    ),
    Rule(
        "I8",
        "a request after the one that settled it, by who has the endpoint",
        """SELECT merchant, key, number, arrived FROM sent JOIN settling USING (key, merchant)
           WHERE holds AND arrived > settling.at""",
    ),
    Rule(
        "I8",
        "numbers that go back, though each sender has the endpoint",
        "SELECT merchant, key, number, next_number FROM follows WHERE next_number < number",
    ),
    Rule(
        "I11",
        "more at once than an endpoint takes, of all nodes together",
        f"""SELECT merchant, max(at_once) FROM (
              SELECT merchant, sum(step) OVER (PARTITION BY merchant ORDER BY at, step) AS at_once FROM (
                SELECT merchant, arrived AS at, 1 AS step FROM sent WHERE holds
                UNION ALL SELECT merchant, min(done, until), -1 FROM sent WHERE holds))
            GROUP BY merchant HAVING max(at_once) > {IN_FLIGHT_MAX}""",
    ),
    Rule(
        "I11",
        "more a second than an endpoint wants, of all nodes together",
        # Of those that had begun before a second some were signed in it: no more than may be under way. Who takes an
        # endpoint over does not know what it had of late.
        f"""SELECT merchant, signed_at, count(*) FROM sent, zero
            WHERE merchant = '{LIMITED}' GROUP BY merchant, signed_at
            HAVING count(*) > (rate + {IN_FLIGHT_MAX}) * (1 + (
              SELECT count(*) FROM tenure WHERE tenure.merchant = sent.merchant
                AND tenure.since + unix_s BETWEEN signed_at - 1 AND signed_at + 1))""",
    ),
    Rule(
        "ordering",
        "the next one of a payment before the one before it was through",
        f"""SELECT 'events', chained.key, next_key FROM chained
            LEFT JOIN settling ON settling.key = chained.key AND settling.merchant = '{ORDERED}' AND at = arrived
            WHERE next_key <> chained.key AND settling.key IS NULL""",
    ),
    Rule(
        "ordering",
        "what was acknowledged before another was sent comes after it",
        f"""SELECT 'events', one.key, other.key FROM settling AS one
            JOIN settling AS other ON other.chain = one.chain AND other.merchant = one.merchant AND other.key <> one.key
            JOIN told AS of_one ON of_one.key = one.key JOIN told AS of_other ON of_other.key = other.key
            WHERE one.merchant = '{ORDERED}' AND of_one.acked < of_other.sent AND other.at < one.at""",
    ),
    Rule(
        "I18",
        "sent by who had never had the endpoint",
        "SELECT merchant, key, number, 'life', life FROM sent WHERE fence IS NULL",
    ),
    Rule(
        "I18",
        "begun after its sender was overtaken",  # it says itself when that was; one that was frozen did not know it
        f"""SELECT merchant, sent.key, number, 'life', sent.life, signed_at - unix_s - until, 's' FROM sent
            JOIN zero JOIN born ON born.life = sent.life
            WHERE signed_at - unix_s > until + {BEGUN_S} AND NOT EXISTS (
              SELECT 1 FROM fault WHERE {_FROZEN} AND healed > until AND signed_at - unix_s < healed + {BEGUN_S})""",
    ),
    Rule(
        "I18",
        "sent long after its sender was overtaken",  # or went on, where it was frozen
        f"""SELECT merchant, sent.key, number, 'life', sent.life, round(arrived - until, 3), 's' FROM sent
            JOIN born ON born.life = sent.life
            WHERE arrived > until + {STALE_S} AND NOT EXISTS (
              SELECT 1 FROM fault WHERE {_FROZEN}
                AND healed > until AND arrived BETWEEN began AND healed + {STALE_S})""",
    ),
    Rule(
        "I18",
        "recorded by a node that did not have the endpoint",
        """SELECT 'event', event, 'endpoint', endpoint, recorded.number, recorded.address, holder FROM log.recorded
           LEFT JOIN born ON pid = CAST(substr(holder, instr(holder, ' ') + 1) AS INTEGER)
           LEFT JOIN place ON place.node = born.node
           WHERE place.address IS NOT recorded.address""",
    ),
    Rule(
        "I18",
        "a number recorded twice, or not at all",
        """SELECT 'event', event, 'endpoint', endpoint, number, count(*) FROM (
             SELECT event, endpoint, number FROM log.attempt UNION ALL SELECT event, endpoint, number FROM log.recorded)
           GROUP BY event, endpoint, number HAVING count(*) <> 2""",
    ),
)
RULES = (*(rule for rule in RULES_OF_ALL if rule.name not in _NOT_HERE), *OWN)
_ELSEWHERE: Mapping[str, str] = {
    "I5": "and of each success on record the request (I8)",
    "I9": "among attempts on record, whichever node made them",
    "I10": "of one process; two nodes at once: only what was sent before its sender was overtaken (I18)",
    "I12": "and once faults are over all is acknowledged and delivered; no node ended unless it was to",
    "I13": "the server is killed in the middle of commits: what was answered 200 is in the log under that id (I1, I2)",
    "I14": "verify, after each crash of the server and at the end",
    "I15": "each node's counters of its last life, together, against provider and merchants",
    "I16": "logs and metrics of each node, columns of text",
}


def checked(broken: Mapping[str, int]) -> list[str]:
    """Of each invariant how it is looked at, and how often it was found broken, as lines."""
    numbers = [*(f"I{number}" for number in range(1, 19) if number != 17), "ordering", "verify"]
    lines = []
    for number in numbers:
        names = [f"no '{rule.name}'" for rule in RULES if rule.invariant == number]
        how = "; ".join([*names, *filter(None, [_ELSEWHERE.get(number)])])
        verdict = f"BROKEN {broken[number]:,} times" if broken.get(number) else "kept"
        lines.append(f"{number:9} {verdict}: {how or 'a ledger counted anew, the outbox and its references'}")
    return [*lines, "I17       not here: tests/faults/test_jepsen_nodes.py breaks each rule, and has a mistake put in"]
