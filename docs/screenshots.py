"""The pictures of the dashboard in docs/pictures: a daemon, a shop's traffic (`scene.py`), and a browser.

    python docs/screenshots.py [--only overview …] [--keep]

Everything on them went through a real daemon, but for the minutes of the last day: those are written into the store
before it starts. No picture is made of a page that shows a secret or a path of this machine, on which a script failed,
or which the browser objects to.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
from playwright.async_api import Browser
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from docs import scene
from docs.small_png import smaller
from tests.dashboard.browsing import DESK, PHONE, browser, tab
from tests.running import RunningDaemon, configuration, daemon
from webhookd.core.secret import Secret
from webhookd.evidence.shelf import Kept, Shelf
from webhookd.providers import PROVIDERS
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.sandbox import paypal_keys
from webhookd.sandbox.dev import dev_credentials, dev_secrets
from webhookd.store.sqlite.store import SqliteStore

PICTURES = Path(__file__).parent / "pictures"
BYTES_MAX, BYTES_OF_ALL_MAX = 150_000, 1_000_000
HOOKS_PER_S = 5
LIVE_S = 2.5
"""So long a page is open before its picture is taken: the live numbers come once a second."""
SETTLED_S = 120.0
"""A bound on waiting for the last retries: an endpoint that refused some has an open breaker between them."""
WELL_S, UNWELL_S = 30.0, 20.0
"""Trade goes on for so long before the first picture, without trouble and then with a merchant that fails."""
WELL = ("fulfillment", "accounting", "crm", "mailer")
"""Endpoints that are sooner or later owed nothing."""
_SEED = 11

Ask = Callable[..., Awaitable[Any]]


class Shot(NamedTuple):
    name: str
    path: Callable[[Ask], Awaitable[str]]
    look: Mapping[str, Any] = MappingProxyType({})
    """Playwright's, beside the usual one."""


def at(path: str) -> Callable[[Ask], Awaitable[str]]:
    async def found(_ask: Ask) -> str:
        return path

    return found


async def dead_event(ask: Ask) -> str:
    """One that somebody did not take."""
    return f"/events/{(await ask('/deliveries', state='dead', endpoint='crm'))['data'][0]['event_id']}"


async def refunded_payment(ask: Ask) -> str:
    found = (await ask("/payments", status="partially_refunded", provider="stripe"))["data"][0]
    return f"/payments/{found['provider']}/{found['id']}"


SHOTS = (
    Shot("overview", at("/"), {"viewport": {"width": 1280, "height": 1480}}),
    Shot("events", at("/events")),
    Shot("event", dead_event),
    Shot("endpoints", at("/endpoints")),
    Shot("endpoint", at("/endpoints/mailer")),
    Shot("dead", at("/dead")),
    Shot("payments", at("/payments")),
    Shot("payment", refunded_payment),
    Shot("revenue", at("/revenue")),
    Shot("refused", at("/refused")),
    Shot("phone", at("/"), {"viewport": PHONE, "color_scheme": "dark", "is_mobile": True, "has_touch": True}),
)


class Shop:
    """What a daemon is given before it starts, and what is sent to it."""

    def __init__(self, directory: Path, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._data_dir = directory / "data"
        self.secrets = dev_secrets(self._data_dir, create=True)
        key = self.secrets["paypal"].reveal()
        until_ms = int(time.time() * 1_000) + 86_400_000
        Shelf(self._data_dir).put(Kept(HOME_CERT_URL, until_ms, paypal_keys.certificate(key)))
        (directory / "paypal.pem").write_bytes(paypal_keys.authority(key))

    def configuration(self, port: int) -> str:
        sources = "\n".join(
            f'[sources.{name}]\nprovider = "{name}"\nsecrets = ["{secret.reveal()}"]'
            for name, secret in self.secrets.items()
            if name in PROVIDERS and name != "paypal"
        )
        paypal = f'[sources.paypal]\nprovider = "paypal"\nauthorities = "paypal.pem"\nwebhook_id = "{self._webhook_id}"'
        endpoints = "\n".join(
            f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port}/{name}"\n{more}'
            for name, more in scene.ENDPOINTS.items()
        )
        return configuration(f"{sources}\n{paypal}", endpoints)

    @property
    def _webhook_id(self) -> str:
        return paypal_keys.webhook_id(self.secrets["paypal"].reveal())

    async def send(self, running: RunningDaemon, hook: scene.Hook, secret: Secret | None = None) -> int:
        """The status of the answer. Signed by the source's own secret, or by this one."""
        signer = PROVIDERS[hook.provider](dev_credentials(hook.provider, secret or self.secrets[hook.provider]))
        headers = signer.sign(hook.body, int(time.time()), f"msg_{random.getrandbits(96):024x}")
        url = f"{running.hooks}/webhooks/{hook.provider}"
        headers["Content-Type"] = "application/json"
        async with self._session.post(url, data=hook.body, headers=headers) as answer:
            return answer.status


async def remember_a_day(directory: Path, dice: random.Random) -> None:
    """The made-up minutes, where the daemon finds them."""
    store = SqliteStore(directory / "data" / "webhookd.db")
    await store.open()
    try:
        await asyncio.gather(*(store.minutes.keep(each) for each in scene.minutes(dice, int(time.time()))))
    finally:
        await store.close()


async def two_weeks(shop: Shop, running: RunningDaemon, dice: random.Random) -> None:
    """Of orders; and one event that is not understood."""
    for number, hook in enumerate(scene.orders(dice, int(time.time()))):
        if (status := await shop.send(running, hook)) != 200:
            raise SystemExit(f"a hook of {hook.provider} was answered {status}")
        if number % 20 == 0:  # one that was sent twice
            await shop.send(running, hook)
    await shop.send(running, scene.not_understood(int(time.time())))


@asynccontextmanager
async def trade(shop: Shop, running: RunningDaemon, dice: random.Random) -> AsyncIterator[None]:
    """Orders that come in as long as this lasts; Paystack's are signed with a secret that nobody has told us of."""

    async def go_on() -> None:
        number = 1_000 + scene.ORDERS
        while True:
            now_s = int(time.time())
            said = [*scene.order(dice, now_s - 40, now_s, number), *(scene.small_talk(dice, now_s) for _ in range(6))]
            for hook in said:
                await shop.send(running, hook, Secret("sk_live_another") if hook.provider == "paystack" else None)
                await asyncio.sleep(1 / HOOKS_PER_S)
            number += 1

    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        going.cancel()


def asker(running: RunningDaemon) -> Ask:
    async def ask(path: str, **query: str) -> Any:
        headers = {"Authorization": f"Bearer {running.token}"}
        async with (
            aiohttp.ClientSession(headers=headers, raise_for_status=True) as session,
            session.get(f"{running.admin}/api/v1{path}", params=query) as answer,
        ):
            return await answer.json()

    return ask


async def settled(ask: Ask) -> None:
    """Until what is given up has been given up, and the well endpoints have what is theirs."""
    async with asyncio.timeout(SETTLED_S):
        while True:
            owed = [await ask("/deliveries", state="pending", endpoint=name) for name in WELL]
            if not any(each["data"] for each in owed):
                return
            await asyncio.sleep(0.5)


async def take(shot: Shot, running: RunningDaemon, opened: Browser, ask: Ask, unspeakable: Sequence[str]) -> str | None:
    """What is wrong with the page, if anything; else its picture is in PICTURES."""
    look = {"viewport": DESK, "device_scale_factor": 1, "reduced_motion": "reduce", **shot.look}
    async with tab(running, opened, **look) as found:
        path = await shot.path(ask)
        if (status := await found.go(path)) != 200:
            return f"{path} is answered {status}"
        await found.page.wait_for_timeout(1_000 * LIVE_S)
        shown = await found.page.content()
        if told := [text for text in unspeakable if text in shown]:
            return f"{path} shows {len(told)} things that are nobody's business"
        picture = await smaller(await found.page.screenshot(type="png"), opened)
    (PICTURES / f"{shot.name}.png").write_bytes(picture)
    return f"{shot.name}.png has {len(picture):,} bytes" if len(picture) > BYTES_MAX else None


async def make(names: Sequence[str], *, keep: bool) -> list[str]:
    """What went wrong. `keep` leaves the daemon there to be looked at until Ctrl-C."""
    console = Console(stderr=True)
    dice = random.Random(_SEED)  # noqa: S311 - a shop's luck
    merchants = scene.Merchants()
    await merchants.start()
    problems = []
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="webhookd-pictures-")))
        session = await stack.enter_async_context(aiohttp.ClientSession(skip_auto_headers=("User-Agent",)))
        shop = Shop(directory, session)
        config = shop.configuration(merchants.port)
        console.print("two weeks of orders …")
        async with daemon(directory, config) as running:
            await two_weeks(shop, running, dice)
            await settled(asker(running))
        await remember_a_day(directory, dice)
        async with daemon(directory, config) as running, browser() as opened:
            ask = asker(running)
            unspeakable = [str(directory), running.token, *(each.reveal() for each in shop.secrets.values())]
            PICTURES.mkdir(exist_ok=True)
            async with trade(shop, running, dice):
                await asyncio.sleep(WELL_S)
                merchants.mailer_is_well = False
                await asyncio.sleep(UNWELL_S)
                for shot in SHOTS:
                    if names and shot.name not in names:
                        continue
                    problem = await take(shot, running, opened, ask, unspeakable)
                    console.print(f"{shot.name}: {problem or 'taken'}", highlight=False)
                    problems += [problem] if problem else []
                if keep:
                    console.print(f"{running.admin} with the token {running.token}", highlight=False, soft_wrap=True)
                    await asyncio.Event().wait()
    await merchants.stop()
    everything = sum(each.stat().st_size for each in PICTURES.glob("*.png"))
    return [*problems, f"all pictures have {everything:,} bytes"] if everything > BYTES_OF_ALL_MAX else problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=[], choices=[shot.name for shot in SHOTS], help="these pictures")
    parser.add_argument("--keep", action="store_true", help="leave the daemon running, to look around")
    arguments = parser.parse_args()
    try:
        problems = asyncio.run(make(arguments.only, keep=arguments.keep))
    except KeyboardInterrupt:
        return
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
