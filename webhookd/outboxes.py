"""What an application's outbox takes beside the room that relays it: its settings, and the way into the log."""

from collections.abc import Callable
from functools import partial

from webhookd.clock import Clock
from webhookd.config.model import Config, OutboxSettings
from webhookd.providers.outbox import Outbox
from webhookd.providers.provider import Credentials
from webhookd.receive.intake import Intake, Source
from webhookd.relay.relay import Meter, Relay
from webhookd.relay.sqlite import SqliteTable
from webhookd.relay.table import Table


def relay_of(
    intake: Intake, clock: Clock, meter: Meter, config: Config, unready: Callable[[], str | None]
) -> Callable[[str, OutboxSettings], Relay]:
    """What makes a source's relay. `config` is that of the start: it says where the store is."""

    def make(name: str, settings: OutboxSettings) -> Relay:
        append = partial(intake.take_in_row, Source(name, Outbox(Credentials())))
        table = table_of(settings, config)
        return Relay(name, table, append, clock, meter, body_bytes_max=config.server.max_body, unready=unready)

    return make


def table_of(settings: OutboxSettings, config: Config) -> Table:
    if settings.url.file is not None:
        own = config.database if config.store.url.file is not None else None
        return SqliteTable(settings.url.file, settings.table, is_marked=settings.is_marked, own=own)
    from webhookd.relay.postgres import PostgresTable  # noqa: PLC0415 - its driver may not be installed

    return PostgresTable(settings.url.url.reveal(), settings.table, is_marked=settings.is_marked)
