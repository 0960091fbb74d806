"""The body of a request, whole: bounded in bytes and in time, and never unpacked."""

import asyncio

from aiohttp import web


async def whole(request: web.Request, most: int, within_s: float) -> bytes:
    """Raises web.HTTPException: 415 for what is compressed, 413, 408, and 400 where it breaks off."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise web.HTTPUnsupportedMediaType(reason="Send the body without Content-Encoding.")
    if request.content_length is not None and request.content_length > most:
        raise _too_large(most, request.content_length)
    parts, size = [], 0
    try:
        async with asyncio.timeout(within_s):
            async for part in request.content.iter_any():
                parts.append(part)
                size += len(part)
                if size > most:
                    raise _too_large(most, size)
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason="The body took too long to arrive.") from None
    except (OSError, web.RequestPayloadError):
        raise web.HTTPBadRequest(reason="The body did not arrive whole.") from None
    return b"".join(parts)


def _too_large(most: int, size: int) -> web.HTTPException:
    return web.HTTPRequestEntityTooLarge(most, size, reason=f"A request here has at most {most} bytes.")
