"""SQLite is held against the model, in stories that hypothesis makes. Another store needs a `Site`, and no more."""

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.machine_people import People
from tests.store.machine_traffic import Traffic
from tests.store.sqlite_site import SqliteSite


class AStore(Traffic, People):
    """All that can happen."""


@pytest.mark.fault(55)
def test_whatever_a_store_is_asked_it_answers_as_the_model_does(
    torture: bool, seed: int, record_property: Callable[[str, int], None]
):
    counted: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as directory:

        def story() -> AStore:
            return AStore(SqliteSite(Path(tempfile.mkdtemp(dir=directory))), counted)

        run_state_machine_as_test(
            hypothesis.seed(seed)(story),  # type: ignore[arg-type]
            settings=settings(
                max_examples=200 if torture else 16,
                stateful_step_count=80 if torture else 50,
                suppress_health_check=list(HealthCheck),
            ),
        )
    for name, count in counted.items():
        record_property(name, count)
