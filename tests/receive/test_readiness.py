"""Bad-input catalogue, its last line: who cannot keep a hook says so before reading it."""

from pathlib import Path

import pytest

from tests.receive.wire import ask, assert_problem, event, head, post, stripe
from tests.running import configuration, daemon

HEALTHZ, READYZ = head("GET /healthz HTTP/1.1"), head("GET /readyz HTTP/1.1")
BODY = event("evt_unready")


@pytest.mark.fault(9)
async def test_a_full_disk_refuses_hooks_before_they_are_read(tmp_path: Path) -> None:
    config = configuration().replace('min_free = "1MiB"', 'min_free = "999999999GB"')
    async with daemon(tmp_path, config) as running:
        answers = [
            await ask(running.port, READYZ),
            await ask(running.port, post("stripe", BODY, stripe(BODY))),
            # Only the head is sent: the answer must not wait for a body.
            await ask(running.port, head("POST /webhooks/stripe HTTP/1.1", {"Content-Length": "20"})),
            await ask(running.port, head("POST /webhooks/stripe HTTP/1.1", {"Transfer-Encoding": "chunked"})),
            await ask(
                running.port,
                head("POST /webhooks/stripe HTTP/1.1", {"Content-Length": "20", "Expect": "100-continue"}),
            ),
        ]
        for answer in answers:
            assert_problem(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
        assert (await ask(running.port, HEALTHZ)).json() == {"status": "ok"}
        assert await running.stop() == 0


async def test_a_daemon_with_room_is_alive_and_ready(tmp_path: Path) -> None:
    async with daemon(tmp_path) as running:
        for request in (HEALTHZ, READYZ):
            answer = await ask(running.port, request)
            assert answer.status == 200
            assert answer.json() == {"status": "ok"}
        assert await running.stop() == 0


async def test_a_smaller_limit_is_kept_to(tmp_path: Path) -> None:
    """Rows 24 to 26, with another `max_body`."""
    config = configuration(server='max_body = "1KiB"')
    async with daemon(tmp_path, config) as running:
        small, large = event("evt_small"), event("evt_large", padding="x" * 1024)
        assert (await ask(running.port, post("stripe", small, stripe(small)))).json()["status"] == "accepted"
        assert_problem(await ask(running.port, post("stripe", large, stripe(large))), 413)
        assert await running.stop() == 0
