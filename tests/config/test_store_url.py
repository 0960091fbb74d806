"""`store.url`: which databases may be named, what is said of the others, and that its password is never shown."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.shell import run
from webhookd.config import Config, ConfigError
from webhookd.config.doubts import doubts
from webhookd.config.fixed import fixed_at_start
from webhookd.config.reader import from_table, load
from webhookd.config.value import shown
from webhookd.config.written import written

CANARY = "aHjWq8ZrT"
KEY = "0123456789abcdef0123456789abcdef"
URL = f"postgresql://me:{CANARY}@db.example:5433/app?search_path=hooks"


def store(environment: dict[str, str] | None = None, **settings: Any) -> Config:
    return from_table({"store": {"key": KEY, **settings}}, "file", environment or {})


def mistakes(environment: dict[str, str] | None = None, **settings: Any) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        store(environment, **settings)
    return refused.value.mistakes


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me@127.0.0.1/app",
        "postgres://me:p%40ss%2Fw%3Ard%25@db.example/app",
        "postgresql://me:a:b@db.example/app",
        "postgresql://me@[::1]:5432/app",
        "postgresql://me@one.example:5432,two.example:5433/app?target_session_attrs=primary",
        "postgresql:///app",
        "postgresql://%2Frun%2Fpostgresql/app",
        "postgresql://me@/app?host=/run/postgresql&search_path=hooks_2",
        "postgresql://db.example?dbname=app&user=me&sslmode=verify-full&sslrootcert=/etc/passwd",
        "postgresql://?service=webhookd",
    ],
)
def test_a_database_of_postgresqls_may_be_named_in_any_of_its_ways(url: str):
    given = store(url=url).store.url
    assert (given.url.reveal(), given.file) == (url, None)


FORM = "is not postgresql://user:password@host:port/database"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://me@db.example/app", 'must be "sqlite:" and a plain file name'),
        ("postgresql+asyncpg://me@db.example/app", '"postgresql://user@host/database"'),
        ("postgresql:app", '"postgresql://user@host/database"'),
        ("postgresql://me@db.example", "names no database"),
        ("postgresql://me@db.example/", "names no database"),
        (f"postgresql://me:{CANARY}@ss@db.example/app", FORM),
        (f"postgresql://me:{CANARY}/1@db.example/app", FORM),
        (f"postgresql://me:{CANARY}#1@db.example/app", FORM),
        (f"postgresql://me:1{CANARY}?1@db.example/app", FORM),
        (f"postgresql://me:12/{CANARY}@db.example/app", FORM),
        (f"postgresql://me:12?{CANARY}@db.example/app", FORM),
        ("postgresql://me@db.example/app?search_path", "has something else after its ?"),
        (f"postgresql://me:100%{CANARY}%@db.example/app", FORM),
        (f"postgresql://me:{CANARY} x@db.example/app", FORM),
        ("postgresql://me@db.example:65536/app", FORM),
        ("postgresql://me@db.example:x/app", FORM),
        ("postgresql://me@db.example/app?port=x", "port= that is no number"),
        ("postgresql://me@db.example/app?search_path=hooks,public", "several schemas"),
        ("postgresql://me@db.example/app?search_path=Hooks", "search_path= that is no name of a schema"),
        ("postgresql://me@db.example/app?search_path=pg_hooks", "search_path= that is no name of a schema"),
        (f"postgresql://me@db.example/app?search_path={'x' * 64}", "search_path= that is no name of a schema"),
        ("postgresql://me@db.example/app?sslmode=on", "sslmode= that is none of disable, allow"),
        ("postgresql://me@db.example/app?sslrootcert=/nowhere/ca.pem", "a file with sslrootcert= that cannot be read"),
        ("postgresql://me@db.example/app?channel_binding=require", "leave channel_binding= out"),
        ("postgresql://me:********@db.example/app", "is masked"),
    ],
)
def test_what_names_no_database_is_refused_in_one_sentence_that_quotes_nothing(url: str, said: str):
    [only] = mistakes(url=url)
    assert only.startswith("file: store.url: ")
    assert said in only
    assert CANARY not in only


RAW = st.text(st.sampled_from("@:/?#%&=,[]ab12 \t\x00é"), max_size=6)


@given(RAW, RAW, st.sampled_from(["/app", "", "/app?search_path=a", "/app?password={}", "?dbname=app&sslpassword={}"]))
@example("", "", "/app")
@example("1/", "", "/app")
@example("1?dbname=", "", "/app")
def test_whatever_is_in_a_password_nothing_that_is_printed_shows_it(before: str, after: str, rest: str):
    url = f"postgresql://me:{before}{CANARY}{after}@db.example{rest.format(CANARY)}"
    try:
        config = store(url=url)
    except ConfigError as error:
        printed = [str(error)]
    else:
        printed = [written(config, {}), str(shown(config)), repr(config), str(list(doubts(config)))]
    assert CANARY not in "".join(printed)


def test_of_a_url_all_is_shown_but_its_password():
    assert store(url=URL).store.url.shown == "postgresql://me:********@db.example:5433/app?search_path=hooks"
    assert store(url="sqlite:other.db").store.url.shown == "sqlite:other.db"


def test_a_url_that_was_shown_with_stars_is_not_taken_for_one():
    [only] = [each for each in mistakes(**tomllib.loads(written(store(url=URL), {}))["store"]) if "url" in each]
    assert "is masked" in only


@pytest.mark.parametrize("way", ["env", "file", "credential"])
def test_the_whole_url_may_come_from_where_secrets_come_from_and_only_that_is_shown(tmp_path: Path, way: str):
    (tmp_path / "url").write_text(f"{URL}\n")
    (tmp_path / "url").chmod(0o600)
    named = {"env": "env:DATABASE_URL", "file": f"file:{tmp_path}/url", "credential": "credential:url"}[way]
    environment = {"DATABASE_URL": URL, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = store(environment, url=named)
    assert (config.store.url.url.reveal(), config.store.url.shown) == (URL, named)
    text = written(config, {})
    assert f'url = "{named}"' in text
    assert "db.example" not in text


def test_what_a_reference_names_is_judged_like_what_stands_there():
    [only] = mistakes({"DATABASE_URL": f"postgres://me:{CANARY}@db.example"}, url="env:DATABASE_URL")
    assert "store.url: names no database" in only
    [only] = mistakes({}, url="env:DATABASE_URL")
    assert "the environment variable DATABASE_URL is not set" in only


def test_the_url_may_come_from_the_environment_and_a_mistake_in_it_names_the_variable(tmp_path: Path):
    file = tmp_path / "webhookd.toml"
    file.write_text(f'[store]\nkey = "{KEY}"\n')
    assert load(file, environment={"WEBHOOKD_STORE__URL": URL}).store.url.url.reveal() == URL
    with pytest.raises(ConfigError) as refused:
        load(file, environment={"WEBHOOKD_STORE__URL": f"postgresql://me:{CANARY}@db.example"})
    assert refused.value.mistakes == [
        "WEBHOOKD_STORE__URL: store.url: names no database: postgresql://user@host/database"
    ]


def test_a_mistake_has_its_line(tmp_path: Path):
    file = tmp_path / "webhookd.toml"
    file.write_text('[server]\ndata_dir = "x"\n\n[store]\ncheckpoint = "external"\nurl = "postgres://db.example/a,b"\n')
    with pytest.raises(ConfigError) as refused:
        load(file, environment={})
    assert [(each.line, each.key) for each in refused.value.found] == [(4, "store.key"), (5, "store.checkpoint")]
    file.write_text(f'[store]\nkey = "{KEY}"\nurl = "postgresql://db.example"\n')
    with pytest.raises(ConfigError) as refused:
        load(file, environment={})
    assert [(each.line, each.key) for each in refused.value.found] == [(3, "store.url")]


def test_with_postgresql_the_key_to_the_secrets_has_to_be_given():
    with pytest.raises(ConfigError, match=r"store\.key: is missing: .*openssl rand"):
        from_table({"store": {"url": URL}}, "file", {})
    assert from_table({"store": {"url": "sqlite:webhookd.db"}}, "file", {}).store.key is None


def test_a_key_that_cannot_be_read_is_not_called_missing_too():
    [only] = mistakes(url=URL, key="env:NOT_THERE")
    assert "NOT_THERE is not set" in only


def test_what_only_a_file_of_sqlites_has_is_refused():
    assert "store.checkpoint: is for SQLite's file" in mistakes(url=URL, checkpoint="external")[0]
    store(url=URL, checkpoint="own")  # as `config show` writes it


def test_a_driver_that_is_not_installed_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("webhookd.config.checks.find_spec", lambda name: None if name == "asyncpg" else object())
    [only] = mistakes(url=URL)
    assert only == "file: store.url: needs what is not installed: pip install 'webhookd[postgres]'"
    store(url="sqlite:webhookd.db")


@pytest.mark.parametrize(
    ("url", "doubted"),
    [
        ("postgresql://me@db.example/app", True),
        ("postgresql://me@db.example/app?sslmode=prefer", True),
        ("postgresql://me@127.0.0.1,db.example/app", True),
        ("postgresql:///app?host=db.example", True),
        ("postgresql://me@db.example/app?sslmode=require", False),
        ("postgresql://me@db.example/app?sslmode=verify-full", False),
        ("postgresql://me@127.0.0.1/app", False),
        ("postgresql://me@localhost:5432,[::1]:5433/app", False),
        ("postgresql:///app?host=/run/postgresql", False),
        ("postgresql:///app", False),
        ("sqlite:webhookd.db", False),
    ],
)
def test_a_way_to_the_database_that_others_may_listen_on_is_warned_of(url: str, doubted: bool):
    assert ("store.url" in dict(doubts(store(url=url)))) is doubted


def test_another_reference_to_the_same_url_needs_no_restart():
    before, after = store(url=URL), store({"DATABASE_URL": URL}, url="env:DATABASE_URL")
    assert fixed_at_start(before)["store.url"] == fixed_at_start(after)["store.url"]
    assert fixed_at_start(before)["store.url"] != fixed_at_start(store(url=f"{URL}_2"))["store.url"]


@pytest.mark.parametrize("role", ["receive", "dispatch"])
def test_a_node_that_shares_the_log_with_nobody_has_to_do_all_of_the_work(tmp_path: Path, role: str):
    file = tmp_path / "webhookd.toml"
    file.write_text(f'[server]\nrole = "{role}"\n')
    with pytest.raises(ConfigError) as refused:
        load(file, environment={})
    assert [(each.line, each.key) for each in refused.value.found] == [(2, "server.role")]
    assert load(file, environment={}, sections=("server",)).server.role == role, "who reads no [store] cannot say"
    file.write_text(f'[server]\nrole = "{role}"\n[store]\nurl = "{URL}"\nkey = "{KEY}"\n')
    assert load(file, environment={}).server.role == role


async def test_the_commands_show_no_password(tmp_path: Path):
    (tmp_path / "webhookd.toml").write_text(f'[store]\nurl = "{URL}"\nkey = "{KEY}"\n')
    for verb in (["config", "show"], ["config", "show", "--json"], ["config", "check", "--json"]):
        ended = await run(*verb, cwd=tmp_path)
        assert ended.code == 0, ended.err
        assert CANARY not in ended.out + ended.err
    for verb in (["backup", "x.db"], ["migrate"]):
        ended = await run(*verb, cwd=tmp_path)
        assert ended.code == 2
        assert "the store is in PostgreSQL (postgresql://me:********@db.example:5433/app" in ended.err
        assert CANARY not in ended.out + ended.err
