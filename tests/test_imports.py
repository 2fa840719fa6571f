"""Imports go one way, those within functions too."""

import ast
from graphlib import TopologicalSorter

from tests.study import ROOT

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in ("stages/core", "stages/settings", "stages", "benchmarks", "tests")
    for path in (ROOT / folder).glob("*.py" if folder == "stages" else "**/*.py")
    if path.parent.name not in ("stages", "core") or path.name != "__init__.py"
}


def imports(module: str) -> set[str]:
    """The modules of this project that a module imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name in MODULES and name != module}


def layer(module: str) -> str:
    """Of stages: a room of core, the settings or the commands; of others their folder."""
    top, _, rest = module.partition(".")
    if top != "stages":
        return top
    if rest.startswith("core."):
        return rest.split(".")[1]
    return "settings" if rest.startswith("settings") else "commands"


def test_no_modules_import_one_another() -> None:
    list(TopologicalSorter({name: imports(name) for name in MODULES}).static_order())


def test_no_rooms_import_one_another() -> None:
    """But for the settings, which name what registries list, and which rooms take as arguments."""
    rooms: dict[str, set[str]] = {}
    for name in MODULES:
        rooms.setdefault(layer(name), set()).update(map(layer, imports(name)))
    rooms = {room: below - {room, "settings"} for room, below in rooms.items()}
    assert {"figures", "claims", "topology", "runtime", "commands", "benchmarks"} <= set(rooms)
    order = list(TopologicalSorter(rooms).static_order())
    assert order.index("runtime") < order.index("claims") < order.index("commands")
    assert not rooms["runtime"]


def test_commands_are_imported_by_tests_alone_and_tests_by_nothing_else() -> None:
    for name in MODULES:
        imported = set(map(layer, imports(name)))
        assert layer(name) == "tests" or "tests" not in imported, name
        assert layer(name) in ("tests", "commands") or "commands" not in imported, name
