"""`webhookd payments`: what the events say of each payment."""

import time
from typing import Annotated, Any

import msgspec
import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from webhookd.cli.amounts import money_text
from webhookd.cli.client import Client, find_daemon, page, segment, tell_of_more
from webhookd.cli.given import given
from webhookd.cli.looking import look
from webhookd.cli.options import (
    Exit,
    Json,
    cell,
    fail,
    listing,
    marked,
    messages,
    output,
    parse_duration,
    show,
    write_json,
)
from webhookd.core.ledger import RANKS

ASKED_MS = 30_000
"""How long one request waits; the next one goes on."""
PAUSE_S = 0.5
app = typer.Typer(help="What the events say of each payment.", no_args_is_help=True)
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help='Whose payment: "stripe", "razorpay", …')]
PaymentId = Annotated[str, typer.Argument(metavar="ID", help="The provider's id of it: pi_…, pay_…")]


@app.command("list")
@given(client=find_daemon, page=page)
def list_payments(
    client: Client,
    page: dict[str, Any],
    status: Annotated[str | None, typer.Option("--status", help=f"Only these: {', '.join(RANKS['payment'])}.")] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", help="Only what is known by this name: your order, a checkout session, its own id …"
        ),
    ] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider.")] = None,
    as_json: Json = False,
) -> None:
    """Those that were heard of last come first. --since and --until say when a payment was first heard of.

    webhookd payments list --reference 1042

    webhookd payments list --status failed --since 2h
    """
    found = look(client, "/api/v1/payments", page, status=status, reference=reference, provider=provider)
    if as_json:
        write_json(msgspec.json.encode(found))
        return
    table = listing("occurred", "provider", "payment", "status", "amount", "refunded", "reference")
    for each in found["data"]:
        refunded = money_text(each["refunded"]) if each["refunded"]["amount"] else None
        shown = (each["occurred_at"], each["provider"], each["id"], each["status"], money_text(each["amount"]))
        table.add_row(*map(marked, (*shown, refunded, each["reference"])))
    show(table, "no payments")
    tell_of_more(found, page)


@app.command("show")
@given(client=find_daemon)
def show_payment(provider: Provider, payment_id: PaymentId, client: Client, as_json: Json = False) -> None:
    """One payment as it stands with its refunds, and the events that say so (`webhookd events show` has each).

    webhookd payments show stripe pi_3MtwBwLkdIwHu7ix28a3tqPa
    """
    raw = client.get_raw(_path(provider, payment_id))
    if as_json:
        write_json(raw)
    else:
        _print(msgspec.json.decode(raw))


@app.command("wait")
@given(client=find_daemon)
def wait_for_payment(
    provider: Provider,
    payment_id: PaymentId,
    client: Client,
    timeout: Annotated[str, typer.Option("--timeout", help='How long at most, like "30s" or "10m".')] = "30s",
    as_json: Json = False,
) -> None:
    """Until the payment is settled: captured, refunded, failed or cancelled. Also for one nobody has heard of yet.

    Exit code 0 when it is captured, 1 when it is settled in another way or the time is over.

    webhookd payments wait stripe pi_3MtwBwLkdIwHu7ix28a3tqPa --timeout 2m && ./ship
    """
    raw = _wait(client, _path(provider, payment_id), parse_duration(timeout, "--timeout"), payment_id)
    if raw is None:
        fail(Exit.FOUND_WRONG, f"no event spoke of {cell(payment_id)} within {timeout}")
    payment = msgspec.json.decode(raw)
    if as_json:
        write_json(raw)
    else:
        _print(payment)
    if not payment["settled"]:
        fail(Exit.FOUND_WRONG, f"{cell(payment_id)} is {payment['status']} after {timeout}")
    if payment["status"] != "captured":
        fail(Exit.FOUND_WRONG, f"{cell(payment_id)} is settled, and not captured: {payment['status']}")


def _wait(client: Client, path: str, timeout_ms: int, payment_id: str) -> bytes | None:
    """The answer that settles it, or the last one."""
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=messages, transient=True, disable=not messages.is_terminal) as progress:
        waiting = progress.add_task(f"waiting for {marked(payment_id)}")
        over_at = time.monotonic() + timeout_ms / 1_000
        while True:
            asked_at = time.monotonic()
            raw = client.wait_for(path, min(max(round((over_at - asked_at) * 1_000), 0), ASKED_MS))
            payment = msgspec.json.decode(raw) if raw is not None else None
            left_s = over_at - time.monotonic()
            if left_s <= 0 or (payment is not None and payment["settled"]):
                return raw
            if payment is not None:
                progress.update(waiting, description=f"waiting for {marked(payment_id)}: it is {payment['status']}")
            if time.monotonic() - asked_at < PAUSE_S:
                time.sleep(min(PAUSE_S, left_s))  # for once the daemon did not wait


def _path(provider: str, payment_id: str) -> str:
    return f"/api/v1/payments/{segment(provider)}/{segment(payment_id)}"


def _print(payment: dict[str, Any]) -> None:
    shown = {
        "payment": payment["id"],
        "provider": payment["provider"],
        "status": payment["status"] + ("" if payment["settled"] else ", not settled"),
        "provider says": payment["detail"],
        "amount": money_text(payment["amount"]),
        "refunded": money_text(payment["refunded"]) if payment["refunded"]["amount"] else None,
        "reference": payment["reference"],
        "occurred": payment["occurred_at"],
    }
    for name, value in shown.items():
        output.print(f"[bold]{name:14}[/] {marked(value)}", highlight=False, soft_wrap=True)
    for number, event in enumerate(payment["events"]):
        output.print(f"[bold]{'events' if not number else '':14}[/] {marked(event)}", highlight=False, soft_wrap=True)
