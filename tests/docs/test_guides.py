"""Whoever follows a guide sees what it says: every command is typed, every output compared."""

import shutil
from pathlib import Path

import pytest

from tests.docs.guide import RUNNABLE, blocks, guides, matches
from tests.docs.reader import reader

ROOT = Path(__file__).parents[2]
GUIDES = guides(ROOT)
SHOWN = {
    "README.md": 3,
    "CONTRIBUTING.md": 1,
    "docs/endpoints.md": 1,
    "docs/merchants.md": 1,
    "docs/operating.md": 4,
    "docs/outbox.md": 1,
    "docs/reconcile.md": 1,
}
"""How many blocks of commands of a guide cannot be run here; each says why, beside it."""


def check_out(directory: Path) -> None:
    """What somebody has who changes it."""
    for name in ("webhookd", "tests", "docs", "ARCHITECTURE.md", "schema.sql", "webhookd.toml", "pyproject.toml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, directory / name)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_guide_can_be_followed_to_the_letter(guide: Path, tmp_path: Path):
    found = [block for block in blocks(guide.read_text(encoding="utf-8")) if "shown" not in block.remarks]
    steps = [block for block in found if block.name or block.language in RUNNABLE]
    if not steps:
        return
    if guide.name == "CONTRIBUTING.md":
        check_out(tmp_path)
    with reader(guide, tmp_path) as who:
        for block in steps:
            who.follow(block)


def test_no_more_than_these_blocks_are_only_shown():
    shown = {
        str(guide.relative_to(ROOT)): sum(
            "shown" in block.remarks for block in blocks(guide.read_text(encoding="utf-8"))
        )
        for guide in GUIDES
    }
    assert {name: count for name, count in shown.items() if count} == SHOWN


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a…c\n", "abc\n", True),
        ("a…c\n", "a\nc\n", False),
        ("a\n…\nc\n", "a\nb1\nb2\nc\n", True),
        ("a\n…\n", "a\n", True),
        ("a\n", "a\nb\n", False),
        ("a  \n", "\x1b[1ma\x1b[0m\n", True),
        ("", "", True),
        ("", "b\n", False),
    ],
)
def test_an_output_is_the_one_expected_or_it_is_not(expected: str, printed: str, same: bool):
    assert matches(expected, printed) is same


def test_a_guide_that_lies_makes_its_reader_stumble(tmp_path: Path):
    guide = tmp_path / "lies.md"
    guide.write_text("```console\n$ echo one\ntwo\n```\n")
    (block,) = blocks(guide.read_text())
    with reader(guide, tmp_path) as who, pytest.raises(pytest.fail.Exception, match="was to print"):
        who.follow(block)
