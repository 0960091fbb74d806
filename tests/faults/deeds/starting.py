"""A first start: keys, secrets and a token are made, and who has been told one of them relies on it from then on."""

import random
from pathlib import Path

from tests.faults.deeds.deed import DATABASE, NAMES, Ack, Acked, Begin, verified
from tests.making import NOW_MS, spec
from webhookd.admin.door.token import TokenError, ensure_token
from webhookd.store.data_dir import DataDir
from webhookd.store.protocol.errors import StoreError
from webhookd.store.seal import SealError, seal_for
from webhookd.store.sqlite.store import SqliteStore

HOOK = ("evt_1", 1_700_000_000, b"a body")


class Start:
    """From when there is a database, as the daemon goes on."""

    def __init__(self, dice: random.Random) -> None:
        pass

    async def prepare(self, data: Path, ack: Ack) -> None:
        pass

    async def do(self, data: Path, begin: Begin, ack: Ack) -> None:
        with DataDir(data):
            store = SqliteStore(data / DATABASE)
            await store.open()
            begin()
            is_first = not await store.holds_secrets()
            await store.unlock(seal_for(data, None, (), is_first=is_first))
            for endpoint in await store.adopt([spec(name) for name in NAMES], NOW_MS):
                ack(endpoint.spec.name, *(key.key.sign(*HOOK) for key in endpoint.keys))
            ack("token", ensure_token(data))
            await store.close()

    async def broken(self, data: Path, acked: Acked, *, over: bool) -> list[str]:
        again: list[list[str]] = []
        try:
            await self.do(data, lambda: None, lambda *what: again.append(list(what)))
        except (SealError, TokenError, StoreError) as error:
            return [f"it cannot be started any more: {error}"]
        broken = [f"{what} is another one now" for what, *told in acked if [what, *told] not in again]
        if over and (left := [each.name for each in data.iterdir() if each.suffix == ".new"]):
            broken.append(f"drafts are left: {left}")
        return broken + await verified(data)
