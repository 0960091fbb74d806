"""The key to the store's secrets, on a real daemon: made, configured, changed, lost; and no secret in clear."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.daemon.test_end_to_end import post, stripe_event, stripe_headers
from tests.daemon.test_life import exit_of
from tests.running import ENDPOINT_SECRET, STRIPE_SECRET, RunningDaemon, configuration, daemon, endpoint

GENERATED = '[endpoints.shop]\nurl = "http://127.0.0.1:9000/"\n'
"""An endpoint whose secret the store makes."""
KEYS = [f"key number {number}, with enough characters to be one" for number in range(2)]


def keyed(key: str, old_keys: list[str] | None = None, endpoints: str = "") -> str:
    store = f"[store]\nkey = {json.dumps(key)}\nold_keys = {json.dumps(old_keys or [])}\n"
    return configuration(endpoints=endpoints) + store


async def happen(running: RunningDaemon, event_id: str) -> None:
    body = stripe_event(event_id)
    assert (await post(running, "stripe", body, stripe_headers(body)))[0] == 200


async def refused(directory: Path, config: str) -> str:
    code, said = await exit_of(directory, config)
    assert code == 78
    assert "Traceback" not in said
    assert not any(key in said for key in KEYS)
    return said


async def test_a_key_is_changed_and_the_merchant_notices_nothing(tmp_path: Path):
    async with merchant() as shop:
        async with daemon(tmp_path, keyed(KEYS[0])) as running, desk(running) as operator:
            asked = {"name": "shop", "url": f"http://127.0.0.1:{shop.port}/shop"}
            shop.secret = (await operator.done("POST", "/endpoints", asked))["secret"]
            await running.stop()
        assert "store.key" in await refused(tmp_path, keyed(KEYS[1]))
        for config in (keyed(KEYS[1], [KEYS[0]]), keyed(KEYS[1])):
            async with daemon(tmp_path, config) as running:
                await happen(running, f"evt_{len(shop.got)}")
                await shop.has(len(shop.got) + 1)  # it has checked the signature
                assert await running.stop() == 0
        assert "store.key" in await refused(tmp_path, keyed(KEYS[0]))
        assert not (tmp_path / "data" / "store.key").exists()


@pytest.mark.parametrize("way", ["env", "file", "credential"])
async def test_the_key_may_come_from_where_secrets_come_from(tmp_path: Path, way: str):
    (tmp_path / "store-key").write_text(KEYS[0])
    (tmp_path / "store-key").chmod(0o600)
    named = {"env": "env:STORE_KEY", "file": f"file:{tmp_path}/store-key", "credential": "credential:store-key"}[way]
    given = {"STORE_KEY": KEYS[0], "CREDENTIALS_DIRECTORY": str(tmp_path)}
    async with daemon(tmp_path, keyed(named, endpoints=GENERATED), **given) as running:
        assert await running.stop() == 0
    assert "store.key" in await refused(tmp_path, keyed(KEYS[1], endpoints=GENERATED))
    async with daemon(tmp_path, keyed(KEYS[0], endpoints=GENERATED)) as running:
        assert await running.stop() == 0


async def test_a_lost_key_file_is_said_and_not_replaced_in_silence(tmp_path: Path):
    generated = configuration(endpoints=GENERATED)
    async with daemon(tmp_path, generated) as running:
        assert (tmp_path / "data" / "store.key").stat().st_mode & 0o777 == 0o600
        await running.stop()
    lost = (tmp_path / "data" / "store.key").rename(tmp_path / "lost")
    for _ in range(2):
        assert "store.key is not there" in await refused(tmp_path, generated)
        assert not (tmp_path / "data" / "store.key").exists(), "another would look like the one to keep"
    lost.rename(tmp_path / "data" / "store.key")
    async with daemon(tmp_path, generated) as running:
        assert await running.stop() == 0


async def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path):
    generated = configuration(endpoints=GENERATED)
    async with daemon(tmp_path, generated) as running:
        await running.stop()
    (tmp_path / "data" / "store.key").chmod(0o644)
    assert "store.key can be read by others: chmod 600 it" in await refused(tmp_path, generated)
    (tmp_path / "data" / "store.key").chmod(0o600)
    async with daemon(tmp_path, generated) as running:
        assert await running.stop() == 0


async def test_no_secret_is_in_the_data_directory_in_clear_nor_in_the_log(tmp_path: Path):
    async with merchant() as shop:
        in_config = endpoint("fixed", shop.port) + 'headers = { authorization = "Bearer c-a-n-a-r-y-1" }\n'
        async with daemon(tmp_path, keyed(KEYS[0], endpoints=in_config)) as running, desk(running) as operator:
            asked = {"name": "shop", "url": f"http://127.0.0.1:{shop.port}/shop", "secret": ENDPOINT_SECRET}
            await operator.done("POST", "/endpoints", {**asked, "headers": {"authorization": "Bearer c-a-n-a-r-y-2"}})
            made = await operator.done("POST", "/endpoints/shop/rotate-secret", {"secret_kind": "ed25519"})
            await operator.done("PATCH", "/endpoints/shop", {"headers": {"authorization": "Bearer c-a-n-a-r-y-3"}})
            await happen(running, "evt_1")
            assert all("c-a-n-a-r-y" in got.headers["authorization"] for got in await shop.has(2))
            copy = tmp_path / "while it runs"
            subprocess.run(["cp", "-r", str(tmp_path / "data"), str(copy)], check=True, timeout=30)
            token = running.token
            await running.stop()
            log = json.dumps(running.log).encode()
    texts = [secret.partition("_")[2] for secret in (ENDPOINT_SECRET, made["secret"])]
    canaries = [form for text in texts for form in (text.rstrip("=").encode(), base64.b64decode(text))]
    canaries += [b"c-a-n-a-r-y", STRIPE_SECRET.encode(), KEYS[0].encode()]
    for file in (*copy.iterdir(), *(tmp_path / "data").iterdir()):
        found = file.read_bytes()
        assert [canary for canary in canaries if canary in found] == [], file
        assert token.encode() not in found or file.name == "admin.token"
    assert [canary for canary in (*canaries, token.encode()) if canary in log] == []


async def test_what_is_no_database_is_refused_in_words_and_left_alone(tmp_path: Path):
    (tmp_path / "data").mkdir(mode=0o700)
    (tmp_path / "data" / "webhookd.db").write_bytes(b"junk\n" * 1000)
    said = await refused(tmp_path, configuration())
    assert "no SQLite database" in said
    assert (tmp_path / "data" / "webhookd.db").read_bytes() == b"junk\n" * 1000
