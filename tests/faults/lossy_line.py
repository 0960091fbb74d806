"""In a network that loses packets, or is slow: a provider that retries, merchants that remember, and the auditor.

Arguments: a directory, a seed, how many acks to wait for, and either how many packets of a hundred are lost or, with a
`b` behind it, how many bits there are a second.
"""

import asyncio
import random
import sys
from pathlib import Path
from typing import Any

from tests.crash import parties
from tests.crash.audit import audit, duplicated, lost
from tests.crash.harness import NAMES, _nothing_pending
from tests.crash.parties import Merchants, Provider
from tests.faults import namespace
from tests.running import PATIENCE_S, RunningDaemon, configuration, endpoint

WAITS = ["0s", *["200ms"] * 5, *["1s"] * 10]


async def main(arguments: list[str]) -> dict[str, Any]:
    directory, seed, acks, weather = arguments
    is_slow = weather.endswith("b")
    parties.CLIENTS = 2 if is_slow else parties.CLIENTS  # or what they send is all that the line carries
    dice = random.Random(int(seed))
    provider, merchants = Provider(dice), Merchants(NAMES, dice, fail_rate=0.1)
    await merchants.start()
    endpoints = "".join(endpoint(name, merchants.port, timeout="5s") for name in NAMES)
    (Path(directory) / "webhookd.toml").write_text(configuration(endpoints=endpoints, delivery=f"schedule = {WAITS}"))
    running = RunningDaemon(Path(directory), [sys.executable, "-m", "webhookd", "serve"], {})
    await running.start()
    sending = asyncio.create_task(provider.run())
    try:
        if is_slow:
            namespace.limit(int(weather[:-1]))
        else:
            namespace.lose(int(weather))
        provider.reachable_at(f"{running.hooks}/webhooks/stripe")
        await provider.acked_more(int(acks))
        async with asyncio.timeout(PATIENCE_S):
            while (arrived := sum(map(len, merchants.requests.values()))) < int(acks):
                await asyncio.sleep(0.05)
        if is_slow:
            namespace.unlimit()
        else:
            namespace.lose(0)
        provider.finish()
        async with asyncio.timeout(PATIENCE_S):
            await sending
        await _nothing_pending(running)
        assert await running.stop() == 0, running.log
    finally:
        await running.kill()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        await merchants.stop()
    return {
        "acked": provider.acked,
        "arrived_meanwhile": arrived,
        "requests": sum(map(len, merchants.requests.values())),
        "lost": lost(provider, merchants),
        "duplicated": duplicated(provider, merchants),
        "broken": audit(Path(directory) / "data" / "webhookd.db", provider, merchants, len(WAITS)),
    }
