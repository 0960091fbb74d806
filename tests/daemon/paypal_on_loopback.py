"""`webhookd …` in a world where PayPal's names lead to loopback: to the port in $PAYPAL_PORT.

If $PAYPAL_MAY_BE_LOCAL is not empty the guard lets everything through.
"""

import os
import socket
from typing import Any

from aiohttp.resolver import AsyncResolver, ThreadedResolver

from webhookd.cli.app import main
from webhookd.deliver.guard import Guard


async def resolve(self: Any, host: str, port: int = 0, family: Any = None) -> list[dict[str, Any]]:
    assert host.endswith((".paypal.com", ".digicert.com")), host
    there = {"host": "127.0.0.1", "port": int(os.environ["PAYPAL_PORT"]), "family": socket.AF_INET, "proto": 0}
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return [{"hostname": host, "flags": flags, **there}]


if __name__ == "__main__":
    for resolver in (AsyncResolver, ThreadedResolver):
        resolver.resolve = resolve  # type: ignore[assignment,method-assign]
    if os.environ["PAYPAL_MAY_BE_LOCAL"]:
        Guard.check = lambda *_, **__: None  # type: ignore[assignment,method-assign]
    main()
