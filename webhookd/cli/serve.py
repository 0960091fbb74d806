"""`webhookd serve`: the daemon."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import structlog
import typer

from webhookd.cli.demo import show_sample
from webhookd.cli.given import given
from webhookd.cli.listen import print_visit
from webhookd.cli.options import ConfigFile, DataDirOption, no_daemon
from webhookd.cli.start import start
from webhookd.clock import SystemClock
from webhookd.config import Config, load
from webhookd.core.secret import Secret
from webhookd.daemon import Daemon
from webhookd.evidence.shelf import Kept, Shelf
from webhookd.providers.paypal.signature import HOME_CERT_URL
from webhookd.sandbox.dev import LOCAL, LOOPBACK, PAYPAL, dev_secrets, with_dev
from webhookd.sandbox.merchant import Merchant, Visit
from webhookd.sandbox.paypal_keys import VALID_FOR, certificate

MERCHANT_PORT = 9000
_log = structlog.get_logger("webhookd.serve")


@given(_daemon=no_daemon)
def serve(
    _daemon: None,
    config_file: ConfigFile = None,
    data_dir: DataDirOption = None,
    listen: Annotated[str | None, typer.Option("--listen", metavar="H:P", help="Overrides server.listen.")] = None,
    admin_listen: Annotated[
        str | None,
        typer.Option("--admin-listen", metavar="H:P", help="Overrides server.admin_listen: dashboard, API, metrics."),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--role", metavar="all|receive|dispatch", help="Overrides server.role: of several nodes what this one does."
        ),
    ] = None,
    dev: Annotated[
        bool,
        typer.Option(
            "--dev",
            help="For your desk: a source with a generated secret for every provider, loopback endpoints allowed, and a "
            "merchant in the background as endpoint `local`.",
        ),
    ] = False,
    sample: Annotated[
        bool, typer.Option("--sample", help="With --dev: send one signed sample event through and show its way.")
    ] = False,
) -> None:
    """Receive hooks, keep them, deliver them: the daemon.

    A hook is answered 200 once it is fsynced, and delivered from then on, through restarts and crashes.
    SIGTERM finishes what is under way and stops; SIGHUP reads sources and endpoints again.

    webhookd serve --dev

    webhookd serve -c /etc/webhookd/webhookd.toml --data-dir /var/lib/webhookd
    """
    server = {"data_dir": data_dir, "listen": listen, "admin_listen": admin_listen, "role": role}

    def load_config() -> Config:
        return load(config_file, server, opened=LOOPBACK if dev else ())

    if sample and not dev:
        raise typer.BadParameter("goes with --dev", param_hint="--sample")
    start(load_config, partial(_serve_dev, load_config, sample=sample) if dev else None)


async def _serve_dev(load_config: Callable[[], Config], config: Config, *, sample: bool) -> None:
    kept = dev_secrets(config.data_dir, create=True)
    _keep_paypal_certificate(config.data_dir, kept[PAYPAL])
    visits: asyncio.Queue[Visit] = asyncio.Queue(1_000)

    def told(visit: Visit) -> None:
        with suppress(OSError):  # the terminal may be gone; the merchant still answers
            print_visit(visit, name=LOCAL)
        if not visits.full():
            visits.put_nowait(visit)

    merchant = Merchant(SystemClock().now_ms, told, secret=kept[LOCAL])
    try:
        port = await merchant.start("127.0.0.1", MERCHANT_PORT)
    except OSError:
        port = await merchant.start("127.0.0.1", 0)
    try:
        daemon = Daemon(with_dev(config, kept, port), lambda: with_dev(load_config(), kept, port))
        await daemon.run(
            lambda running: show_sample(running, kept, visits, port) if sample else _say_dev(running, port)
        )
    finally:
        await merchant.stop()


def _keep_paypal_certificate(data_dir: Path, signing_key: Secret) -> None:
    """Where the daemon looks before it asks PayPal, who has none of that name."""
    until_ms = SystemClock().now_ms() + VALID_FOR // timedelta(milliseconds=1)
    Shelf(data_dir).put(Kept(HOME_CERT_URL, until_ms, certificate(signing_key.reveal())))


async def _say_dev(daemon: Daemon, port: int) -> None:
    _log.info(
        "dev",
        merchant=f"http://127.0.0.1:{port}/",
        dashboard=f"http://{daemon.admin_at}/",
        log_in_with=f"{daemon.data_dir}/admin.token",
        try_next="webhookd trigger stripe payment_intent.succeeded",
    )
