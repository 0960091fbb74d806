"""That every sabotage still fits the code; `make sabotage` shows that each is caught."""

from pathlib import Path

import pytest

from tests.faults.sabotage import ROOT, applied, copied, passes
from tests.faults.sabotages import SABOTAGES, Sabotage


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda each: each.name)
def test_what_it_changes_stands_there_once_and_its_test_is_there(sabotage: Sabotage):
    for change in sabotage.changes:
        assert (ROOT / change.file).read_text(encoding="utf-8").count(change.before) == 1, change.file
    file, _, name = sabotage.test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_sabotage_is_caught_and_taken_back():
    sabotage = next(each for each in SABOTAGES if each.name == "Retry-After is not honoured")
    with copied() as copy:
        whole = (copy / sabotage.changes[0].file).read_text(encoding="utf-8")
        assert passes(copy, sabotage.test)
        with applied(copy, sabotage):
            assert not passes(copy, sabotage.test)
        assert (copy / sabotage.changes[0].file).read_text(encoding="utf-8") == whole


def test_a_test_that_is_not_there_is_no_test_that_passes(tmp_path: Path):
    with pytest.raises(LookupError, match="there is no such test"):
        passes(tmp_path, "tests/test_nothing.py")
