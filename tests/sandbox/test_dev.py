"""What `serve --dev` makes: a secret for every provider, and for PayPal a key and an authority in its place."""

import json
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.dev_daemon import DevDaemon, dev_daemon
from tests.shell import Shell, ask
from webhookd.config import Config
from webhookd.core.secret import Secret
from webhookd.evidence.shelf import Shelf
from webhookd.providers import PROVIDERS
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.providers.provider import CannotSignError
from webhookd.sandbox.dev import AUTHORITY_FILE, FILE, LOCAL, dev_credentials, dev_secrets, with_dev
from webhookd.sandbox.samples import types


def config(data_dir: Path) -> Config:
    made = Config()
    return Config(server=type(made.server)(data_dir=str(data_dir)))


def test_secrets_are_made_once_private_and_for_every_provider(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    assert dev_secrets(data_dir, create=False) == {}
    assert not data_dir.exists()
    made = dev_secrets(data_dir, create=True)
    assert made.keys() == {*PROVIDERS, LOCAL}
    assert dev_secrets(data_dir, create=True) == dev_secrets(data_dir, create=False) == made
    for name in (FILE, AUTHORITY_FILE):
        assert stat.S_IMODE((data_dir / name).stat().st_mode) == 0o600
    assert "PRIVATE" not in (data_dir / AUTHORITY_FILE).read_text()
    assert [path.name for path in data_dir.iterdir() if path.suffix == ".new"] == []


def test_what_an_earlier_version_made_is_kept_and_what_it_lacks_is_added(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps({"stripe": "whsec_1", LOCAL: "whsec_2"}))
    made = dev_secrets(tmp_path, create=True)
    assert (made["stripe"].reveal(), made[LOCAL].reveal()) == ("whsec_1", "whsec_2")
    assert made.keys() == {*PROVIDERS, LOCAL}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_source_takes_what_its_secret_signs(tmp_path: Path, provider: str) -> None:
    kept = dev_secrets(tmp_path, create=True)
    source = with_dev(config(tmp_path), kept, 9_000).sources[provider]
    PROVIDERS[provider](source.credentials)  # raises when they do not fit
    signer = PROVIDERS[provider](dev_credentials(provider, kept[provider]))
    assert signer.sign(b"{}", 1_772_366_400, "msg_1")


def test_the_source_for_paypal_trusts_its_own_authority_and_cannot_sign(tmp_path: Path) -> None:
    kept = dev_secrets(tmp_path, create=True)
    credentials = with_dev(config(tmp_path), kept, 9_000).sources["paypal"].credentials
    assert credentials.authorities == (tmp_path / AUTHORITY_FILE).read_bytes()
    assert credentials.webhook_id == dev_credentials("paypal", kept["paypal"]).webhook_id
    with pytest.raises(CannotSignError):
        PROVIDERS["paypal"](credentials).sign(b"{}", 0, "msg_1")


def test_a_secret_for_paypal_that_came_by_way_of_a_shell_is_the_same(tmp_path: Path) -> None:
    """`--secret "$(cat key.pem)"` leaves the last line feed out."""
    text = dev_secrets(tmp_path, create=True)["paypal"].reveal()
    short = dev_credentials("paypal", Secret(text.strip()))
    assert short.webhook_id == dev_credentials("paypal", Secret(text)).webhook_id
    assert PROVIDERS["paypal"](short).sign(b"{}", 0, "msg_1")


# --- A real daemon


@pytest.fixture
async def dev(tmp_path: Path) -> AsyncIterator[DevDaemon]:
    async with dev_daemon(tmp_path) as made:
        yield made


async def test_trigger_sends_what_paypal_would_and_nothing_is_fetched_for_it(dev: DevDaemon, tmp_path: Path) -> None:
    shell = Shell(dev, tmp_path)
    found = await shell.done("trigger", "paypal", "PAYMENT.CAPTURE.COMPLETED", "-n", "5", "--duplicates", "1", "--json")
    results = [line["result"] for line in found.json_lines]
    assert sorted(results) == ["accepted"] * 5 + ["duplicate"] * 5
    assert not [line for line in dev.running.log if line.get("event") == "evidence_unavailable"]
    [kept] = Shelf(dev.data_dir).all()
    assert kept.url == HOME_CERT_URL
    listed = await shell.done("trigger", "--list", "paypal")
    assert listed.out.split() == [word for each in types("paypal") for word in ("paypal", each)]


async def test_the_secret_of_paypals_place_signs_from_anywhere(dev: DevDaemon) -> None:
    url = f"{dev.running.hooks}/webhooks/paypal"
    sent = ("trigger", "paypal", "PAYMENT.SALE.COMPLETED", "--url", url, "--secret")
    assert (await ask(*sent, dev.secret("paypal"))).code == 0
    odd = await ask(*sent, "whsec_short")
    assert odd.code == 2
    assert "RSA key" in odd.err


async def test_for_a_source_that_is_paypals_own_trigger_says_who_can_sign(tmp_path: Path) -> None:
    path = tmp_path / "webhookd.toml"
    path.write_text('[sources.pp]\nprovider = "paypal"\nwebhook_id = "1JE4291016473214C"\n')
    found = await ask("trigger", "paypal", "PAYMENT.SALE.COMPLETED", "-c", path, "--data-dir", tmp_path / "data")
    assert found.code == 78
    assert "serve --dev" in " ".join(found.err.split())


async def test_a_daemon_that_starts_again_takes_what_was_signed_before(tmp_path: Path) -> None:
    for number in range(2):
        async with dev_daemon(tmp_path) as made:
            body = {"id": f"WH-{number}", "event_type": "PAYMENT.CAPTURE.COMPLETED"}
            assert await made.send(body, "paypal", f"msg_{number}")
            assert await made.running.stop() == 0
            assert not [line for line in made.running.log if line.get("level") == "error"]
