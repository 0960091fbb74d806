"""What is answered is on the disk: tried with the sync held up, failing, and with a power cut after each of them."""

import asyncio
import errno
import os
import random
import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from threading import Event as Signal
from typing import Any

import pytest

from tests.making import NOW_MS, SEAL, TEN_OF_EACH, event, spec
from webhookd.core.delivery import DeliveryKey, Outcome, Settlement
from webhookd.core.endpoint import EndpointSpec
from webhookd.store.protocol.errors import StoreBrokenError
from webhookd.store.sqlite import durable
from webhookd.store.sqlite.connection import open_alone
from webhookd.store.sqlite.driver import driver
from webhookd.store.sqlite.store import SqliteStore

NO_BOUND = 2**62
fdatasync = os.fdatasync
OnSync = Callable[[Callable[[int], None]], None]


@pytest.fixture
def on_sync(monkeypatch: pytest.MonkeyPatch) -> OnSync:
    """Have this called in the place of os.fdatasync from now on."""
    return lambda function: monkeypatch.setattr(os, "fdatasync", function)


@pytest.fixture
def store(sqlite_store: SqliteStore) -> SqliteStore:
    return sqlite_store


@pytest.fixture
async def shop(store: SqliteStore) -> int:
    [endpoint] = await store.adopt([spec()], NOW_MS)
    return endpoint.number


class HeldUp:
    """A sync that does not return until `goes_on` is set, and then as it is told."""

    def __init__(self) -> None:
        self._loop, self._has_begun = asyncio.get_running_loop(), asyncio.Event()
        self.goes_on = Signal()
        self.error: OSError | None = None

    def __call__(self, descriptor: int) -> None:
        self._loop.call_soon_threadsafe(self._has_begun.set)
        self.goes_on.wait()
        if self.error is not None:
            raise self.error
        fdatasync(descriptor)

    async def begun(self, *waiting: "asyncio.Future[Any]") -> None:
        """That one of `waiting` is over before is a mistake."""
        begun = asyncio.ensure_future(self._has_begun.wait())
        await asyncio.wait([begun, *waiting], return_when=asyncio.FIRST_COMPLETED)
        assert [each for each in waiting if each.done()] == []


@pytest.fixture
async def held_up(store: SqliteStore, shop: int, on_sync: OnSync) -> AsyncIterator[HeldUp]:
    sync = HeldUp()
    on_sync(sync)
    yield sync
    sync.goes_on.set()


def due(store: SqliteStore, endpoint: int) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(store.due(endpoint, NOW_MS, [], TEN_OF_EACH, NO_BOUND))


async def test_nobody_is_told_before_the_sync_has_returned_and_who_only_looks_need_not_wait(
    store: SqliteStore, held_up: HeldUp
):
    told: list[object] = []
    store.announce(lambda owed, _complete: told.extend(owed))
    store.watch_commits(told.append)
    store.watch_payments(lambda *payment: told.append(payment))
    made = event(payment_id="pi_1")
    appended = asyncio.ensure_future(store.append(made))
    await held_up.begun(appended)
    assert await store.event(made.key, made.salt) is not None, "it was committed, and the sync is what is waited for"
    assert (appended.done(), told) == (False, [])
    held_up.goes_on.set()
    assert (await appended).status == "accepted"
    assert len(told) == 3


class Door:
    """The lock of the commit, and a note of whoever comes to it."""

    def __init__(self, lock: Any) -> None:
        self._loop, self._lock = asyncio.get_running_loop(), lock
        self.came: asyncio.Queue[None] = asyncio.Queue()

    def __enter__(self) -> None:
        self._loop.call_soon_threadsafe(self.came.put_nowait, None)
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


@pytest.mark.parametrize("error", [None, OSError(errno.EIO, "Input/output error")])
async def test_the_dispatcher_is_shown_what_is_being_synced_only_once_it_is(
    store: SqliteStore, shop: int, held_up: HeldUp, error: OSError | None
):
    """It would post to a merchant what a power cut could still take away."""
    store._writer.wal._being_committed = door = Door(store._writer.wal._being_committed)  # type: ignore[assignment]
    made = event()
    appended = asyncio.ensure_future(store.append(made))
    await held_up.begun(appended)
    assert await store.event(made.key, made.salt) is not None
    await door.came.get()
    reading, waits = due(store, shop), asyncio.ensure_future(door.came.get())
    await asyncio.wait([reading, waits], return_when=asyncio.FIRST_COMPLETED)
    assert not reading.done()
    held_up.error = error
    held_up.goes_on.set()
    if error is None:
        assert [each.event.key for each in (await reading).due] == [made.key]
        await appended
        return
    for each in (reading, due(store, shop), appended):
        with pytest.raises(StoreBrokenError):
            await each


async def test_what_the_dispatcher_reads_is_as_it_was_when_its_read_began(store: SqliteStore, held_up: HeldUp):
    has_begun, goes_on = asyncio.Event(), Signal()
    loop = asyncio.get_running_loop()

    def read(connection: Any) -> int:
        loop.call_soon_threadsafe(has_begun.set)
        goes_on.wait()
        (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        return int(events)

    reading = asyncio.ensure_future(store._due_reader.run(store._writer.wal.shown(read)))
    await has_begun.wait()
    made = event()
    appended = asyncio.ensure_future(store.append(made))
    try:
        await held_up.begun(appended)
        assert await store.event(made.key, made.salt) is not None
    finally:
        goes_on.set()
    assert await reading == 0
    held_up.goes_on.set()
    await appended


@pytest.mark.fault(5)
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
async def test_after_a_sync_that_failed_all_who_wait_hear_so_and_nothing_is_accepted(
    store: SqliteStore, held_up: HeldUp, number: int
):
    """Also when the disk is only full: what the kernel could not write, it may have dropped."""
    waiting = [asyncio.ensure_future(store.append(event())) for _ in range(300)]
    await held_up.begun(*waiting)
    held_up.error = OSError(number, os.strerror(number))
    held_up.goes_on.set()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {StoreBrokenError}
    assert isinstance(store.broken, StoreBrokenError)
    held_up.error = None
    with pytest.raises(StoreBrokenError, match="could not be synced"):
        await store.append(event())


async def test_a_commit_has_one_sync_of_the_wal_and_no_more(store: SqliteStore, shop: int, on_sync: OnSync):
    synced: list[str] = []

    def noted(descriptor: int) -> None:
        fdatasync(descriptor)
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    on_sync(noted)
    for _ in range(5):
        await store.append(made := event())
    await store.settle(delivered(made.key, shop))
    await store.set_endpoint_state("shop", "paused")
    assert synced == ["webhookd.db-wal"] * 7


async def test_what_was_committed_before_the_rest_of_a_batch_failed_is_synced_before_it_is_shown(
    store: SqliteStore, shop: int, on_sync: OnSync
):
    synced: list[int] = []

    def noted(descriptor: int) -> None:
        fdatasync(descriptor)
        synced.append(descriptor)

    def fails() -> None:
        assert store._writer.wal._being_committed.locked()
        raise ArithmeticError

    on_sync(noted)
    with pytest.raises(ArithmeticError):
        await store._writer.run(lambda _connection: store._writer.wal.commit(fails))
    assert len(synced) == 1


async def _removed(wal: Path) -> None:
    wal.unlink()


async def _moved(wal: Path) -> None:
    wal.rename(wal.with_name("elsewhere"))


async def _replaced(wal: Path) -> None:
    shutil.copy(wal, copy := wal.with_name("copy"))
    copy.rename(wal)


@pytest.mark.fault(15)
@pytest.mark.parametrize("mishap", [_removed, _moved, _replaced])
async def test_a_wal_that_is_no_longer_in_its_place_is_a_broken_store(tmp_path: Path, mishap: Any):
    """SQLite would go on writing to it, and a restart would not find it."""
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.append(event())
    await mishap(tmp_path / "webhookd.db-wal")
    with pytest.raises(StoreBrokenError):
        await store.append(event())
    assert store.broken is not None
    await store.close()


async def test_what_a_process_left_that_died_before_its_sync_is_synced_before_anybody_reads_it(
    tmp_path: Path, store: SqliteStore, shop: int, on_sync: OnSync
):
    """The kernel has it, so that it is found; the disk may not, and a copy of the event would be answered 200."""
    await store.append(made := event())
    (left := tmp_path / "left").mkdir()
    for name in ("webhookd.db", "webhookd.db-wal"):
        copied(tmp_path / name, left)

    def fails(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    on_sync(fails)
    again = SqliteStore(left / "webhookd.db")
    with pytest.raises(StoreBrokenError):
        await again.open()
    on_sync(fdatasync)
    await again.open()
    assert [each.event.key for each in (await due(again, shop)).due] == [made.key]
    await again.close()


async def test_a_closed_store_holds_no_file_open_and_can_be_opened_again(tmp_path: Path):
    for _ in range(3):
        store = SqliteStore(tmp_path / "webhookd.db")
        await store.open()
        assert (await store.append(event())).status == "accepted"
        await store.close()
        held = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
        assert not [each for each in held if each.startswith(str(tmp_path))]
    assert {each.name for each in tmp_path.iterdir()} == {"webhookd.db"}


async def test_through_a_symbolic_link_the_wal_is_where_sqlite_has_it(tmp_path: Path):
    (there := tmp_path / "there").mkdir()
    (there / "webhookd.db").touch(mode=0o600)
    (link := tmp_path / "webhookd.db").symlink_to(there / "webhookd.db")
    store = SqliteStore(link)
    await store.open()
    assert (await store.append(event())).status == "accepted"
    await store.close()


async def test_where_there_is_no_fdatasync_sqlite_syncs_every_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(os, "fdatasync")
    store = SqliteStore(tmp_path / "webhookd.db")
    await store.open()
    await store.unlock(SEAL)
    [endpoint] = await store.adopt([spec()], NOW_MS)
    await store.append(made := event())
    assert await store._writer.query("PRAGMA synchronous") == [(2,)]
    assert [each.event.key for each in (await due(store, endpoint.number)).due] == [made.key]
    await store.close()


class Shadow:
    """What a power cut would leave: of every sync a copy as of then, and nothing of what was written since."""

    def __init__(self, database: Path, directory: Path) -> None:
        self._database = database
        self._directory = directory
        self.syncs = 0
        self.wals: set[bytes] = set()
        """The salts of each WAL's header: a WAL that is begun anew has others."""
        self._answered: dict[int, list[tuple[str, object]]] = defaultdict(list)

    def synced(self, descriptor: int) -> None:
        fdatasync(descriptor)
        copy = self._directory / str(self.syncs + 1)
        copy.mkdir(parents=True)
        for suffix in ("", "-wal"):
            copied(self._database.with_name(f"{self._database.name}{suffix}"), copy)
        self.wals.add((copy / f"{self._database.name}-wal").read_bytes()[16:24])
        self.syncs += 1

    def answered(self, sql: str, parameter: object) -> None:
        """Just now: if the power fails in this moment, this must be found."""
        self._answered[self.syncs].append((sql, parameter))

    def lost(self) -> list[tuple[int, object]]:
        """Each answer that is not in what a power cut would have left in its moment."""
        lost = []
        for sync, answers in self._answered.items():
            if not sync:
                return [(0, parameter) for _, parameter in answers]
            with closing(open_alone(self._directory / str(sync) / self._database.name)) as found:
                lost += [(sync, each[1]) for each in answers if found.execute(each[0], each[1:]).fetchone() != (1,)]
                assert found.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return lost


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_was_answered_is_there_after_a_power_cut_in_that_moment(
    tmp_path: Path, on_sync: OnSync, monkeypatch: pytest.MonkeyPatch, seed: int
):
    monkeypatch.setattr(durable, "CHECKPOINT_FRAMES", 30)
    dice, path = random.Random(seed), tmp_path / "data" / "webhookd.db"
    path.parent.mkdir()
    shadow = Shadow(path, tmp_path / "shadow")
    on_sync(shadow.synced)
    specs: list[EndpointSpec] = [spec()]

    async def append() -> int:
        made = event(body=dice.randbytes(dice.randrange(1, 20_000)))
        await store.append(made)
        shadow.answered("SELECT count(*) FROM event WHERE key = ?", made.key)
        return made.key

    async def append_what_is_refused() -> None:
        """The batch that it is in is made again, write by write."""
        with pytest.raises(driver.IntegrityError):
            await store.append(event(sha256=b"too short"))

    async def append_and_settle() -> None:
        key = await append()
        await store.settle(delivered(key, shop))
        shadow.answered("SELECT count(*) FROM attempt WHERE event = ?", key)

    async def adopt(name: str) -> None:
        specs.append(spec(name, sources=("none",)))
        await store.adopt(specs, NOW_MS)
        shadow.answered("SELECT count(*) FROM endpoint WHERE name = ?", name)

    moves = (append, append_and_settle, append_what_is_refused)
    for opening in range(2):
        store = SqliteStore(path)
        await store.open()
        await store.unlock(SEAL)
        [endpoint, *_] = await store.adopt(specs, NOW_MS)
        shop = endpoint.number
        for turn in range(12):
            doing: list[Any] = [dice.choice(moves)() for _ in range(dice.randrange(1, 5))]
            await asyncio.gather(*doing, *([adopt(f"shop-{opening}-{turn}")] if turn % 4 == 0 else []))
            if turn % 5 == 4:
                await store._writer.query("PRAGMA wal_checkpoint(RESTART)")
        await store.close()
    assert shadow.lost() == []
    assert len(shadow.wals) > 5, "the WAL was begun anew in between"


def delivered(key: int, endpoint: int) -> Settlement:
    return Settlement(DeliveryKey(key, endpoint), 1, Outcome(NOW_MS, 5, 200, None), False, "delivered", None, 1)


def copied(file: Path, directory: Path) -> None:
    """By another process: to open and close the database in this one would let go of SQLite's locks on it."""
    subprocess.run(["cp", file, directory], check=True)
