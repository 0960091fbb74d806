"""The configuration that is shown is a TOML file which says the same."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.config.test_reader import EXAMPLES_ENVIRONMENT, _without_files
from webhookd.config import Config, ConfigError, load
from webhookd.config.reader import from_table, read
from webhookd.config.written import written

pytestmark = pytest.mark.fault(53)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def again(text: str, environment: dict[str, str]) -> Config:
    return from_table(tomllib.loads(text), "shown", environment)


def test_the_defaults_are_shown_and_read_again_as_the_defaults():
    assert again(written(Config(), {}), {}) == Config()


def test_every_setting_that_there_is_comes_back_as_it_was(tmp_path: Path):
    file = tmp_path / "webhookd.toml"
    environment = {**EXAMPLES_ENVIRONMENT, "PROXY": "http://me:hunter2@proxy.example:3128"}
    file.write_text(re.sub(r'(?m)^proxy = ".*?"', 'proxy = "env:PROXY"', _without_files()))
    config = load(file, {}, environment)
    assert config.proxy is not None
    shown = written(config, {})
    assert again(shown, environment) == config
    assert written(again(shown, environment), {}) == shown
    assert not any(secret in shown for secret in environment.values() if len(secret) > 1)


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=12)
SPANS = st.integers(100, 300_000).map(lambda ms: f"{ms}ms")
TABLES = st.fixed_dictionaries(
    {
        "server": st.fixed_dictionaries(
            {
                "data_dir": TEXTS,
                "admin_hosts": st.lists(TEXTS, max_size=3),
                "max_body": st.integers(2**10, 2**26).map(lambda size: f"{size}B"),
                "listen": st.sampled_from(["[::]:80", "0.0.0.0:1", "127.0.0.1:65535"]),
            }
        ),
        "delivery": st.fixed_dictionaries(
            {
                "jitter": st.floats(0, 1),
                "timeout": SPANS,
                "disable_after": st.sampled_from(["never", "1m", "3601s"]),
                "schedule": st.lists(SPANS, min_size=1, max_size=4),
            }
        ),
        "endpoints": st.dictionaries(
            st.text("abz-_019", min_size=1, max_size=4),
            st.fixed_dictionaries(
                {
                    "url": st.just("https://shop.example/a?b=%22#"),
                    "secret": st.just("env:S"),
                    "headers": st.dictionaries(st.sampled_from(["A.b", "X-A", "z"]), st.just("env:S")),
                    "rate_limit": st.sampled_from(["50/s", "3000/m"]),
                    "allow_http": st.booleans(),
                }
            ),
            max_size=2,
        ),
    }
)


@given(TABLES)
def test_whatever_can_be_read_is_read_again_from_what_is_shown(table: dict[str, object]):
    try:
        config = from_table(table, "file", {"S": SECRET})
    except ConfigError:
        return
    assert again(written(config, {}), {"S": SECRET}) == config


def test_what_a_string_of_toml_may_not_hold_is_escaped():
    config = from_table({"server": {"data_dir": 'a\x7f"\\\n\x1f\u2028'}}, "file", {})
    assert again(written(config, {}), {}) == config


def test_a_secret_that_stands_in_the_file_is_stars_and_is_asked_for_when_it_is_read_again(tmp_path: Path):
    text = f'[sources.a]\nprovider = "stripe"\nsecrets = ["{SECRET}", "env:S"]\n'
    shown = written(from_table(tomllib.loads(text), "file", {"S": "x"}), {})
    assert SECRET not in shown
    with pytest.raises(ConfigError) as refused:
        again(shown, {"S": "x"})
    [only] = refused.value.mistakes
    assert only.startswith("shown: sources.a.secrets[0]: is masked")


def test_what_overrides_the_file_is_named_beside_the_setting(tmp_path: Path):
    file = tmp_path / "webhookd.toml"
    file.write_text('[endpoints.my-shop]\nurl = "https://a.example/"\n')
    environment = {"WEBHOOKD_SERVER__LISTEN": "127.0.0.1:7", "WEBHOOKD_ENDPOINTS__MY_SHOP__URL": "https://b.example/"}
    loaded = read(file, {"data_dir": "x"}, environment)
    lines = written(loaded.config, loaded.origins).splitlines()
    assert 'listen = "127.0.0.1:7"  # WEBHOOKD_SERVER__LISTEN' in lines
    assert 'data_dir = "x"  # --data-dir' in lines
    assert 'url = "https://b.example/"  # WEBHOOKD_ENDPOINTS__MY_SHOP__URL' in lines
    assert sum("#" in line for line in lines) == 3
