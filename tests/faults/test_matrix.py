"""The matrix is whole: every row has a test that is marked with it, and no test is marked with another."""

import ast
from pathlib import Path

import pytest

from tests.faults.matrix import FAULTS

TESTS = Path(__file__).parents[1]


def rows_marked(tree: ast.Module) -> set[int]:
    """The arguments of each `pytest.mark.fault(…)`."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return {
        argument.value
        for call in calls
        if ast.unparse(call.func) == "pytest.mark.fault"
        for argument in call.args
        if isinstance(argument, ast.Constant)
    }


MARKED = {row for file in TESTS.rglob("test_*.py") for row in rows_marked(ast.parse(file.read_text(encoding="utf-8")))}


@pytest.mark.parametrize("row", FAULTS)
def test_each_fault_is_done_by_a_test(row: int):
    assert row in MARKED, FAULTS[row].name


def test_no_test_is_of_a_fault_that_nobody_knows():
    assert FAULTS.keys() >= MARKED
