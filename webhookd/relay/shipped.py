"""The SQL that makes an outbox, for each engine: with it comes what calls when a row is there."""

from importlib import resources
from typing import Literal

Engine = Literal["postgres", "sqlite"]


def sql(engine: Engine) -> str:
    return resources.files("webhookd.relay").joinpath(f"{engine}.sql").read_text(encoding="utf-8")
