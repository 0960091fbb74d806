"""A guide's links within the repository lead to what is there, and its pictures are small enough to be shown."""

import re
from pathlib import Path

import pytest

from tests.docs.guide import guides

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
PICTURE_BYTES_MAX, PICTURES_BYTES_MAX = 150_000, 1_000_000


@pytest.mark.parametrize(
    "guide", [*guides(ROOT), ROOT / "ARCHITECTURE.md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_link_leads_to_a_file(guide: Path):
    links = LINK.findall(guide.read_text(encoding="utf-8"))
    assert [link for link in links if not (guide.parent / link).exists()] == []


def test_the_pictures_are_small_and_each_is_shown():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "pictures").glob("*.png")}
    assert max(sizes.values()) < PICTURE_BYTES_MAX
    assert sum(sizes.values()) < PICTURES_BYTES_MAX
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in sizes if f"(docs/pictures/{name})" not in readme] == []
