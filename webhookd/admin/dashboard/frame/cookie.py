"""The session's cookie (RFC 6265bis).

Over TLS, which a proxy in front may speak for us, it is `__Host-`: no other name of the domain and no plain connection
can set or see it. Over plain HTTP, as on the machine itself or through ssh, a browser would keep no such cookie. Either
way its name has the port in it, because cookies do not tell ports apart and there may be two of us.
"""

from aiohttp import web

SECURE, PLAIN = "__Host-whd", "whd"


def cookie_of(request: web.Request) -> str:
    """What the browser has kept; empty when it has nothing."""
    return request.cookies.get(_name(request), "")


def give_cookie(request: web.Request, response: web.Response, value: str) -> None:
    """Until the browser is closed; how long it is good for is decided here, not there."""
    response.set_cookie(
        _name(request), value, path="/", httponly=True, samesite="Strict", secure=_is_secure(request) or None
    )


def take_cookie(request: web.Request, response: web.Response) -> None:
    response.set_cookie(
        _name(request), "", path="/", max_age=0, httponly=True, samesite="Strict", secure=_is_secure(request) or None
    )


def _is_secure(request: web.Request) -> bool:
    """As the proxy says it, of several the first; who lies about that only harms his own cookie."""
    said = request.headers.get("X-Forwarded-Proto", "").partition(",")[0]
    return request.secure or said.strip().lower() == "https"


def _name(request: web.Request) -> str:
    name = SECURE if _is_secure(request) else PLAIN
    port = request.host.rpartition(":")[2]
    return f"{name}-{port}" if port.isascii() and port.isdecimal() else name
