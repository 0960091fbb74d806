"""Who waits for a commit hears how it ended, whatever ends."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.running import PATIENCE_S
from webhookd.store.group_commit import GroupCommit
from webhookd.store.protocol.errors import StoreBrokenError

pytestmark = pytest.mark.fault(21)


async def test_when_who_commits_has_ended_by_a_fault_of_its_own_nobody_waits_for_ever():
    """It may be out of memory at any line: the process is to stop, and not to keep waiting what nobody commits."""

    async def commit(batch: Sequence[str]) -> Sequence[object]:
        await asyncio.sleep(0)
        return []  # a result for each was promised

    writes: GroupCommit[str] = GroupCommit(commit, queue_max=10, bytes_max=10)
    writes.start()
    with pytest.raises(StoreBrokenError):
        async with asyncio.timeout(PATIENCE_S):
            await writes.submit("first")
    with pytest.raises(StoreBrokenError):
        writes.submit("second")
    assert writes.broken is not None
    await writes.stop()
