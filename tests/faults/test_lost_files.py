"""The database or its WAL is removed, replaced or cut short under the daemon: it is found, and nothing is acked on it.

SQLite itself does not look, and would go on in a file that no restart finds.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.test_life import exit_of
from tests.faults.trade import ENOUGH, Trade, trade
from tests.store.old_files import ask
from webhookd.providers import reread
from webhookd.store.sqlite.audit import audit


def removed(file: Path) -> None:
    file.unlink()


def moved(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def replaced(file: Path) -> None:
    """By a copy of itself, which is what a careless edit does."""
    copy = shutil.copy(file, file.with_name("copy"))
    Path(copy).rename(file)


def emptied(file: Path) -> None:
    os.truncate(file, 0)


def halved(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


Mishap = Callable[[Path], None]
IN_BRIEF = (removed, emptied)
"""What `make test` does of each; the rest of it takes `--torture`."""


@pytest.fixture(params=[removed, moved, replaced, emptied, halved], ids=lambda mishap: mishap.__name__)
def mishap(request: pytest.FixtureRequest, torture: bool) -> Mishap:
    chosen: Mishap = request.param
    if chosen not in IN_BRIEF and not torture:
        pytest.skip("only --torture does all of them")
    return chosen


@pytest.mark.fault(15)
async def test_what_happens_to_the_wal_is_found_before_the_next_ack(
    tmp_path: Path, dice: random.Random, mishap: Mishap
):
    async with trade(tmp_path, dice) as shop:
        await shop.begins_the_wal_anew()
        await shop.provider.acked_more(dice.randint(1, 2 * ENOUGH))
        mishap(shop.wal)
        shop.provider.fault_is_known = True
        said = await shop.breaks_down()
        assert "webhookd.db-wal was " in said or "SQLITE_" in said
        if mishap in (removed, moved, replaced):
            await shop.goes_on()  # what was in it has been saved
            return
        acked = acked_events(shop)
        await shop.open()
        await shop.provider.acked_more(ENOUGH)
        shop.provider.unreachable()
        await shop.is_settled()
        assert await shop.running.stop() == 0
        assert list(audit(shop.database, reread)) == []
        kept = {name for (name,) in ask(shop.database, "SELECT provider_event_id FROM event")}
        assert acked_events(shop) - acked <= kept, "what was acked once it had started again"
        assert kept & acked, "what had been moved into the database"


@pytest.mark.fault(15)
async def test_what_happens_to_the_database_is_found_and_its_wal_is_not_given_up(
    tmp_path: Path, dice: random.Random, mishap: Mishap, torture: bool
):
    if mishap is emptied and not torture:
        pytest.skip("only --torture does all of them")
    async with trade(tmp_path, dice) as shop:
        await shop.begins_the_wal_anew()
        await shop.provider.acked_more(dice.randint(1, 2 * ENOUGH))
        mishap(shop.database)
        said = await shop.breaks_down()
        assert "webhookd.db was " in said or "SQLITE_" in said
        if mishap is replaced:
            await shop.goes_on()
            return
        wal = shop.wal.read_bytes()
        if mishap is not halved:
            code, refused = await exit_of(tmp_path, (tmp_path / "webhookd.toml").read_text())
            assert (code, "put the database back" in refused) == (78, True), refused
        assert shop.wal.read_bytes() == wal
        if mishap is moved:
            shop.database.with_name("elsewhere").rename(shop.database)
            await shop.goes_on()


def acked_events(shop: Trade) -> set[str]:
    """By the provider's own ids."""
    return {name for name, hook in shop.provider.hooks.items() if hook.acks}
