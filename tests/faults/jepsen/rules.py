"""What must hold, as questions to the history and to the database (`log.…`) whose answers must be empty."""

from typing import NamedTuple


class Rule(NamedTuple):
    invariant: str
    name: str
    question: str


PREPARATION = """
-- Every event that the log knows, also what retention has left of one.
CREATE TEMP TABLE known AS
  SELECT key, salt, sha256, CAST(substr(provider_event_id, (SELECT value FROM given WHERE name = 'prefix')) AS INTEGER)
    AS hook FROM log.event WHERE source = 'stripe'
  UNION ALL
  SELECT key, salt, sha256, CAST(substr(provider_event_id, (SELECT value FROM given WHERE name = 'prefix')) AS INTEGER)
    FROM log.past WHERE source = 'stripe';
CREATE INDEX temp.known_hook ON known (hook);
CREATE INDEX temp.known_key ON known (key);
CREATE TEMP TABLE acked AS SELECT DISTINCT hook FROM answer WHERE status = 200;
CREATE INDEX IF NOT EXISTS request_body ON request (sha256, merchant, status);
CREATE INDEX IF NOT EXISTS request_key ON request (key, merchant, arrived);
-- What one merchant got of one event, in order, each with what came before it.
CREATE TEMP TABLE pair AS
  SELECT merchant, key, number, signed_at, arrived, done, status, retry_after_s, life,
         lead(number) OVER its AS next_number, lead(arrived) OVER its AS next_arrived, lead(life) OVER its AS next_life
  FROM request WINDOW its AS (PARTITION BY key, merchant ORDER BY arrived);
-- Requests that began (1) or ended (-1), in order.
CREATE TEMP TABLE turn AS
  SELECT merchant, life, arrived AS at, 1 AS step FROM request
  UNION ALL SELECT merchant, life, done, -1 FROM request;
"""

RULES = (
    Rule(
        "I1",
        "lost",  # acknowledged, and a merchant never took it as it was sent: asked of nobody but the two of them
        """SELECT DISTINCT 'hook', hook FROM acked JOIN hook ON hook.number = acked.hook, always
           WHERE NOT EXISTS (SELECT 1 FROM request WHERE request.sha256 = hook.sha256
                             AND request.merchant = always.merchant AND status = 200)""",
    ),
    Rule(
        "I1",
        "acknowledged and not in the log",
        """SELECT 'hook', hook FROM acked WHERE hook NOT IN (SELECT hook FROM known)
           AND NOT (SELECT value FROM given WHERE name = 'forgets')""",
    ),
    Rule(
        "I1",
        "acknowledged under another id",
        """SELECT 'hook', answer.hook FROM answer JOIN known USING (hook)
           WHERE status = 200 AND (answer.key <> known.key OR answer.salt <> known.salt)""",
    ),
    Rule("I2", "twice in the log", "SELECT 'hook', hook FROM known GROUP BY hook HAVING count(*) > 1"),
    Rule(
        "I2",
        "accepted more than once",
        "SELECT 'hook', hook FROM answer WHERE status = 200 AND word = 'accepted' GROUP BY hook HAVING count(*) > 1",
    ),
    Rule(
        "I2",
        "doubled",  # under two ids he takes it for two
        """SELECT DISTINCT hex(sha256) FROM request GROUP BY sha256, merchant
           HAVING min(key) <> max(key) OR min(salt) <> max(salt)""",
    ),
    Rule(
        "I3",
        "in the log and never sent like that",
        """SELECT 'event', key FROM known LEFT JOIN hook ON hook.number = known.hook
           WHERE known.sha256 IS NOT hook.sha256
           UNION ALL SELECT 'event', key FROM log.event WHERE source <> 'stripe'""",
    ),
    Rule(
        "I3",
        "delivered and never sent like that",
        "SELECT merchant, key FROM request WHERE sha256 NOT IN (SELECT sha256 FROM hook)",
    ),
    Rule(
        "I4",
        "not owed to an endpoint that asked for it",
        """SELECT 'event', event.key, endpoint.name FROM log.event, log.endpoint
           LEFT JOIN log.delivery ON delivery.event = event.key AND delivery.endpoint = endpoint.number
           WHERE delivery.event IS NULL AND event.key >= iif(
             endpoint.name = (SELECT value FROM given WHERE name = 'latecomer'),
             (SELECT min(event) FROM log.delivery AS its WHERE its.endpoint = endpoint.number), 0)""",
    ),
    Rule(
        "I4",
        "ended otherwise than delivered",
        "SELECT 'event', event, 'endpoint', endpoint, state FROM log.delivery WHERE state <> 'delivered'",
    ),
    Rule("I4", "not accepted", "SELECT 'event', key, state FROM log.event WHERE state <> 'accepted'"),
    Rule(
        "I5",
        "delivered, and the merchant took none",
        """SELECT 'event', event, endpoint.name FROM log.delivery
           JOIN log.endpoint ON endpoint.number = delivery.endpoint
           WHERE delivery.state = 'delivered' AND NOT EXISTS (
             SELECT 1 FROM request WHERE request.key = event AND merchant = endpoint.name AND status = 200)""",
    ),
    Rule("I6", "not signed as it should be", "SELECT merchant, key FROM request WHERE NOT authentic"),
    Rule(
        "I6",
        "one id, different bodies or delivery ids",
        """SELECT merchant, key FROM request GROUP BY key, merchant
           HAVING min(sha256) <> max(sha256) OR min(salt) <> max(salt) OR min(endpoint) <> max(endpoint)""",
    ),
    Rule(
        "I6",
        "not the id, or not the body, of the log",
        """SELECT merchant, request.key FROM request JOIN known USING (key)
           WHERE request.salt <> known.salt OR request.sha256 <> known.sha256""",
    ),
    Rule(
        "I7",
        "attempts with gaps, or more than the schedule has",
        """SELECT 'event', event, 'endpoint', endpoint FROM log.delivery LEFT JOIN (
             SELECT event, endpoint, count(*) AS of_it, min(number) AS first, max(number) AS last
             FROM log.attempt GROUP BY event, endpoint) USING (event, endpoint)
           WHERE of_it IS NOT attempts OR first <> 1 OR last <> of_it
             OR of_it > (SELECT value FROM given WHERE name = 'attempts_max')""",
    ),
    Rule(
        "I7",
        "attempts without an outcome",
        """SELECT 'event', event, 'endpoint', endpoint, number FROM log.attempt
           WHERE duration_ms < 0 OR replay OR (error IS NULL) <> (status IS NOT NULL AND status BETWEEN 200 AND 299)""",
    ),
    Rule(
        "I7",
        "requests beyond the attempts on record",
        """SELECT merchant, request.key, request.number FROM request
           JOIN log.endpoint ON endpoint.name = merchant
           JOIN log.delivery ON delivery.event = request.key AND delivery.endpoint = endpoint.number
           WHERE request.number NOT BETWEEN 1 AND attempts OR request.replay""",
    ),
    Rule(
        "I8",
        "a number twice in one life",
        """SELECT merchant, key, number, 'life', life FROM request
           GROUP BY key, merchant, number, life HAVING count(*) > 1""",
    ),
    Rule(
        "I8",
        "attempts after one that succeeded",
        """SELECT 'event', event, 'endpoint', endpoint, number
           FROM log.attempt JOIN log.delivery USING (event, endpoint) WHERE error IS NULL AND number < attempts""",
    ),
    Rule(
        "I8",
        "a request after the one that settled it",  # the last he got is the one whose success is on record
        """SELECT merchant, request.key, max(arrived) FROM request
           JOIN log.endpoint ON endpoint.name = merchant
           JOIN log.attempt ON attempt.event = request.key AND attempt.endpoint = endpoint.number AND error IS NULL
           GROUP BY request.key, merchant
           HAVING request.status <> 200 OR request.number <> attempt.number
             OR request.signed_at <> attempt.started_at / 1000""",
    ),
    Rule(
        "I8",
        "numbers that go back",
        "SELECT merchant, key, number, next_number FROM pair WHERE next_number < number",
    ),
    Rule(
        "I9",
        "sooner than its schedule, or than it was asked to",
        # Who had gone may have known it before his merchant did. What the clock jumped ahead is not waited for.
        # What follows waits for the attempt that is on record, and for no other of its number.
        """SELECT merchant, key, pair.number, round(next_arrived - done, 3), 's' FROM pair JOIN wait USING (number)
           JOIN log.endpoint ON endpoint.name = merchant
           JOIN log.attempt ON attempt.event = key AND attempt.endpoint = endpoint.number
             AND attempt.number = pair.number AND attempt.started_at / 1000 = signed_at
           WHERE next_number = pair.number + 1
             AND next_arrived - iif(pair.status = 0, arrived, done) + 0.005 + coalesce(
               (SELECT sum(by_s) FROM clock WHERE by_s > 0 AND at BETWEEN arrived - 0.1 AND next_arrived + 0.1), 0)
               < max(least_s, coalesce(retry_after_s, 0))""",
    ),
    Rule(
        "I10",
        "two at once of one event",
        "SELECT merchant, key, number, next_number FROM pair WHERE next_arrived < done AND next_life = life",
    ),
    Rule(
        "I11",
        "more at once than an endpoint takes",
        """SELECT merchant, 'life', life, max(at_once) FROM (
             SELECT merchant, life, sum(step) OVER (PARTITION BY merchant, life ORDER BY at, step) AS at_once FROM turn)
           GROUP BY merchant, life HAVING max(at_once) > (SELECT value FROM given WHERE name = 'in_flight_max')""",
    ),
    Rule(
        "I11",
        "more at once than all may",
        """SELECT 'life', life, max(at_once) FROM (
             SELECT life, sum(step) OVER (PARTITION BY life ORDER BY at, step) AS at_once FROM turn)
           GROUP BY life HAVING max(at_once) > (SELECT value FROM given WHERE name = 'in_flight_max_of_all')""",
    ),
    Rule(
        "I12",
        "an authentic hook is refused otherwise than for now",
        "SELECT 'hook', hook, status, word FROM answer WHERE status NOT IN (0, 200, 503) OR word LIKE 'without%'",
    ),
    Rule("I12", "never acknowledged", "SELECT 'hook', number FROM hook WHERE number NOT IN (SELECT hook FROM acked)"),
    Rule(
        "I13",
        "acknowledged after a sync had failed",  # by the process that was told so
        """SELECT 'hook', hook, 'life', life.number FROM sync_failed JOIN life ON life.number = sync_failed.life
           JOIN answer ON answer.sent > sync_failed.at AND answer.at < life.ended WHERE status = 200""",
    ),
    Rule(
        "I14",
        "the WAL is larger than its bound",
        "SELECT at, wal FROM sample WHERE wal > (SELECT value FROM given WHERE name = 'wal_max')",
    ),
)
