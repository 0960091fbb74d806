"""The door before Celery: checks Stripe's signature, publishes the task, answers 200 when Redis has it.

Publishing blocks, so threads do it: while one waits for Redis's fsync, the others' tasks go into the next.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from tasks import post

from bench.peers.door import receive, serve

_PUBLISHERS = ThreadPoolExecutor(int(os.environ["PUBLISHERS"]))


async def publish(event_id: str, body: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(_PUBLISHERS, lambda: post.apply_async((event_id, body), task_id=event_id))


serve(receive(publish))
