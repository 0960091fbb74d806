"""What a command tells whom, when what answers is not what it took it for."""

from pathlib import Path

from aiohttp import web

from tests.shell import run
from webhookd.config.value import Address
from webhookd.listening import listen


async def test_the_token_goes_nowhere_but_where_it_was_meant_to_go(tmp_path: Path):
    seen: list[str] = []

    async def thief(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization", ""))
        return web.json_response({"data": [], "next_cursor": None})

    async def elsewhere(_request: web.Request) -> web.Response:
        raise web.HTTPTemporaryRedirect(f"http://{there}/stolen")

    runners = []
    ports = []
    for answer in (thief, elsewhere):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runners.append(web.AppRunner(app, access_log=None))
        ports.append(await listen(runners[-1], [], Address("127.0.0.1", 0)))
    there, here = ports
    token = tmp_path / "token"
    token.write_text("whd_" + "x" * 43)
    try:
        found = await run("sources", "--url", f"http://{here}", "--token-file", token, cwd=tmp_path)
    finally:
        for each in runners:
            await each.cleanup()
    assert (found.code, found.err, seen) == (1, "webhookd: the daemon answered 307\n", [])
