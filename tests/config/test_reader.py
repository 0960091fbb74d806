"""The configuration: what may be said in it, and what happens when it is said wrongly."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookd.config import Config, ConfigError, load
from webhookd.config.model import EndpointSettings, SourceSettings
from webhookd.config.reader import find, from_table
from webhookd.config.store_url import StoreUrl
from webhookd.config.value import shown
from webhookd.core.secret import Secret

SHIPPED = Path(__file__).parents[2] / "webhookd.toml"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SOURCE = '[sources.stripe]\nprovider = "stripe"\nsecrets = ["whsec_1"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "webhookd.toml"


def read(file: Path, text: str, environment: Mapping[str, str] | None = None, **server: str | None) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, server, environment or {})


def mistakes(file: Path, text: str, environment: Mapping[str, str] | None = None, **server: str | None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(file, text, environment, **server)
    return [re.sub(r"(?<=\.toml):\d+: ", ": ", line) for line in refused.value.mistakes]  # the lines: see test_mistakes


def mistake(file: Path, text: str, environment: Mapping[str, str] | None = None) -> str:
    (only,) = mistakes(file, text, environment)
    return only


# --- The shipped file


def test_the_shipped_file_says_the_built_in_defaults() -> None:
    assert load(SHIPPED, {}, {}) == Config()


def test_the_shipped_file_names_every_setting_there_is() -> None:
    table = tomllib.loads(_uncommented())
    defaults = msgspec.to_builtins(Config(), enc_hook=str)
    for section in ("server", "store", "delivery", "retention"):
        assert table[section].keys() == defaults[section].keys()
    sources, (endpoint,) = table["sources"].values(), table["endpoints"].values()
    assert {name for source in sources for name in source} == set(SourceSettings.__struct_fields__)
    assert endpoint.keys() == set(EndpointSettings.__struct_fields__)


EXAMPLES_ENVIRONMENT = {
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "FULFILLMENT_SECRET": STANDARD_SECRET,
    "FULFILLMENT_SECRET_OLD": STANDARD_SECRET,
    "SHOP_TOKEN": "Bearer x",
    "SHOP_DATABASE": "sqlite:///srv/shop/shop.db",
    "FLW_SECRET_HASH": "x",
    "PAYPAL_WEBHOOK_ID": "4JH86294D6297924G",
    "PAYPAL_CLIENT_ID": "x",
    "PAYPAL_CLIENT_SECRET": "x",
}


def _uncommented() -> str:
    """The file as somebody would have it who takes the `# ` from all that is a table or a setting."""
    return re.sub(r"(?m)^# (?=\[[a-z]|[a-z_]+ = )", "", SHIPPED.read_text(encoding="utf-8"))


def _without_files() -> str:
    """Without the settings that are files, and a systemd credential: nobody here has them."""
    return re.sub(r"(?m)^(authorities|ca|client_certificate|client_key|key) = .*$", "", _uncommented())


def test_the_commented_examples_of_the_shipped_file_are_right(file: Path) -> None:
    config = read(file, _without_files(), EXAMPLES_ENVIRONMENT)
    assert list(config.sources) == ["stripe-live", "flw", "paypal", "shop"]
    assert list(config.endpoints) == ["fulfillment"]


def test_the_commented_examples_show_the_defaults_where_they_say_so(file: Path) -> None:
    endpoint = read(file, _without_files(), EXAMPLES_ENVIRONMENT).endpoints["fulfillment"]
    defaults = EndpointSettings("https://shop.example/")
    for name in ("max_in_flight", "allow_http", "ordering", "signature"):
        assert getattr(endpoint, name) == getattr(defaults, name)


def test_an_empty_file_means_the_defaults(file: Path) -> None:
    assert read(file, "") == Config()


# --- Mistakes

EVERYTHING_WRONG = """
colour = "green"

[server]
listne = "127.0.0.1:1"
max_body = "1 megabyte"

[delivery]
jitter = 2
schedule = ["0s", "soon"]
allow_networks = ["everywhere"]

[sources.shop]
provider = "strype"
secrets = ["env:NOT_SET", "file:/nowhere"]

[sources.other]
provider = "standard"
secrets = ["short"]

[endpoints.one]
url = "ftp://shop.example/"
sources = ["nowhere"]
events = ["charge [refunded]"]
max_in_flight = 0

[endpoints.two]
secret = "whsec_x"

[endpoints.TWO]
url = "https://shop.example/"
"""


def test_all_mistakes_are_said_at_once_each_with_file_key_and_reason(file: Path) -> None:
    found = mistakes(file, EVERYTHING_WRONG)
    expected = {
        "colour": "is not a setting",
        "server.listne": "did you mean listen?",
        "server.max_body": "1 megabyte",
        "delivery.jitter": "must be a number from 0 to 1, not 2",
        "delivery.schedule[1]": "soon",
        "delivery.allow_networks": "everywhere",
        "sources.shop.provider": "must be one of stripe, standard",
        "sources.shop.secrets[0]": "NOT_SET is not set",
        "sources.shop.secrets[1]": "nowhere cannot be read",
        "sources.other.secrets": "Standard Webhooks secret",
        "endpoints.one.url": "must begin with https://",
        "endpoints.one.sources": 'there is no source "nowhere"',
        "endpoints.one.events": "is not an event glob",
        "endpoints.one.max_in_flight": "must be a whole number from 1 to 10000, not 0",
        "endpoints.two.url": "is missing",
        "endpoints.two.secret": "Standard Webhooks secret",
        "endpoints.TWO": "a-z, 0-9",
    }
    said = dict(line.removeprefix(f"{file}: ").split(": ", 1) for line in found)
    assert all(line.startswith(f"{file}: ") for line in found)
    assert said.keys() == expected.keys()
    for key, reason in expected.items():
        assert reason in said[key], key
    assert len(found) == len(expected)


def test_mistakes_come_in_the_order_of_the_file(file: Path) -> None:
    text = "[server]\n" + "\n".join(f"unknown_{number} = 1" for number in range(20))
    assert mistakes(file, text) == [f"{file}: server.unknown_{number}: is not a setting" for number in range(20)]


@pytest.mark.parametrize(
    ("text", "key", "meant"),
    [
        ("[sever]\n", "sever", "server"),
        ("[server]\nmaxbody = 1", "server.maxbody", "max_body"),
        ("[delivery]\nshedule = []", "delivery.shedule", "schedule"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = ["x"]\nsecret = "y"', "sources.a.secret", "secrets"),
        ('[endpoints.a]\nurl = "https://a.example/"\nevent = []', "endpoints.a.event", "events"),
    ],
)
def test_a_misspelt_key_is_answered_with_the_one_that_was_meant(file: Path, text: str, key: str, meant: str) -> None:
    said = mistake(file, text)
    assert said.startswith(f"{file}: {key}: is not a setting")
    assert said.endswith(f"did you mean {meant}?")


def test_a_key_like_nothing_there_is_gets_no_suggestion(file: Path) -> None:
    assert mistake(file, "[server]\nzzz = 1") == f"{file}: server.zzz: is not a setting"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("server = 5", "server"),
        ("sources = []", "sources"),
        ("[sources]\nstripe = 5", "sources.stripe"),
        ("[server]\nlisten = 8080", "server.listen"),
        ('[server]\nlisten = "8080"', "server.listen"),
        ('[server]\nlisten = "127.0.0.1:99999"', "server.listen"),
        ('[server]\nlisten = ":8080"', "server.listen"),
        ("[server]\ndata_dir = 5", "server.data_dir"),
        ("[server]\nmax_body = 1048576", "server.max_body"),
        ('[server]\nmin_free = "1 GiB"', "server.min_free"),
        ('[store]\nurl = "postgresql://x"', "store.url"),
        ('[store]\nurl = "sqlite:"', "store.url"),
        ("[delivery]\nschedule = []", "delivery.schedule"),
        ('[delivery]\nschedule = "5s"', "delivery.schedule"),
        ("[delivery]\nschedule = [5]", "delivery.schedule[0]"),
        ("[delivery]\njitter = -0.1", "delivery.jitter"),
        ('[delivery]\njitter = "0.2"', "delivery.jitter"),
        ('[delivery]\ntimeout = "0s"', "delivery.timeout"),
        ("[delivery]\nmax_in_flight = 1.5", "delivery.max_in_flight"),
        ("[delivery]\nmax_in_flight = true", "delivery.max_in_flight"),
        ('[delivery]\nallow_networks = ["10.0.0.1/8"]', "delivery.allow_networks"),
        ('[delivery]\nallow_networks = ["169.254.0.0/16"]', "delivery.allow_networks"),
        ('[delivery]\nallow_networks = ["fd00:ec2::254/128"]', "delivery.allow_networks"),
        ('[delivery]\nallow_networks = "10.0.0.0/8"', "delivery.allow_networks"),
        ('[delivery]\ntimeout = "99ms"', "delivery.timeout"),
        ('[delivery]\ntimeout = "301s"', "delivery.timeout"),
        ('[delivery]\ndisable_after = "0s"', "delivery.disable_after"),
        ('[delivery]\ndisable_after = "59s"', "delivery.disable_after"),
        ('[server]\nlisten = "127.0.0.1:8081"', "server.admin_listen"),
        ('[server]\nadmin_hosts = ["ok.internal", "https://webhookd.internal"]', "server.admin_hosts[1]"),
        ('[server]\nadmin_hosts = ["webhookd.internal:8081"]', "server.admin_hosts[0]"),
        ('[server]\nadmin_hosts = [""]', "server.admin_hosts[0]"),
        ('[server]\nlisten = "[::1]:9000"\nadmin_listen = "[::1]:9000"', "server.admin_listen"),
        ('[delivery]\ndisable_after = "Never"', "delivery.disable_after"),
        ("[delivery]\ndisable_after = 5", "delivery.disable_after"),
        (f"[delivery]\nschedule = {['1s'] * 101}", "delivery.schedule"),
        ('[delivery]\nproxy = "https://proxy.example:3128"', "delivery.proxy"),
        ('[delivery]\nproxy = "proxy.example:3128"', "delivery.proxy"),
        ('[delivery]\nproxy = "http://proxy.example:3128/path"', "delivery.proxy"),
        ('[delivery]\nproxy = "http://@proxy.example:3128"', "delivery.proxy"),
        ('[store]\nkey = "short"', "store.key"),
        ('[store]\nold_keys = ["0123456789abcdef0123456789abcde"]', "store.old_keys[0]"),
        ('[sources.webhookd]\nprovider = "stripe"\nsecrets = ["x"]', "sources.webhookd"),
        ('[retention]\nevents = "forever"', "retention.events"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = []', "sources.a.secrets"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = [""]', "sources.a.secrets[0]"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = ["  "]', "sources.a.secrets[0]"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = "whsec_1"', "sources.a.secrets"),
        ('[sources.a]\nprovider = "stripe"\nsecrets = [5]', "sources.a.secrets[0]"),
        ('[sources.a]\nprovider = 5\nsecrets = ["x"]', "sources.a.provider"),
        ('[sources.a]\nprovider = "stripe"', "sources.a.secrets"),
        ('[sources.a]\nsecrets = ["x"]', "sources.a.provider"),
        ('[sources."a b"]\nprovider = "stripe"\nsecrets = ["x"]', "sources.a b"),
        ('[endpoints.a]\nurl = "https://a.example/"\nallow_http = "yes"', "endpoints.a.allow_http"),
        ('[endpoints.a]\nurl = "https://a.example/"\nevents = "charge.*"', "endpoints.a.events"),
        ('[endpoints.a]\nurl = "https://a.example/"\nsecret = "sk_live_1"', "endpoints.a.secret"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_under_its_key(file: Path, text: str, key: str) -> None:
    assert mistake(file, text).startswith(f"{file}: {key}: ")


def test_a_file_that_is_no_toml_is_refused_with_the_place(file: Path) -> None:
    said = mistake(file, "[server]\nlisten = \n")
    assert said.startswith(f"{file}: not TOML, at column 10: ")


def test_a_file_that_is_not_utf_8_is_refused(file: Path) -> None:
    file.write_bytes(b'[server]\ndata_dir = "\xff"\n')
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file, {}, {})


def test_a_file_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load(tmp_path / "nowhere.toml", {}, {})


def test_without_a_file_the_defaults_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if find(None) is not None:
        pytest.skip("this machine has a configuration of its own in /etc")
    assert load(None, {}, {}) == Config()


def test_a_file_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "webhookd.toml").write_text('[server]\ndata_dir = "here"\n')
    monkeypatch.chdir(tmp_path)
    assert load(None, {}, {}).server.data_dir == "here"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["server", "delivery", "sources", "endpoints", "a", "provider", "secrets", "url", "listen"])


@given(
    st.recursive(
        VALUES, lambda inner: st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=4), max_leaves=10
    ).filter(lambda value: isinstance(value, dict))
)
def test_whatever_the_file_holds_it_is_a_configuration_or_a_list_of_mistakes(table: Any) -> None:
    try:
        assert isinstance(from_table(table, "file", {}), Config)
    except ConfigError as refused:
        found = refused.mistakes
        assert found
        assert all(line.startswith("file: ") for line in found)


# --- Secrets


def secret_of(config: Config) -> str:
    return config.sources["stripe"].secrets[0].reveal()


def source(secret: str) -> str:
    return f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["{secret}"]\n'


def test_a_secret_may_stand_in_the_file_itself(file: Path) -> None:
    assert secret_of(read(file, source("whsec_literal"))) == "whsec_literal"


def test_a_secret_may_come_from_the_environment(file: Path) -> None:
    assert secret_of(read(file, source("env:S"), {"S": "whsec_env"})) == "whsec_env"


@pytest.mark.parametrize("environment", [{}, {"S": ""}])
def test_a_secret_that_the_environment_lacks_is_named(file: Path, environment: dict[str, str]) -> None:
    said = mistake(file, source("env:S"), environment)
    assert said.startswith(f"{file}: sources.stripe.secrets[0]: ")
    assert "the environment variable S is not set" in said


@pytest.mark.parametrize("provider", ["stripe", "standard", "paystack"])
def test_a_secret_in_the_environment_is_text(file: Path, provider: str) -> None:
    """As Python reads an environment that holds other bytes."""
    given = f"[sources.shop]\nprovider = '{provider}'\nsecrets = ['env:S']\n"
    found = mistake(file, given, {"S": "whsec_\udcff"})
    assert found.endswith("sources.shop.secrets[0]: the environment variable S is not UTF-8")
    found = mistake(file, "", {"WEBHOOKD_STORE__KEY": "\udcff" * 32})
    assert found == "WEBHOOKD_STORE__KEY: store.key: is not UTF-8"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[server]\ndata_dir = 'a@b'", "server.data_dir"),
        ("[server]\nlisten = 'a@b:80'", "server.listen"),
        ("[server]\nadmin_listen = '@:80'", "server.admin_listen"),
        ("[sources.p]\nprovider = 'paypal'\nwebhook_id = 'x'\nauthorities = 'a@b'", "sources.p.authorities"),
        ("[sources.p]\nprovider = 'stripe'\nsecrets = ['file:a@b']", "sources.p.secrets[0]"),
    ],
)
def test_what_no_file_and_no_host_is_called_is_a_mistake(file: Path, text: str, key: str) -> None:
    found = mistake(file, text.replace("'", '"').replace("@", "\\u0000"))
    assert f"{key}: " in found


def test_a_secret_may_come_from_a_private_file(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "secret"
    kept.write_text("whsec_file\n")
    kept.chmod(0o600)
    assert secret_of(read(file, source(f"file:{kept}"))) == "whsec_file"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_secret_file_that_others_may_read_is_refused(file: Path, tmp_path: Path, mode: int) -> None:
    kept = tmp_path / "secret"
    kept.write_text("whsec_file\n")
    kept.chmod(mode)
    said = mistake(file, source(f"file:{kept}"))
    assert "can be read by others" in said
    assert "whsec_file" not in said


def test_a_secret_file_that_is_missing_empty_or_unreadable_is_refused(file: Path, tmp_path: Path) -> None:
    assert "cannot be read" in mistake(file, source(f"file:{tmp_path}/nowhere"))
    kept = tmp_path / "secret"
    kept.write_bytes(b"\n")
    kept.chmod(0o600)
    assert "is empty" in mistake(file, source(f"file:{kept}"))
    kept.write_bytes(b"\xff")
    assert "cannot be read" in mistake(file, source(f"file:{kept}"))


def test_a_secret_may_be_a_systemd_credential(file: Path, tmp_path: Path) -> None:
    (tmp_path / "stripe").write_text("whsec_credential\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert secret_of(read(file, source("credential:stripe"), environment)) == "whsec_credential"


def test_a_credential_without_systemd_is_refused(file: Path) -> None:
    assert "$CREDENTIALS_DIRECTORY" in mistake(file, source("credential:stripe"))


def test_several_secrets_are_taken_in_their_order(file: Path) -> None:
    config = read(file, '[sources.a]\nprovider = "stripe"\nsecrets = ["new", "env:OLD"]', {"OLD": "old"})
    assert [secret.reveal() for secret in config.sources["a"].secrets] == ["new", "old"]


CANARY = "whsec_Q0FOQVJZQ0FOQVJZQ0FOQVJZQ0FOQVJZ"


def test_the_configuration_that_is_shown_holds_no_secret(file: Path, tmp_path: Path) -> None:
    kept = tmp_path / "secret"
    kept.write_text(CANARY)
    kept.chmod(0o600)
    text = (
        f'[sources.a]\nprovider = "stripe"\nsecrets = ["{CANARY}", "env:S", "file:{kept}"]\n'
        f'[endpoints.a]\nurl = "https://shop.example/"\nsecret = "{CANARY}"\n'
    )
    config = read(file, text, {"S": CANARY})
    assert CANARY not in repr(config)
    printed = msgspec.json.encode(shown(config)).decode()
    assert CANARY not in printed
    assert [*shown(config)["sources"]["a"]["secrets"]] == ["********", "env:S", f"file:{kept}"]


@pytest.mark.parametrize(
    "text",
    [
        f'[sources.a]\nprovider = "standard"\nsecrets = ["{CANARY[:20]}"]',
        f'[sources.a]\nprovider = "stripe"\nsecrets = "{CANARY}"',
        f'[sources.a]\nprovider = "nobody"\nsecrets = ["{CANARY}"]',
        f'[endpoints.a]\nurl = "https://shop.example/"\nsecret = "{CANARY}!"',
        f'[endpoints.a]\nurl = "https://shop.example/"\nsecret = ["{CANARY}"]',
        f'[endpoints.a]\nurl = "https://user:{CANARY}@shop.example/"',
        f'[sources.a]\nprovider = "stripe"\nsecrets = ["{CANARY}"\n',
        f'[sources.a]\nprovider = "stripe"\nsecrets = ["{CANARY}]\n',
    ],
)
def test_no_mistake_quotes_a_secret(file: Path, text: str) -> None:
    assert CANARY[:20] not in "\n".join(mistakes(file, text))


# --- The environment and the options


def test_the_environment_overrides_the_file(file: Path) -> None:
    config = read(file, '[server]\nlisten = "127.0.0.1:1"\n', {"WEBHOOKD_SERVER__LISTEN": "0.0.0.0:8088"})
    assert str(config.server.listen) == "0.0.0.0:8088"


def test_the_options_override_the_environment(file: Path) -> None:
    config = read(file, "", {"WEBHOOKD_SERVER__LISTEN": "0.0.0.0:8088"}, listen="[::1]:9", data_dir=None)
    assert str(config.server.listen) == "[::1]:9"
    assert config.server.data_dir == "data"


@pytest.mark.parametrize(
    ("variable", "value", "path", "expected"),
    [
        ("WEBHOOKD_SERVER__MAX_BODY", "2MiB", "server.max_body", 2 * 2**20),
        ("WEBHOOKD_DELIVERY__JITTER", "0.5", "delivery.jitter", 0.5),
        ("WEBHOOKD_DELIVERY__MAX_IN_FLIGHT", "16", "delivery.max_in_flight", 16),
        ("WEBHOOKD_DELIVERY__TIMEOUT", "3s", "delivery.timeout", 3_000),
        ("WEBHOOKD_STORE__URL", "sqlite:other.db", "store.url", StoreUrl.parse(Secret("sqlite:other.db"))),
        ("WEBHOOKD_SERVER__DATA_DIR", "12345", "server.data_dir", "12345"),
    ],
)
def test_any_scalar_can_come_from_the_environment(
    file: Path, variable: str, value: str, path: str, expected: object
) -> None:
    section, _, name = path.partition(".")
    assert getattr(getattr(read(file, "", {variable: value}), section), name) == expected


@pytest.mark.parametrize(("value", "expected"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_a_truth_value_can_come_from_the_environment(file: Path, value: str, expected: bool) -> None:
    text = '[endpoints.my-shop]\nurl = "https://shop.example/"\n'
    config = read(file, text, {"WEBHOOKD_ENDPOINTS__MY_SHOP__ALLOW_HTTP": value})
    assert config.endpoints["my-shop"].allow_http is expected


def test_a_mistake_in_the_environment_is_reported_under_its_key(file: Path) -> None:
    assert "server.listen" in mistake(file, "", {"WEBHOOKD_SERVER__LISTEN": "nonsense"})
    assert "did you mean listen?" in mistake(file, "", {"WEBHOOKD_SERVER__LISTNE": "0.0.0.0:80"})
    assert "delivery.jitter" in mistake(file, "", {"WEBHOOKD_DELIVERY__JITTER": "much"})


def test_a_mistake_in_the_environment_names_the_variable_and_not_the_file(file: Path) -> None:
    said = mistake(file, SOURCE, {"WEBHOOKD_SERVER__LISTEN": "nonsense"})
    assert said.startswith("WEBHOOKD_SERVER__LISTEN: server.listen: ")


def test_a_mistake_in_an_option_is_not_blamed_on_the_file(file: Path) -> None:
    (said,) = mistakes(file, SOURCE, listen="nonsense")
    assert said.startswith("--listen: server.listen: ")


@pytest.mark.parametrize("variable", ["WEBHOOKD_HOME", "WEBHOOKD", "OTHER__SERVER__LISTEN", "webhookd_server__listen"])
def test_other_variables_of_the_environment_mean_nothing(file: Path, variable: str) -> None:
    assert read(file, "", {variable: "x"}) == Config()


def test_a_variable_below_a_single_value_is_a_mistake_and_not_passed_over(tmp_path: Path):
    path = tmp_path / "webhookd.toml"
    path.write_text('[server]\nlisten = "127.0.0.1:8080"\n')
    with pytest.raises(ConfigError, match="WEBHOOKD_SERVER__LISTEN__X"):
        load(path, environment={"WEBHOOKD_SERVER__LISTEN__X": "1"})


@pytest.mark.parametrize(
    "url", ["sqlite:/abs/x.db", "sqlite:../x.db", "sqlite:sub/x.db", "sqlite:.", "sqlite:", "x.db"]
)
def test_the_database_is_a_plain_file_in_the_directory_that_is_locked(tmp_path: Path, url: str):
    path = tmp_path / "webhookd.toml"
    path.write_text(f'[store]\nurl = "{url}"\n')
    with pytest.raises(ConfigError, match=r"store\.url"):
        load(path, environment={})


@pytest.mark.parametrize("size", ["0B", "1B", "65MiB", "1GiB"])
def test_a_body_limit_that_no_commit_could_hold_is_a_mistake(tmp_path: Path, size: str):
    path = tmp_path / "webhookd.toml"
    path.write_text(f'[server]\nmax_body = "{size}"\n')
    with pytest.raises(ConfigError, match=r"server\.max_body"):
        load(path, environment={})


def test_who_only_asks_where_the_daemon_is_need_not_read_its_secrets(tmp_path: Path):
    path = tmp_path / "webhookd.toml"
    path.write_text(
        '[server]\ndata_dir = "there"\n[sources.stripe]\nprovider = "stripe"\nsecrets = ["credential:not-ours"]\n'
    )
    assert load(path, environment={}, sections=("server",)).server.data_dir == "there"
    with pytest.raises(ConfigError, match="CREDENTIALS_DIRECTORY"):
        load(path, environment={})
