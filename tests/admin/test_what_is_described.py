"""Whatever the description of the API allows, and what it does not, is asked of a daemon: each answer is described.

The cases are the same in every run.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.dev_daemon import DevDaemon, dev_daemon, stripe_event
from tests.running import PATIENCE_S

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.fault(51)]
CASES = 5
"""Of each operation: so many that are well-formed, so many that are not, and so many with ids that there are."""
ENDLESS = ("/api/v1/stream",)

UNCHECKED = [ignored_auth, positive_data_acceptance]
"""Who may ask is tried elsewhere: here wrong tokens would soon be slowed down. And what is well-formed may still be
refused: a cursor that nobody has given, an endpoint that leads nowhere."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dev(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path_factory.mktemp("described")) as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(dev: DevDaemon) -> dict[str, list[str]]:
    """What may stand in a path, of what the daemon knows."""
    event = await dev.send(stripe_event("there"))
    async with asyncio.timeout(PATIENCE_S):
        delivery = await dev.delivered(event)
    headers = {"Authorization": f"Bearer {dev.running.token}", "Content-Type": "application/json"}
    body = {"state": "dead", "until": "2020-01-01T00:00:00Z"}
    async with dev.session.post(f"{dev.running.admin}/api/v1/replays", json=body, headers=headers) as response:
        replay = await response.json()
    return {"id": [event, delivery["id"], replay["id"], "pi_there"], "name": ["local"], "provider": ["stripe"]}


def asked(dev: DevDaemon, there: dict[str, list[str]] | None) -> int:
    """How many operations of the API answered whatever they were asked as the description has it."""
    schema = schemathesis.openapi.from_url(f"{dev.running.admin}/api/v1/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    for operation in operations:
        modes = [mode for mode in schemathesis.GenerationMode if not (there and mode.is_negative)]
        for mode in modes if operation.path not in ENDLESS else ():
            _ask(operation, mode, dev, there)
    return len(operations)


def _ask(operation: Any, mode: schemathesis.GenerationMode, dev: DevDaemon, there: dict[str, list[str]] | None) -> None:
    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), pick=st.randoms(use_true_random=False))
    def ask(case: Any, pick: Any) -> None:
        if there is not None:
            case.path_parameters = {
                name: pick.choice(there.get(name, ["stripe"])) for name in case.path_parameters or {}
            }
        if isinstance(case.query, dict) and "wait" in case.query:
            case.query["wait"] = "1ms"  # none is kept waiting
        case.call_and_validate(headers={"Authorization": f"Bearer {dev.running.token}"}, excluded_checks=UNCHECKED)

    run: Callable[[], None] = ask
    with suppress(Unsatisfiable):  # where nothing is asked for, nothing can be wrong
        run()


async def test_every_answer_is_one_that_is_described(dev: DevDaemon):
    assert await asyncio.to_thread(asked, dev, None) > 40


async def test_so_it_is_with_what_there_is(dev: DevDaemon, there: dict[str, list[str]]):
    assert await asyncio.to_thread(asked, dev, there) > 40


async def test_the_daemon_was_never_at_a_loss(dev: DevDaemon):
    assert [line for line in dev.running.log if line.get("event") == "admin_request_failed"] == []
