"""Row 35: more comes in than can be taken, and who is refused comes again. How much is taken says bench/overload.py."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.daemon.merchant import merchant
from tests.faults.crowd import Crowd, files_of, locked, memory_most_mib, threads_of
from tests.running import PATIENCE_S, configuration, daemon, endpoint

pytestmark = pytest.mark.fault(35)
REFUSED_MIN = 20
LOOK_EVERY_S = 0.05
MEMORY_MOST_MIB = 250
DISPUTE = "charge.dispute.created"


async def test_a_storm_of_retries_ends_with_every_hook_taken_and_delivered(
    tmp_path: Path, torture: bool, dice: Random, record_property: Callable[[str, object], None]
) -> None:
    """Nothing can be committed for a while, and hooks go on coming; then it can, and those who were refused return."""
    storms, hooks = (6, 2_000) if torture else (1, 320)
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        first = Crowd(running.port, dice)
        first.comes("evt_first")
        await first.is_taken()
        await shop.has(1)
        files, threads = files_of(running), threads_of(running)
        crowd = Crowd(running.port, dice)
        for storm in range(storms):
            refused_before, late = crowd.refused, 0
            with locked(running):
                for number in range(hooks):
                    crowd.comes(f"evt_{storm}_{number}", DISPUTE if number % 50 == 0 else "payment_intent.succeeded")
                async with asyncio.timeout(PATIENCE_S):
                    while crowd.refused < refused_before + REFUSED_MIN:
                        crowd.comes(f"evt_{storm}_late_{late}")
                        late += 1
                        await asyncio.sleep(LOOK_EVERY_S)
            async with asyncio.timeout(4 * PATIENCE_S):
                await crowd.is_taken()
        record_property("requests", crowd.requests)
        record_property("acks", len(crowd.taken))
        record_property("refused", crowd.refused)
        got = await shop.has(1 + len(crowd.taken))
        assert {json.loads(each.body)["id"] for each in got} == {"evt_first", *crowd.taken}
        assert {each.headers["webhook-id"] for each in got} == {*first.taken.values(), *crowd.taken.values()}
        async with asyncio.timeout(PATIENCE_S):
            while files_of(running) > files + 1 or threads_of(running) > threads:  # one kept to the merchant
                await asyncio.sleep(LOOK_EVERY_S)
        assert memory_most_mib(running) < MEMORY_MOST_MIB
        assert await running.stop() == 0


async def test_disputes_do_not_wait_for_the_rest_of_what_came_with_them(
    tmp_path: Path, torture: bool, dice: Random, record_property: Callable[[str, object], None]
) -> None:
    """A merchant who is slower than what comes in: of what waits for him, disputes are next."""
    hooks = 2_000 if torture else 250
    goes_on = asyncio.Event()
    settings = endpoint("shop", 0, max_in_flight=1)
    async with merchant() as shop:
        shop.before_answer = goes_on.wait
        async with daemon(tmp_path, configuration(endpoints=settings.replace(":0/", f":{shop.port}/"))) as running:
            crowd = Crowd(running.port, dice)
            for number in range(hooks):
                crowd.comes(f"evt_{number}")
            await crowd.is_taken()
            disputes = [f"evt_dispute_{number}" for number in range(5)]
            for name in disputes:
                crowd.comes(name, DISPUTE)
            await crowd.is_taken()
            before = len(shop.got)
            goes_on.set()
            got = await shop.has(len(crowd.taken))
            names = [json.loads(each.body)["id"] for each in got]
            assert sorted(names[before : before + len(disputes)]) == disputes
            assert sorted(names) == sorted(crowd.taken)
    record_property("acks", len(crowd.taken))
