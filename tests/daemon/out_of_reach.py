"""In a network of its own: PostgreSQL's machine is gone without a word, with a hook under way and with none; and back.

Argument: a directory.
"""

import asyncio
import time
from pathlib import Path
from typing import Any

from tests.daemon.merchant import merchant
from tests.daemon.on_postgres import configured, send
from tests.faults import namespace
from tests.faults.settled import log_of, settled
from tests.postgres import server
from tests.running import daemon, endpoint


async def main(arguments: list[str]) -> dict[str, Any]:
    taken = []
    noticed_s: list[float] = []
    with server() as own:
        async with merchant() as shop:
            config = configured(own.url(), endpoints=endpoint("shop", shop.port))
            async with daemon(Path(arguments[0]), config) as running:
                for life, is_busy in enumerate((True, False)):
                    taken.append((await send(running, f"evt_{life}"))[1])
                    await settled(running, str(taken[-1]))  # from here on nothing is to be committed
                    namespace.swallow(own.port)
                    began = time.monotonic()
                    lost = asyncio.create_task(send(running, f"evt_lost_{life}")) if is_busy else None
                    await running.logged("store_stalled")
                    noticed_s.append(time.monotonic() - began)
                    refused = [(await send(running, "evt_refused"))[0], (await lost)[0] if lost is not None else 503]
                    namespace.lose(0)
                    await running.logged("store_goes_on")
                    running.log.clear()
                taken.append((await send(running, "evt_after"))[1])
                states = [(await settled(running, str(each)))["shop"]["state"] for each in taken]
                known = sorted(each for each in await log_of(running) if "lost" not in each)
                code = await running.stop()
    return {"noticed_s": noticed_s, "refused": refused, "states": states, "known": known, "code": code}
