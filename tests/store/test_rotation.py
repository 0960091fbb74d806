"""A secret is replaced: the new one signs first, those before it until their time is over, over restarts too."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
import standardwebhooks
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import WebhookVerificationError

from tests.application import now_s
from tests.making import NOW_MS, SEAL, spec
from tests.store.raw import Database, ask, in_memory
from webhookd.core.endpoint import Endpoint, EndpointSpec
from webhookd.core.secret import Secret
from webhookd.core.signature import new_secret
from webhookd.store.sql import endpoints
from webhookd.store.sql.connection import Connection

SHOP = spec()
DAY_MS = 86_400_000


def secret(number: int) -> str:
    return new_secret(bytes([number]) * 32)


def adopted(connection: Connection, now_ms: int, shop: EndpointSpec = SHOP) -> Endpoint:
    """As it stands after a restart."""
    [endpoint] = endpoints.adopt(connection, SEAL, [shop], [], {shop.name: secret(0)}, now_ms)
    return endpoint


def trusted(endpoint: Endpoint, at_ms: int, secrets: Sequence[int]) -> list[int]:
    """Which of the merchants, each with one of these secrets, take an attempt of then for genuine."""
    return [number for number in secrets if _trusts(secret(number), endpoint.signature("msg_1", at_ms, b"{}"), at_ms)]


def _trusts(held: str, signature: str, at_ms: int) -> bool:
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(at_ms // 1_000), "webhook-signature": signature}
    try:
        standardwebhooks.Webhook(held).verify(b"{}", headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.fault(42)
def test_merchants_with_the_old_and_the_new_secret_trust_us_until_the_old_one_is_over(database: Database) -> None:
    now_ms = now_s() * 1_000
    until_ms = now_ms + 60_000
    with database() as connection:
        adopted(connection, now_ms - DAY_MS)
        rotated = endpoints.rotate(connection, SEAL, SHOP, secret(1), now_ms, until_ms)
        for endpoint in (rotated, adopted(connection, now_ms)):
            assert trusted(endpoint, now_ms, [0, 1]) == [0, 1]
            assert trusted(endpoint, until_ms - 1, [0, 1]) == [0, 1]
            assert trusted(endpoint, until_ms, [0, 1]) == [1]
        assert len(adopted(connection, until_ms).keys) == 1


Rotations = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 12)), max_size=6)
"""How long after the one before, and for how long the old ones sign on."""
ON_A_SERVER = 200
"""So many examples: each asks some hundred times."""


@pytest.mark.fault(42)
def test_whatever_the_rotations_each_secret_ends_when_the_first_of_its_successors_said(database: Database) -> None:
    most = settings().max_examples if database is in_memory else min(settings().max_examples, ON_A_SERVER)

    @settings(max_examples=most)
    @given(rotations=Rotations, later=st.integers(0, 12))
    def each_ends_in_time(rotations: list[tuple[int, int]], later: int) -> None:
        began = now = now_s() * 1_000
        with database() as connection:
            adopted(connection, now)
            ends: list[int | None] = [None]
            for number, (waited, overlap) in enumerate(rotations, 1):
                now += waited
                rotated = endpoints.rotate(connection, SEAL, SHOP, secret(number), now, now + overlap)
                ends = [now + overlap if end is None else min(end, now + overlap) for end in ends] + [None]
            for at in range(now, now + later + 1):
                signing = [number for number, end in enumerate(ends) if end is None or at < end]
                assert trusted(adopted(connection, at), at, range(len(ends))) == signing
                if rotations:
                    assert trusted(rotated, at, range(len(ends))) == signing
            assert adopted(connection, now + later).signature("m", now, b"").split(" ")[0] == (
                adopted(connection, began + 100 * DAY_MS).signature("m", now, b"")
            ), "the newest signs first"

    each_ends_in_time()


def test_what_is_over_is_no_longer_kept(database: Database) -> None:
    with database() as connection:
        adopted(connection, NOW_MS)
        endpoints.rotate(connection, SEAL, SHOP, secret(1), NOW_MS + 1, NOW_MS + 10)
        endpoints.rotate(connection, SEAL, SHOP, secret(2), NOW_MS + 20, NOW_MS + 20)
        assert ask(connection, "SELECT count(*) FROM secret") == [(1,)]


@pytest.mark.fault(25, 42)
def test_a_clock_that_was_set_back_makes_no_older_secret_the_first(database: Database) -> None:
    with database() as connection:
        adopted(connection, NOW_MS)
        for number, at in enumerate((NOW_MS + 5, NOW_MS + 5, NOW_MS - DAY_MS), 1):
            endpoints.rotate(connection, SEAL, SHOP, secret(number), at, at + 10 * DAY_MS)
        found = adopted(connection, NOW_MS).signature("m", NOW_MS, b"").split(" ")
        made = ask(connection, "SELECT created_at FROM secret ORDER BY created_at")
    assert len(found) == 4
    assert found[0] == _with(database, secret(3)).signature("m", NOW_MS, b"")
    assert all(one < other for one, other in pairwise(made))


def _with(database: Database, held: str) -> Endpoint:
    with database() as connection:
        return adopted(connection, NOW_MS, spec(secret=Secret(held)))


@pytest.mark.fault(42)
def test_the_configurations_old_secrets_sign_as_long_as_they_are_listed(database: Database) -> None:
    now_ms = now_s() * 1_000
    both = spec(secret=Secret(secret(1)), old_secrets=(Secret(secret(2)), Secret(secret(3))))
    with database() as connection:
        assert trusted(adopted(connection, now_ms, both), now_ms, [0, 1, 2, 3]) == [1, 2, 3]
        assert trusted(adopted(connection, now_ms, spec(secret=Secret(secret(1)))), now_ms, [0, 1, 2, 3]) == [1]


def test_a_secret_that_moves_out_of_the_configuration_signs_on_while_it_is_listed(database: Database) -> None:
    now_ms = now_s() * 1_000
    moving = spec(old_secrets=(Secret(secret(1)),))
    with database() as connection:
        adopted(connection, now_ms, spec(secret=Secret(secret(1))))
        assert trusted(adopted(connection, now_ms, moving), now_ms, [0, 1]) == [0, 1]


@pytest.mark.parametrize("kind", ["hmac", "ed25519"])
def test_a_secret_may_be_of_either_kind(database: Database, kind: str) -> None:
    with database() as connection:
        adopted(connection, NOW_MS)
        given = new_secret(b"\x09" * 32, "ed25519" if kind == "ed25519" else "hmac")
        rotated = endpoints.rotate(connection, SEAL, SHOP, given, NOW_MS + 1, NOW_MS + 10)
    version = "v1a" if kind == "ed25519" else "v1"
    assert [each.partition(",")[0] for each in rotated.signature("m", NOW_MS, b"").split(" ")] == [version, "v1"]
