"""What is done to a data directory while somebody kills whoever does it, by name."""

import random
from collections.abc import Callable, Mapping
from functools import partial

from tests.faults.deeds.backing_up import BackUp
from tests.faults.deeds.deed import Deed
from tests.faults.deeds.hooks import Checkpoint, Receive
from tests.faults.deeds.migrating import Migrate
from tests.faults.deeds.mistaken import MISTAKES
from tests.faults.deeds.pruning import Prune
from tests.faults.deeds.settling import Settle
from tests.faults.deeds.starting import Start
from tests.store.old_files import OLD

DEEDS: Mapping[str, Callable[[random.Random], Deed]] = {
    "start": Start,
    "receive": Receive,
    "settle": Settle,
    "checkpoint": Checkpoint,
    **{f"migrate-{schema}": partial(Migrate, schema=schema) for schema in OLD},
    "backup": BackUp,
    "prune": Prune,
    **MISTAKES,
}
