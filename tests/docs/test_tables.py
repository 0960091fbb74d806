"""What the tables in docs show of the code is what the code has, and they leave no provider out."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from webhookd.core.ledger import KINDS, RANKS
from webhookd.providers import PROVIDERS

DOCS = Path(__file__).parents[2] / "docs"


def renderer() -> Any:
    spec = importlib.util.spec_from_file_location("render", DOCS / "render.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RENDER = renderer()
TEXT = "".join(document.read_text(encoding="utf-8") for document in RENDER.DOCUMENTS)


def test_the_tables_are_those_of_the_code():
    assert RENDER.rendered(TEXT) == TEXT, "run `make docs`"


def test_every_block_that_can_be_made_is_shown_once():
    assert sorted(found[1] for found in RENDER.BLOCK.findall(TEXT)) == sorted(RENDER.blocks())


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_every_provider_says_each_word_for_one_state_of_ours(provider: str):
    table = RENDER.states(provider)
    for kind, states in RENDER.room(provider).STATES.items():
        assert kind in KINDS
        for word, status in states.items():
            assert status in RANKS[kind], word
            assert f"`{word}`" in table
