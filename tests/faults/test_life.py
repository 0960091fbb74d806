"""What ends a daemon, or should: a supervisor who loses patience, and a signal too many."""

import asyncio
import os
import signal
from collections import Counter
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from tests.daemon.supervisor import Supervisor
from tests.daemon.test_end_to_end import api
from tests.daemon.test_restart_under_load import logged, supervised
from tests.daemon.test_watchdog import hold, send, watched
from tests.deliver.raw import merchant
from tests.faults.bad_merchants import swallows
from tests.running import PATIENCE_S, configuration, endpoint


@pytest.mark.fault(23)
async def test_a_loop_that_hangs_is_ended_by_who_feeds_on_its_signs_and_a_new_one_goes_on(tmp_path: Path):
    """What systemd does (`WatchdogSignal=`): it sends SIGABRT, since it hears WATCHDOG=1 no more, and starts anew."""
    fifo = tmp_path / "fifo"
    async with watched(tmp_path, "--hang", f"loop:{fifo}") as (running, systemd):
        assert await send(running, "evt_acked") == 200
        os.mkfifo(fifo)
        hook = asyncio.create_task(send(running, "evt_swallowed"))
        with await hold(fifo):
            await systemd.hears_of("STATUS=stuck: loop")
            running.send_signal(signal.SIGABRT)
            assert await running.ended() == -signal.SIGABRT
        with pytest.raises(aiohttp.ClientError):
            await hook
        await running.start()
        await systemd.hears_of("WATCHDOG=1")
        assert await send(running, "evt_swallowed") == 200, "its provider sends it again"
        found = [each["provider_event_id"] for each in (await api(running, "/events"))["data"]]
        assert sorted(found) == ["evt_acked", "evt_swallowed"]


@pytest.mark.fault(24)
async def test_a_second_sigterm_under_load_ends_it_at_once_and_no_ack_is_lost(
    tmp_path: Path, dice: Random, torture: bool, record_property: Any
):
    """A merchant who answers nobody holds up the first; the second comes at any moment of that."""
    ends: Counter[int] = Counter()
    async with merchant(swallows) as hole:
        config = configuration(endpoints=endpoint("hole", hole.port, timeout="5m"))
        async with supervised(tmp_path, config) as (supervisor, senders, _):
            senders.may_be_killed = True
            async with senders.at_work():
                for _ in range(40 if torture else 4):
                    await senders.have_answers(dice.randint(1, 100))
                    ends[await end_twice(supervisor, dice.uniform(0.001, 0.1))] += 1
                    await supervisor.start()
            found = Counter(await logged(supervisor))
    assert set(ends) == {1}, "the first would have waited for the merchant"
    assert senders.refused == 0
    assert set(senders.answers) == {200}
    assert found == Counter(senders.acknowledged)
    record_property("kills", ends.total())
    record_property("acks", len(senders.acknowledged))


async def end_twice(supervisor: Supervisor, between_s: float) -> int:
    """The exit code. One signal after the other, for two that come at once may be one."""
    process = supervisor._process
    ended = asyncio.create_task(process.wait())
    async with asyncio.timeout(PATIENCE_S):
        while not ended.done():
            with suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)  # Popen's way would look first, and take its end from who waits
            await asyncio.wait([ended], timeout=between_s)
    return ended.result()
