"""An outbox among the sources: how it is configured, reloaded, listed, counted and printed."""

import json
import re
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.admin.desk import desk
from tests.daemon.merchant import merchant
from tests.dashboard.plain import plain
from tests.relay.relaying import until
from tests.relay.shop import SQL, PostgresShop, Shop, SqliteShop, source
from tests.running import STANDARD_SECRET, configuration, daemon, endpoint
from tests.shell import run
from webhookd.config.mistake import ConfigError
from webhookd.config.reader import from_table
from webhookd.config.value import shown

PASSWORD = "aHjWq8ZrT"


def mistakes(**settings: object) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        from_table({"sources": {"shop": {"provider": "outbox", **settings}}}, "", {})
    return refused.value.mistakes


URL = "sqlite:///srv/shop/shop.db"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ["sources.shop.url: is missing"]),
        ({"url": "mysql://shop"}, ['sources.shop.url: must be "sqlite:///srv/shop/shop.db" or "postgresql://']),
        ({"url": "sqlite:shop.db"}, ["sources.shop.url: must name the file with its whole path"]),
        ({"url": "sqlite:///"}, ["sources.shop.url: must name the file with its whole path"]),
        ({"url": f"postgresql://u:{PASSWORD}@h"}, ["sources.shop.url: names no database"]),
        ({"url": URL, "table": "a b"}, ["sources.shop.table: must be the name of a table"]),
        ({"url": URL, "table": "main.orders"}, ["sources.shop.table: must be the name of a table"]),
        ({"url": URL, "taken": "drop"}, ['sources.shop.taken: must be "delete" or "mark"']),
        (
            {"url": URL, "secrets": ["x"], "scheme": "hmac", "table": 7},
            [
                "sources.shop.scheme: is not a setting",
                "sources.shop.secrets: is not a setting",
                "sources.shop.table: must",
            ],
        ),
    ],
)
def test_every_mistake_is_said_at_once_and_quotes_no_password(settings: dict[str, object], said: list[str]):
    found = sorted(mistakes(**settings))
    assert [each for each, wanted in zip(found, sorted(said), strict=True) if wanted not in each] == []
    assert PASSWORD not in str(found)


def test_what_is_an_outboxs_is_no_setting_of_a_source_of_hooks():
    with pytest.raises(ConfigError) as refused:
        from_table({"sources": {"s": {"provider": "stripe", "secrets": ["x"], "url": URL, "taken": "mark"}}}, "", {})
    assert sorted(refused.value.mistakes) == [
        "sources.s.taken: is not a setting of provider stripe",
        "sources.s.url: is not a setting of provider stripe",
    ]


def test_webhookds_own_store_is_no_outbox():
    with pytest.raises(ConfigError, match=r"sources.shop.url: is webhookd's own store"):
        from_table(
            {
                "server": {"data_dir": "/srv/data"},
                "sources": {"shop": {"provider": "outbox", "url": "sqlite:///srv/data/../data/webhookd.db"}},
            },
            "",
            {},
        )


def test_a_table_is_that_of_one_source():
    two = {name: {"provider": "outbox", "url": URL} for name in ("a", "b")}
    with pytest.raises(ConfigError, match=r"sources.b.table: is that of source a"):
        from_table({"sources": two}, "", {})
    from_table({"sources": two | {"b": {"provider": "outbox", "url": URL, "table": "another"}}}, "", {})


def test_no_provider_signs_for_an_outbox():
    table = {
        "sources": {"shop": {"provider": "outbox", "url": URL}},
        "endpoints": {"a": {"url": "https://shop.example/", "signature": "provider"}},
    }
    with pytest.raises(ConfigError, match=r"endpoints.a.signature: source shop cannot be signed for: it is an outbox"):
        from_table(table, "", {})


def test_a_password_in_the_url_is_shown_as_stars():
    table = {"sources": {"shop": {"provider": "outbox", "url": f"postgresql://u:{PASSWORD}@h/d"}}}
    text = json.dumps(shown(from_table(table, "", {})))
    assert PASSWORD not in text
    assert "postgresql://u:********@h/d" in text


async def test_a_reload_adds_changes_and_removes_outboxes(tmp_path: Path, shop: Shop):
    async with merchant() as fulfilment:
        to = endpoint("fulfilment", fulfilment.port)
        file = tmp_path / "webhookd.toml"
        async with daemon(tmp_path, configuration(endpoints=to)) as running, desk(running) as operator:
            await shop.pay("pay_1")
            file.write_text(configuration(sources=source(shop), endpoints=to))
            assert (await operator.done("POST", "/reload"))["sources"]["added"] == ["shop"]
            await fulfilment.has(1)
            await until(shop, 0)
            file.write_text(configuration(sources=source(shop, taken="mark"), endpoints=to))
            assert (await operator.done("POST", "/reload"))["sources"]["changed"] == ["shop"]
            await shop.pay("pay_2")
            await until(shop, 1, "taken_at IS NOT NULL")
            file.write_text(configuration(endpoints=to))
            running.send_signal(signal.SIGHUP)
            await running.logged("reloaded", sources=2)
            async with aiohttp.ClientSession() as session:
                [*others] = [each["name"] for each in (await operator.get("/sources"))["data"]]
                assert "shop" not in others
                async with session.post(f"{running.hooks}/webhooks/shop", data=b"{}") as answer:
                    assert answer.status == 404
            await shop.pay("pay_3")
            file.write_text(configuration(sources=source(shop, taken="mark"), endpoints=to))
            await operator.done("POST", "/reload")
            await until(shop, 2, "taken_at IS NOT NULL")
            assert len(await fulfilment.has(3)) == 3


async def test_hooks_do_not_come_to_an_outbox(tmp_path: Path, shop: Shop):
    both = source(shop) + f'[sources.standard]\nprovider = "standard"\nsecrets = ["{STANDARD_SECRET}"]\n'
    async with daemon(tmp_path, configuration(sources=both)) as running, aiohttp.ClientSession() as session:
        answers = []
        for name in ("shop", "nobody"):
            async with session.post(f"{running.hooks}/webhooks/{name}", data=b"{}") as answer:
                answers.append((answer.status, await answer.json()))
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


async def test_an_outbox_is_listed_counted_and_shown(tmp_path: Path, shop: Shop):
    config = configuration(sources=source(shop), endpoints=endpoint("fulfilment", 9999))
    async with daemon(tmp_path, config) as running, desk(running) as operator:
        await running.logged("outbox_follows")
        await shop.pay("pay_1", "pay_2")
        await until(shop, 0)
        [its] = (await operator.get("/sources"))["data"]
        assert (its["name"], its["provider"], its["path"], its["secrets"]) == ("shop", "outbox", None, [])
        assert (its["accepted"], its["last_event_at"] is not None) == (2, True)
        assert its["outbox"] == {"state": "follows", "why": None, "waiting": 0, "oldest_at": None}
        text = await operator.metrics()
        for line in (
            'webhookd_hooks_total{result="accepted",source="shop"} 2.0',
            'webhookd_outbox_waiting_rows{source="shop"} 0.0',
            'webhookd_outbox_oldest_seconds{source="shop"} 0.0',
            'webhookd_outbox_state{source="shop",state="follows"} 1.0',
            'webhookd_facts_total{kind="payment",provider="outbox",status="captured"} 2.0',
        ):
            assert line in text, line
        assert "webhookd_unknown_types_total{" not in text
        listed = await run("sources", cwd=tmp_path)
        assert re.search(r"shop +outbox +follows", listed.out)
        for filters in ({"provider": "outbox"}, {"source": "shop"}):
            assert len((await operator.get("/events", **filters))["data"]) == 2
        assert len((await operator.get("/payments", provider="outbox"))["data"]) == 2
        verified = await run("verify", cwd=tmp_path)
        assert verified.code == 0, f"what is read again reads as it came: {verified.out}{verified.err}"
        assert (await run("ledger", "rebuild", cwd=tmp_path)).code == 0
        refused = await run("reconcile", "shop", "--from", "/dev/null", cwd=tmp_path)
        assert refused.code != 0


async def test_the_pages_show_an_outbox_and_nothing_of_secrets_for_it(tmp_path: Path):
    nowhere = '[sources.shop]\nprovider = "outbox"\nurl = "sqlite:///nowhere/shop.db"\n'
    async with daemon(tmp_path, configuration(sources=nowhere)) as running, plain(running) as visitor:
        await running.logged("outbox_waits")
        overview = await visitor.get("/")
        assert "outbox waits: /nowhere/shop.db: No such file or directory" in overview.words
        assert "Rows of shop are not taken. They stay in the application's table. /nowhere/shop.db" in overview.words
        assert "The first row that your application commits" in overview.words
        assert (await visitor.get("/refused")).status == 200
        assert (await visitor.get("/refused/sources/shop")).status == 404
        assert "outbox" in (await visitor.get("/payments")).text


async def test_a_password_is_in_no_line_of_the_log(tmp_path: Path):
    url = f"postgresql://shop:{PASSWORD}@127.0.0.1:1/shop"
    config = configuration(sources=f'[sources.shop]\nprovider = "outbox"\nurl = "{url}"\n')
    async with daemon(tmp_path, config) as running, desk(running) as operator:
        await running.logged("outbox_waits")
        assert PASSWORD not in json.dumps(await operator.get("/sources"))
        await running.stop()
        assert PASSWORD not in json.dumps(running.log)


async def test_the_sql_is_printed_and_a_table_is_looked_at(tmp_path: Path, shop: Shop):
    engine = "sqlite" if isinstance(shop, SqliteShop) else "postgres"
    printed = await run("outbox", "sql", "--engine", engine, cwd=tmp_path)
    assert (printed.code, printed.out) == (0, (SQL / f"{engine}.sql").read_text())
    assert (await run("outbox", "sql", "--engine", engine, "--json", cwd=tmp_path)).json["sql"] == printed.out
    (tmp_path / "webhookd.toml").write_text(configuration(sources=source(shop)))
    looked = await run("outbox", "check", cwd=tmp_path)
    assert (looked.code, looked.out) == (0, "shop: webhookd_outbox can be used\n")
    await shop.ask("ALTER TABLE webhookd_outbox RENAME COLUMN refused TO rejected")
    looked = await run("outbox", "check", "--json", cwd=tmp_path)
    assert (looked.code, looked.json["data"][0]["right"]) == (1, False)
    assert "column refused is missing" in looked.err


async def test_a_table_is_looked_at_while_a_daemon_takes_from_it(tmp_path: Path, postgres):
    shop = await PostgresShop(postgres, "looked_at").make()
    async with daemon(tmp_path, configuration(sources=source(shop))) as running:
        await running.logged("outbox_follows")
        assert (await run("outbox", "check", cwd=tmp_path)).code == 0
