"""The one place that knows which engine the configuration names, and loads what that one needs and no other."""

from webhookd.clock import Clock
from webhookd.config.model import Config
from webhookd.engine import CommitTold, Engine


def engine_of(config: Config, clock: Clock, told: CommitTold = lambda _seconds, _writes: None) -> Engine:
    if config.store.url.file is not None:
        from webhookd.sqlite_engine import SqliteEngine  # noqa: PLC0415

        return SqliteEngine(config, clock, told)
    from webhookd.postgres_engine import PostgresEngine  # noqa: PLC0415 - asyncpg may not be installed

    return PostgresEngine(config, clock, told)
