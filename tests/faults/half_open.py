"""In a network of its own: a merchant's host is gone without a word, while a connection to it is kept; then it is back.

Argument: a directory.
"""

from pathlib import Path
from typing import Any

from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.deliver.raw import merchant, polite
from tests.faults import namespace
from tests.faults.settled import settled
from tests.running import configuration, daemon, endpoint


async def main(arguments: list[str]) -> dict[str, Any]:
    schedule = 'schedule = ["0s", "500ms", "500ms", "1s", "1s"]'
    async with merchant(polite) as there:
        config = configuration(endpoints=endpoint("shop", there.port, timeout="500ms"), delivery=schedule)
        async with daemon(Path(arguments[0]), config) as running:
            first = stripe_event("evt_1")
            _, answer = await post(running, "stripe", first, stripe_headers(first))
            await settled(running, answer["event_id"])
            namespace.swallow(there.port)
            second = stripe_event("evt_2")
            _, answer = await post(running, "stripe", second, stripe_headers(second))
            failed = await running.logged("attempt_failed", endpoint="shop")
            namespace.lose(0)
            found = await settled(running, answer["event_id"])
            assert await running.stop() == 0
    return {
        "word": failed["error"],
        "state": found["shop"]["state"],
        "bodies": [request.body.decode() for peer in there.peers for request in peer.requests],
    }
