"""A payment's deliveries go one at a time, whatever happens to them, replays included."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.making import NOW_MS, SEAL, event, spec
from tests.store.raw import Database, ask
from tests.store.replaying import FAILED
from webhookd.core.delivery import DeliveryKey, Settlement
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.sql.batch import write_all
from webhookd.store.sql.connection import Connection
from webhookd.store.sql.endpoints import adopt

SECRET = Secret(new_secret(bytes(32)))
PAYMENTS = ("pi_1", "pi_2", None)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.sampled_from(PAYMENTS)),
        st.tuples(st.sampled_from(("delivered", "dead", "pending", "cancelled", "replay")), st.integers(0, 50)),
        st.tuples(st.just("replay all"), st.none()),
    ),
    max_size=60,
)


class Chains:
    """One endpoint with ordering, and whatever may happen to its deliveries."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        [self._shop] = adopt(connection, SEAL, [spec(ordering="payment", secret=SECRET)], [], {}, NOW_MS)

    def do(self, what: str, which: Any) -> None:
        if what == "append":
            write_all(self._connection, [event(payment_id=which)])
        elif what == "replay all":
            self._replay(self._keys())
        elif what == "replay":
            self._replay(self._one_of(self._keys(), which))
        elif what == "cancelled":
            for key in self._one_of(self._keys("state = 'pending'"), which):
                self._connection.execute("log.cancel_delivery", ("cancelled", NOW_MS, key, self._shop.number))
        else:
            for key in self._one_of(self._keys("state = 'pending' AND held = 0"), which):
                self._settle(key, what)

    def _settle(self, key: int, state: Any) -> None:
        [(attempts,)] = ask(self._connection, f"SELECT attempts FROM delivery WHERE event = {key}")
        due_at = NOW_MS if state == "pending" else None
        settlement = Settlement(DeliveryKey(key, self._shop.number), attempts + 1, FAILED, False, state, due_at, 2)
        assert write_all(self._connection, [settlement]).results == [None]

    def _replay(self, keys: Sequence[int]) -> None:
        found = json.dumps([[key, self._shop.number] for key in reversed(keys)])
        self._connection.execute("replay.make_due", {"found": found, "now": NOW_MS})

    def _keys(self, where: str = "1 = 1") -> list[int]:
        return [key for (key,) in ask(self._connection, f"SELECT event FROM delivery WHERE {where} ORDER BY event")]

    def _one_of(self, keys: Sequence[int], which: int) -> Sequence[int]:
        return keys[which % len(keys) :][:1] if keys else ()

    def unheld_by_chain(self) -> list[int]:
        """Of each chain that has something pending, how many may go."""
        return [
            count
            for (count,) in ask(
                self._connection,
                "SELECT sum(1 - held) FROM delivery WHERE state = 'pending' AND chain IS NOT NULL GROUP BY chain",
            )
        ]

    def run_dry(self) -> list[int]:
        """Deliver all that is pending, one after the other, in the order in which they may go."""
        delivered = []
        while going := self._keys("state = 'pending' AND held = 0"):
            delivered.append(going[0])
            self._settle(going[0], "delivered")
        return delivered


@pytest.fixture
def chains(database: Database) -> Iterator[Chains]:
    with database() as connection:
        yield Chains(connection)


@given(steps=STEPS)
@settings(max_examples=200)
def test_whatever_happens_of_each_chain_exactly_one_may_go(database: Database, steps: list[tuple[str, Any]]):
    with database() as connection:
        chains = Chains(connection)
        for what, which in steps:
            chains.do(what, which)
            assert set(chains.unheld_by_chain()) <= {1}
        chains.run_dry()
        assert chains._keys("state = 'pending'") == []


def test_a_chain_that_is_replayed_goes_in_the_order_of_the_log(chains: Chains):
    for _ in range(4):
        chains.do("append", "pi_1")
    order = chains.run_dry()
    chains.do("replay all", None)
    assert chains.run_dry() == order == sorted(order)


def test_what_is_replayed_waits_for_what_is_under_way_of_its_chain_and_then_goes_first(chains: Chains):
    for _ in range(2):
        chains.do("append", "pi_1")
    first, second = chains.run_dry()
    for _ in range(2):
        chains.do("append", "pi_1")
    _, _, third, fourth = chains._keys()
    chains._replay([first, second])
    assert chains.run_dry() == [third, first, second, fourth]


def test_what_was_cancelled_under_way_and_replayed_waits_for_its_turn_though_its_attempt_fails(chains: Chains):
    for _ in range(2):
        chains.do("append", "pi_1")
    first, second = chains._keys()
    chains.do("cancelled", 0)
    chains._replay([first])
    chains._settle(first, "pending")
    assert chains.unheld_by_chain() == [1]
    assert chains.run_dry() == [second, first]
