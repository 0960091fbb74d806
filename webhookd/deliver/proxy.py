"""The way out through an egress proxy: CONNECT, for http:// and https:// alike, as Smokescreen wants it.

The proxy resolves the names, so it decides which addresses are reached: use one that refuses private ones. Ours judges
what it sees: the URL, and a host that is an address already. http:// to a name needs `allow_http`, since nobody here
knows whether the name leads into an opened network. The proxy's own address is the operator's choice.
"""

import asyncio
import base64
import re
import socket

from webhookd.core.proxy import Proxy
from webhookd.deliver.answer import HEAD_BYTES_MAX
from webhookd.deliver.transport import TransportError

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r?\n")


async def tunnel(connected: socket.socket, proxy: Proxy, authority: str) -> None:
    """Makes of a connection to the proxy one to `host:port`.

    Raises TransportError: "blocked" when the proxy forbids the destination (403, or 407 without a challenge, which is
    what Smokescreen says), "proxy" for every other answer; OSError.
    """
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.credentials is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.reveal().encode()).decode()}")
    await loop.sock_sendall(connected, "\r\n".join([*lines, "", ""]).encode())
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) >= HEAD_BYTES_MAX or not (data := await loop.sock_recv(connected, HEAD_BYTES_MAX)):
            raise TransportError("proxy")
        head += data
    found = _STATUS.match(head)
    status = int(found[1]) if found else 0
    if status == 403 or (status == 407 and b"\nproxy-authenticate:" not in head.lower()):
        raise TransportError("blocked")
    if not 200 <= status < 300 or head.partition(b"\r\n\r\n")[2]:  # nothing may follow: we speak first
        raise TransportError("proxy")
