"""Links within the repository lead to what is there, a test that is named is one, and pictures are small enough."""

import re
from pathlib import Path

import pytest

from tests.docs.guide import guides

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
PICTURE_BYTES_MAX, PICTURES_BYTES_MAX = 150_000, 1_000_000


@pytest.mark.parametrize(
    "guide",
    [*guides(ROOT), ROOT / "ARCHITECTURE.md", ROOT / "SECURITY.md"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_link_leads_to_a_file(guide: Path):
    links = LINK.findall(guide.read_text(encoding="utf-8"))
    assert [link for link in links if not (guide.parent / link).exists()] == []


PROMISES = re.findall(r"\[(test_\w+)\]\((tests/[\w/]+\.py)\)", (ROOT / "SECURITY.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("name", "file"), PROMISES)
def test_what_is_promised_is_shown_by_the_test_that_is_named(name: str, file: str):
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_the_pictures_are_small_and_each_is_shown():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").glob("*.png")}
    assert max(sizes.values()) < PICTURE_BYTES_MAX
    assert sum(sizes.values()) < PICTURES_BYTES_MAX
    shown = {target for guide in guides(ROOT) for target in LINK.findall(guide.read_text(encoding="utf-8"))}
    assert [name for name in sizes if not {f"docs/pictures/{name}", f"pictures/{name}"} & shown] == []
