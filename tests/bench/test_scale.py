"""The long logs of bench/scale.py are what a daemon would have made; and what is judged of a measurement."""

import asyncio
import random
import shutil
from contextlib import asynccontextmanager, closing

import msgspec
import pytest
from rich.progress import Progress

from bench.rig import longlog, shelf, steady, trial
from bench.rig.backlog import settle
from bench.rig.daemon import ask, configure, daemon, database_of
from bench.rig.hooks import SECRET
from bench.rig.longlog import Recipe, make, run_of
from bench.rig.merchant import listen, port_of
from bench.rig.shelf import EMPTY, SOURCES, Log, Shelf
from bench.rig.trial import Measured, Stand, Work
from bench.rig.verify import verify
from bench.scale import figures, measure, promises
from webhookd.core.identifier import SALT_BITS, KeyMint
from webhookd.core.secret import Secret
from webhookd.providers import PROVIDERS
from webhookd.providers.provider import Credentials
from webhookd.receive.intake import Intake, Source
from webhookd.store.sqlite.connection import open_alone
from webhookd.store.sqlite.store import SqliteStore

QUIET = Progress(disable=True)
DELIVERED = Recipe("shop", 50, "dated", 1_750_000_000_000, delivered=True)
WAITING = msgspec.structs.replace(DELIVERED, source="dead", ids="scattered", delivered=False)
MEASURED = Measured(
    ready_s=0.5,
    rest_mb=60,
    most_mb=90,
    receive_per_s=1_000,
    end_to_end_per_s=500,
    latencies_ms=[1.0, 2.0, 3.0],
    lag_p99_ms=1,
)


def merchants(shop=20_009):
    """At 20009 there is nobody."""
    return "".join(
        f'[endpoints.{name}]\nurl = "http://127.0.0.1:{port}/"\nsources = ["{name}"]\n'
        for name, port in (("shop", shop), ("dead", 20_009))
    )


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A data directory in which the endpoints are, and nothing else."""
    config = configure(tmp_path_factory.mktemp("empty"), merchants(), sources=SOURCES)

    async def start() -> None:
        async with daemon(config):
            pass

    asyncio.run(start())
    return config.parent


@pytest.mark.parametrize("recipe", [DELIVERED, WAITING], ids=["delivered", "waiting"])
async def test_a_log_that_was_made_is_row_by_row_what_is_taken_in_and_nothing_is_wrong_with_it(
    empty, tmp_path, monkeypatch, recipe
):
    monkeypatch.setattr(longlog, "TOGETHER", 16)
    made, taken_in = (shutil.copytree(empty, tmp_path / name) / "webhookd.toml" for name in ("made", "taken in"))
    random.seed(1)
    await make(database_of(made), recipe, QUIET)
    random.seed(1)
    await take_in(taken_in, recipe)
    assert rows(made) == rows(taken_in)
    assert await verify(made) == []
    state = ("delivered", recipe.count, 1) if recipe.delivered else ("pending", recipe.count, 0)
    assert await ask(made, "SELECT state, count(*), max(attempts) FROM delivery GROUP BY state") == [state]


async def take_in(config, recipe):
    """As a daemon does."""
    store = SqliteStore(database_of(config))
    await store.open()
    try:
        intake = Intake(store, KeyMint(), lambda: random.getrandbits(SALT_BITS), None)
        source = Source(recipe.source, PROVIDERS["stripe"](Credentials(secrets=(Secret(SECRET),))))
        for number in range(recipe.count):
            assert (await intake.take_in(source, recipe.hook(number))).status == "accepted"
    finally:
        await store.close()
    if recipe.delivered:
        await settle(config, recipe.source, "delivered", QUIET)


def rows(config):
    """All of a database: its schema, and what is in each table."""
    with closing(open_alone(database_of(config), read_only=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}
        found["schema"] = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
        found["space"] = connection.execute("PRAGMA auto_vacuum").fetchall()
        return found


def test_dated_ids_are_in_the_order_of_the_log_and_scattered_ones_are_not():
    dated, scattered = (
        [msgspec.json.decode(recipe.hook(number).body)["id"] for number in range(recipe.count)]
        for recipe in (DELIVERED, WAITING)
    )
    assert dated == sorted(dated)
    assert scattered != sorted(scattered)
    assert run_of(0, "a", 1_750_000_001, "dated") > run_of(9, "z", 1_750_000_000, "dated")
    assert {*map(len, dated)} == {*map(len, scattered)}
    assert len({*scattered}) == WAITING.count


@pytest.fixture
def made(monkeypatch):
    """How long the logs are that were made, in which nothing is; that of 13 events is interrupted."""
    counts = []

    @asynccontextmanager
    async def daemon(config):
        database_of(config).parent.mkdir()
        yield

    async def make(database, recipe, progress):
        database.touch()
        if recipe.count == 13:
            raise KeyboardInterrupt
        counts.append(recipe.count)

    monkeypatch.setattr(shelf, "daemon", daemon)
    monkeypatch.setattr(shelf, "make", make)
    return counts


async def test_a_log_that_is_kept_is_made_once(tmp_path, made):
    for sizes in ([1, 2], [2, 3]):
        await Shelf(tmp_path, "dated", "").make([Log(size) for size in sizes], QUIET)
    assert made == [1, 2, 3]


async def test_a_log_is_another_one_when_its_ids_are_or_when_its_deliveries_wait(tmp_path, made):
    for ids in ("dated", "scattered"):
        await Shelf(tmp_path, ids, "").make([Log(1), Log(1, is_waiting=True)], QUIET)
    assert made == [1, 1, 1, 1]


async def test_what_was_interrupted_is_no_log(tmp_path, made, monkeypatch):
    kept = Shelf(tmp_path, "dated", "")
    with pytest.raises(KeyboardInterrupt):
        await kept.make([Log(13)], QUIET)
    monkeypatch.setattr(shelf, "configure", lambda *_args, **_options: pytest.fail("it is made anew"))
    with pytest.raises(pytest.fail.Exception, match="it is made anew"):
        await kept.make([Log(13)], QUIET)


async def test_a_short_log_is_measured_in_a_copy_and_a_long_one_itself(tmp_path, made, monkeypatch):
    monkeypatch.setattr(shelf, "COPIED_EVENTS_MAX", 5)
    kept = Shelf(tmp_path, "dated", "")
    await kept.make([Log(5), Log(6)], QUIET)
    for log in (Log(5), Log(6)):
        with kept.taken_down(log) as config:
            database_of(config).write_text("grown")
    grown = [path.parent.parent.name for path in tmp_path.glob("*/data/webhookd.db") if path.read_text()]
    assert grown == ["dated-6"]


def judged(*, log=(), empty=(), is_waiting=False):
    """What is not kept, if the pairs were measured as these differ from MEASURED."""
    of_log, of_empty = ([msgspec.structs.replace(MEASURED, **each) for each in kind] for kind in (log, empty))
    found = [
        figures(EMPTY, (0, 200_000), 0.5, of_empty),
        figures(Log(1_000, is_waiting=is_waiting), (1_000, 3_000_000), 0.5, of_log, of_empty),
    ]
    return [promise.what for promise in promises(found) if not promise.kept]


def test_what_is_as_fast_and_as_small_as_asked_is_kept():
    assert judged(log=[{}], empty=[{}]) == []
    assert judged(log=[{"receive_per_s": 900, "end_to_end_per_s": 450}], empty=[{}]) == []


@pytest.mark.parametrize(
    ("worse", "what"),
    [
        ({"receive_per_s": 890}, "receive, of empty"),
        ({"end_to_end_per_s": 440}, "end to end, of empty"),
        ({"most_mb": 201}, "memory"),
        ({"ready_s": 2.1}, "ready"),
    ],
)
def test_each_promise_can_be_missed(worse, what):
    assert judged(log=[worse], empty=[{}], is_waiting=True) == [f"1,000 waiting: {what}"]


def test_memory_at_rest_is_asked_of_the_empty_log_too():
    assert judged(log=[{}], empty=[{"rest_mb": 81}]) == ["at rest, the most of all"]


def test_a_ratio_is_of_the_empty_log_that_was_measured_in_turn():
    # As the machine drifts, so do both: 0.95 in each pair, though the medians are far apart.
    drifting = [{"receive_per_s": rate} for rate in (1_000, 3_000, 500)]
    beside = [{"receive_per_s": 0.95 * rate["receive_per_s"]} for rate in drifting]
    assert judged(log=beside, empty=drifting) == []
    assert judged(log=beside, empty=[drifting[1], drifting[2], drifting[0]]) == ["1,000 events: receive, of empty"]


async def test_on_a_small_run_each_log_has_figures_and_the_empty_one_comes_first(empty, tmp_path, monkeypatch):
    monkeypatch.setattr(steady, "LAG_P99_MS_MAX", 1e6)  # the machine may be busy
    monkeypatch.setattr(trial, "REST_S", 0)
    monkeypatch.setattr(trial, "WARM_UP_S", 0)
    for name in ("scattered-0", "scattered-50-waiting"):
        shutil.copytree(empty, tmp_path / name)
    await make(database_of(tmp_path / "scattered-50-waiting" / "webhookd.toml"), WAITING, QUIET)
    stand = Stand()
    server = await listen(stand)
    work = Work("scattered", events=20, per_s=50, seconds=0.5)
    kept = Shelf(tmp_path, "scattered", merchants(port_of(server)))
    found = await measure([Log(50, is_waiting=True)], kept, stand, work, rounds=1)
    server.close()
    assert [each.log for each in found] == ["empty", "50 waiting"]
    assert [each.events for each in found] == [0, 50]
    assert [each.receive.of_empty is None for each in found] == [True, False]
    assert promises(found)
