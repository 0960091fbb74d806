"""The layout is the architecture: who may import whom, what stays pure, and that the documents say so truly."""

import ast
from pathlib import Path

import pytest

from webhookd.core.delivery import DELIVERY_STATES, TRANSITIONS, state_diagram

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "webhookd"
ROOMS = (
    *("core", "providers", "receive", "evidence", "store", "dispatch", "deliver", "admin", "observe"),
    *("cli", "sandbox", "config", "relay"),
)
MAY_IMPORT = {
    "core": set(),
    "providers": {"core"},
    "store": {"core", "postgres_errors", "private_file"},
    "deliver": {"core", "aside", "clock"},
    "receive": {"core", "clock", "providers.provider", "store.protocol"},
    "evidence": {"core", "clock", "private_file", "providers.provider"},
    "relay": {"core", "clock", "postgres_errors", "providers.outbox", "providers.provider", "store.protocol"},
    "dispatch": {"core", "clock", "store.protocol"},
    "admin": {"core", "clock", "private_file", "store.protocol"},
    "observe": {"core", "aside", "store.protocol.endpoints", "store.protocol.minutes"},
    "config": {"core", "providers", "deliver.tls"},
    "sandbox": {"core", "private_file", "providers", "config"},
}
"""A room, and what of ours it may know beside itself. `cli` and `daemon` are where the rooms are joined."""
LINES_MAX = 300
IMPURE = {"asyncio", "time", "random", "secrets", "socket", "os", "aiohttp", "sqlite3", "threading", "subprocess"}


def modules() -> dict[str, ast.Module]:
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = modules()


def imports(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ours(tree: ast.Module) -> set[str]:
    """The modules of ours that it imports, without the package's name."""
    names = {name.removeprefix("webhookd.") for name in imports(tree) if name.startswith("webhookd.")}
    return {name for name in names if name in MODULES or f"{name}.__init__" in MODULES}


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in MAY_IMPORT])
def test_a_room_knows_only_the_rooms_it_may_know(name: str):
    room = name.partition(".")[0]
    for imported in ours(MODULES[name]):
        allowed = {room, *MAY_IMPORT[room]}
        assert any(imported == each or imported.startswith(f"{each}.") for each in allowed), (
            f"{name} imports {imported}"
        )


@pytest.mark.parametrize("name", [name for name in MODULES if name.partition(".")[0] in ("core", "providers")])
def test_core_and_providers_do_not_wait_look_or_roll_dice(name: str):
    tree = MODULES[name]
    assert not {each.partition(".")[0] for each in imports(tree)} & IMPURE
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)]
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not {call for call in calls if call == "open" or call.endswith((".now", ".today"))}


def test_only_the_clock_reads_the_time():
    readers = {
        name
        for name, tree in MODULES.items()
        if not name.startswith(("cli", "sandbox"))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("time.time", "time.time_ns", "datetime.now")
    }
    assert readers == {"clock"}


@pytest.mark.fault(16)
def test_only_one_file_opens_the_database():
    """Closing any other descriptor of it would drop SQLite's locks (sqlite.org/howtocorrupt.html, 2.2)."""
    openers = {
        name
        for name, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("driver.connect", "sqlite3.connect"))
    }
    an_applications = "relay.sqlite"
    assert openers == {"store.sqlite.connection", an_applications}


def test_the_protocol_of_a_store_knows_none_and_what_all_engines_share_knows_no_engine():
    retells_beside_the_log = "store.sql.chronicle"
    for name, tree in MODULES.items():
        known = {each for each in ours(tree) if each.startswith("store.")}
        if name.startswith("store.protocol"):
            assert {each for each in known if not each.startswith("store.protocol")} == set(), name
        if name.startswith("store.sql.") and name != retells_beside_the_log:
            assert {each for each in known if each.startswith("store.sqlite")} == set(), name


def test_the_engines_know_each_other_only_where_a_log_moves():
    for name, tree in MODULES.items():
        known = {each.split(".")[1] for each in ours(tree) if each.startswith(("store.sqlite.", "store.postgres."))}
        if name.startswith("store.") and len(known | {name.split(".")[1]} & {"sqlite", "postgres"}) > 1:
            assert name.startswith("store.move."), name


def test_no_module_imports_itself_by_a_detour():
    graph = {name.removesuffix(".__init__"): ours(tree) for name, tree in MODULES.items()}

    def reaches(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(graph.get(start, ()))
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += graph.get(name, ())
        return seen

    assert [name for name in graph if name and name in reaches(name)] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_file_is_one_idea(name: str):
    path = PACKAGE / Path(*name.split(".")).with_suffix(".py")
    lines = path.read_text(encoding="utf-8").splitlines()
    limit = 1.2 * LINES_MAX if name == "store.sqlite.store" else LINES_MAX  # the one that joins things
    assert len(lines) <= limit, "which second thing moved in?"
    assert ast.get_docstring(MODULES[name]), "say what it is"


def test_the_table_of_transitions_is_the_diagram_in_the_architecture():
    assert state_diagram() in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert {state for state, _ in TRANSITIONS} | set(TRANSITIONS.values()) == set(DELIVERY_STATES)


def test_the_architecture_names_every_room_and_stays_short():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 200
    for room in ROOMS:
        assert f"{room}/" in text, room
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ROOMS)
