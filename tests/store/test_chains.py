"""A payment's deliveries go one at a time, whatever happens to them, replays included."""

import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import NOW_MS, event, without_sync
from tests.store.replaying import FAILED
from tests.store.statements import of
from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.store.sqlite.batch import apply
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.statements import schema

REPLAY = of("replay")
PAYMENTS = ("pi_1", "pi_2", None)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from(PAYMENTS)),
        st.tuples(st.sampled_from(("delivered", "dead", "pending", "cancelled", "replay")), st.integers(0, 50)),
        st.tuples(st.just("replay all"), st.none()),
    ),
    max_size=60,
)


ORDERED = 1


class Chains:
    """One endpoint with ordering, and whatever may happen to its deliveries."""

    def __init__(self) -> None:
        self.connection = driver.connect(":memory:", isolation_level=None)
        self.connection.executescript(schema())
        self.connection.execute(
            "INSERT INTO endpoint (number, name, url, managed_by, created_at) VALUES (?, 'shop', '', 'api', 1)",
            (ORDERED,),
        )
        self.connection.execute("INSERT INTO route VALUES ('*', 1, '*', ?, 0, 1, 1)", (ORDERED,))

    def do(self, what: str, which: Any) -> None:
        if what == "append":
            apply(self.connection, [event(payment_id=which)], without_sync)
        elif what == "replay all":
            self._replay(self._keys("true"))
        elif what == "replay":
            self._replay(self._one_of(self._keys("true"), which))
        elif what == "cancelled":
            for key in self._one_of(self._keys("state = 'pending'"), which):
                self.connection.execute(
                    "UPDATE delivery SET state = 'cancelled', due_at = NULL, held = 0 WHERE event = ?", (key,)
                )
        else:
            for key in self._one_of(self._keys("state = 'pending' AND NOT held"), which):
                self._settle(key, what)

    def _settle(self, key: int, state: Any) -> None:
        (attempts,) = self.connection.execute("SELECT attempts FROM delivery WHERE event = ?", (key,)).fetchone()
        due_at = NOW_MS if state == "pending" else None
        settlement = Settlement(DeliveryKey(key, ORDERED), attempts + 1, FAILED, False, state, due_at, 2)
        assert apply(self.connection, [settlement], without_sync).results == [None]

    def _replay(self, keys: Sequence[int]) -> None:
        found = json.dumps([[key, ORDERED] for key in reversed(keys)])
        self.connection.execute(REPLAY["make_due"], {"found": found, "now": NOW_MS})

    def _keys(self, where: str) -> list[int]:
        return [key for (key,) in self.connection.execute(f"SELECT event FROM delivery WHERE {where} ORDER BY event")]

    def _one_of(self, keys: Sequence[int], which: int) -> Sequence[int]:
        return keys[which % len(keys) :][:1] if keys else ()

    def unheld_by_chain(self) -> list[int]:
        """Of each chain that has something pending, how many may go."""
        return [
            count
            for (count,) in self.connection.execute(
                "SELECT sum(NOT held) FROM delivery WHERE state = 'pending' AND chain IS NOT NULL GROUP BY chain"
            )
        ]

    def run_dry(self) -> list[int]:
        """Deliver all that is pending, one after the other, in the order in which they may go."""
        delivered = []
        while going := self._keys("state = 'pending' AND NOT held"):
            delivered.append(going[0])
            self._settle(going[0], "delivered")
        return delivered


@given(STEPS)
@settings(max_examples=200)
def test_whatever_happens_of_each_chain_exactly_one_may_go(steps: list[tuple[str, Any]]):
    chains = Chains()
    for what, which in steps:
        chains.do(what, which)
        assert set(chains.unheld_by_chain()) <= {1}
    chains.run_dry()
    assert chains._keys("state = 'pending'") == []


def test_a_chain_that_is_replayed_goes_in_the_order_of_the_log():
    chains = Chains()
    for _ in range(4):
        chains.do("append", "pi_1")
    order = chains.run_dry()
    chains.do("replay all", None)
    assert chains.run_dry() == order == sorted(order)


def test_what_is_replayed_waits_for_what_is_under_way_of_its_chain_and_then_goes_first():
    chains = Chains()
    for _ in range(2):
        chains.do("append", "pi_1")
    first, second = chains.run_dry()
    for _ in range(2):
        chains.do("append", "pi_1")
    _, _, third, fourth = chains._keys("true")
    chains._replay([first, second])
    assert chains.run_dry() == [third, first, second, fourth]


def test_what_was_cancelled_under_way_and_replayed_waits_for_its_turn_though_its_attempt_fails():
    chains = Chains()
    for _ in range(2):
        chains.do("append", "pi_1")
    first, second = chains._keys("true")
    chains.do("cancelled", 0)
    chains._replay([first])
    chains._settle(first, "pending")
    assert chains.unheld_by_chain() == [1]
    assert chains.run_dry() == [second, first]
