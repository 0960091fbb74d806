"""`webhookd revenue`: what came in, and what went back."""

from typing import Annotated

import msgspec
import typer

from webhookd.cli.amounts import money_text
from webhookd.cli.client import Client, find_daemon, moment
from webhookd.cli.given import given
from webhookd.cli.options import Json, listing, marked, show, write_json


@given(client=find_daemon)
def revenue(
    client: Client,
    since: Annotated[
        str | None,
        typer.Option("--since", help='A day like 2026-01-31, a time like 2026-01-31T12:00:00Z, or an age like "30d".'),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="The same; up to here, and not with it. Default: now.")
    ] = None,
    by: Annotated[str | None, typer.Option("--by", help="day, month or provider: a row for each.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="Only this one.")] = None,
    provider: Annotated[str | None, typer.Option("--provider", help="Only this provider.")] = None,
    as_json: Json = False,
) -> None:
    """Captured, refunded and disputed for each currency; days are those of UTC.

    Each counts on the day it occurred. Net is gross without refunds; a dispute changes it only when the money is
    refunded. What is in a currency whose unit is not known is counted as unreadable. --json has whole numbers of
    the smallest unit.

    webhookd revenue --by month --currency EUR

    webhookd revenue --since 2026-11-01 --until 2026-12-01 --by day
    """
    raw = client.get_raw(
        "/api/v1/revenue",
        since=moment(since, "--since"),
        until=moment(until, "--until"),
        by=by,
        currency=currency,
        provider=provider,
    )
    if as_json:
        write_json(raw)
        return
    sums = ("gross", "refunded", "net", "disputed")
    table = listing(*([by] if by else []), *sums, "unreadable")
    for column in table.columns[-5:]:
        column.justify = "right"
    for row in msgspec.json.decode(raw)["data"]:
        group = [row[by]] if by else []
        money = {"currency": row["currency"], "exponent": row["exponent"]}
        amounts = [money_text({**money, "amount": row[each]}) for each in sums]
        table.add_row(*map(marked, (*group, *amounts, row["unreadable"] or None)))
    show(table, "no revenue")
