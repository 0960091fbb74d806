"""Start, stop, reload, and what a supervisor relies on."""

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.running import PATIENCE_S, STRIPE_SECRET, configuration, daemon, endpoint


async def exit_of(directory: Path, config: str, *arguments: str) -> tuple[int, str]:
    """The exit code of a daemon that cannot start, and what it said."""
    (directory / "webhookd.toml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "webhookd", "serve", *arguments),
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(PATIENCE_S):
        _, said = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


@pytest.mark.fault(24)
async def test_sigterm_finishes_what_is_under_way_and_exits_0(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        stopping = asyncio.Event()

        def slow(_got: object) -> int:
            running.send_signal(signal.SIGTERM)
            stopping.set()
            return 200

        shop.answer = slow
        body = stripe_event()
        status, _ = await post(running, "stripe", body, stripe_headers(body))
        assert status == 200
        await stopping.wait()
        assert await running.ended() == 0
        shop.answer = lambda _got: 200
        await running.start()
        body = stripe_event("evt_2")
        await post(running, "stripe", body, stripe_headers(body))
        got = await shop.has(2)
        assert len({each.headers["webhook-id"] for each in got}) == 2, "the first was settled before the exit"


@pytest.mark.fault(24)
async def test_a_second_sigterm_waits_for_nobody_and_loses_nothing(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration(endpoints=endpoint("shop", shop.port))) as running:
        never = asyncio.Event()
        shop.before_answer = never.wait
        body = stripe_event()
        await post(running, "stripe", body, stripe_headers(body))
        await shop.has(1)
        running.send_signal(signal.SIGTERM)
        await running.logged("stopping")
        running.send_signal(signal.SIGTERM)
        assert await running.ended() == 1
        never.set()
        await running.start()
        first, again = await shop.has(2)
        assert first.headers["webhook-id"] == again.headers["webhook-id"]


async def test_the_token_is_made_once_and_for_its_owner_only(tmp_path: Path):
    async with daemon(tmp_path) as running:
        token = running.token
        assert token.startswith("whd_")
        assert (tmp_path / "data" / "admin.token").stat().st_mode & 0o777 == 0o600
        await running.stop()
        await running.start()
        assert running.token == token


@pytest.mark.fault(19)
async def test_a_second_daemon_on_the_same_data_is_refused_with_78(tmp_path: Path):
    async with daemon(tmp_path):
        code, said = await exit_of(tmp_path, configuration())
        assert code == 78
        assert "in use by another webhookd" in said


async def test_a_port_that_is_taken_is_refused_with_78_and_named(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = await exit_of(tmp_path, configuration(), "--listen", address)
    assert code == 78
    assert f"cannot listen on {address}" in said
    assert "Traceback" not in said


@pytest.mark.fault(18)
async def test_a_database_of_another_program_is_refused_with_78(tmp_path: Path):
    from webhookd.store.sqlite.driver import driver

    (tmp_path / "data").mkdir()
    connection = driver.connect(tmp_path / "data" / "webhookd.db")
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    code, said = await exit_of(tmp_path, configuration())
    assert code == 78
    assert "another program" in said


@pytest.mark.fault(42)
async def test_sighup_takes_new_sources_and_endpoints_without_a_restart(tmp_path: Path):
    async with merchant() as shop, daemon(tmp_path, configuration()) as running:
        body = stripe_event()
        assert (await post(running, "new", body, stripe_headers(body)))[0] == 404
        sources = f'[sources.new]\nprovider = "stripe"\nsecrets = ["{STRIPE_SECRET}"]\n'
        new = configuration(sources=sources, endpoints=endpoint("shop", shop.port))
        (tmp_path / "webhookd.toml").write_text(new)
        running.send_signal(signal.SIGHUP)
        await running.logged("reloaded")
        assert (await post(running, "new", body, stripe_headers(body)))[0] == 200
        assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 404
        assert (await shop.has(1))[0].body == body


@pytest.mark.fault(42)
async def test_sighup_with_a_mistake_changes_nothing_and_names_it(tmp_path: Path):
    async with daemon(tmp_path) as running:
        (tmp_path / "webhookd.toml").write_text(configuration() + "\n[sources.bad]\nprovidr = 1\n")
        running.send_signal(signal.SIGHUP)
        refused = await running.logged("reload_refused")
        assert any("sources.bad.providr" in mistake for mistake in refused["mistakes"])
        body = stripe_event()
        assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200


async def test_systemd_hears_when_it_is_ready_alive_and_stopping(tmp_path: Path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.setblocking(False)
        loop = asyncio.get_running_loop()
        heard: list[str] = []

        async def hears(word: str) -> None:
            async with asyncio.timeout(PATIENCE_S):
                while not any(word in each for each in heard):
                    heard.append((await loop.sock_recv(channel, 4096)).decode())

        async with daemon(tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="300000") as running:
            await hears("READY=1")
            await hears("WATCHDOG=1")
            running.send_signal(signal.SIGTERM)
            await hears("STOPPING=1")
            assert await running.ended() == 0


@pytest.mark.parametrize("secret", ["env:NOT_SET_ANYWHERE", "file:/nowhere/at/all"])
async def test_a_secret_that_is_not_there_is_refused_with_78_and_named(tmp_path: Path, secret: str):
    config = configuration(sources=f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["{secret}"]\n')
    code, said = await exit_of(tmp_path, config)
    assert code == 78
    assert "sources.stripe.secrets" in said


async def test_a_daemon_whose_log_nobody_reads_any_more_delivers_and_stops_as_ever(tmp_path: Path):
    """A closed terminal or a dead pipe: writing to it fails, and must not keep SIGTERM from being heeded."""
    async with merchant() as shop:
        (tmp_path / "webhookd.toml").write_text(configuration(endpoints=endpoint("shop", shop.port)))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "webhookd", "serve"),
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE_S):
            ready = json.loads(await process.stderr.readline())
            process._transport.get_pipe_transport(2).close()  # type: ignore[attr-defined]
            body = stripe_event()
            async with aiohttp.ClientSession() as session:
                url = f"{ready['hooks']}/webhooks/stripe"
                async with session.post(url, data=b"{}", headers={"Stripe-Signature": "t=1,v1=x"}) as refused:
                    assert refused.status == 401  # which is worth a log line
                async with session.post(url, data=body, headers=stripe_headers(body)) as taken:
                    assert taken.status == 200
            await shop.has(1)
            process.terminate()
            assert await process.wait() == 0
