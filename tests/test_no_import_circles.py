"""No module of the package imports itself through others; the imports are read, not run.

Every import counts: within a folder, within a function, and under `TYPE_CHECKING`. The modules of a circle can only
be understood together.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
Graph = Mapping[str, Mapping[str, str]]  # module -> module that it imports -> file:line of the import


def name_of(path: Path, source: Path) -> str:
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path, module: str) -> Iterator[tuple[str, int]]:
    """What the file imports, as `package.name`, and on which line; a name may be a module's, or a thing's in it."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            yield from ((f"{origin}.{alias.name}", node.lineno) for alias in node.names)


def import_graph(source: Path) -> dict[str, dict[str, str]]:
    """Every module below `source`, with the modules below `source` that it imports."""
    files = {name_of(path, source): path for path in sorted(source.rglob("*.py"))}
    graph: dict[str, dict[str, str]] = {}
    for module, path in files.items():
        graph[module] = {}
        for name, line in imported_names(path, module):
            target = name if name in files else name.rpartition(".")[0]
            if target in files:
                graph[module].setdefault(target, f"{path.relative_to(source)}:{line}")
    return graph


def reachable(graph: Graph, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = graph[waiting.pop()].keys() - found
        found |= new
        waiting += new
    return found


def circles(graph: Graph) -> list[list[str]]:
    """The strongly connected components of more than one module, and modules that import themselves."""
    reach = {module: reachable(graph, module) for module in graph}
    groups = {frozenset(other for other in reach[module] if module in reach[other]) for module in graph}
    return sorted(sorted(group) for group in groups if group)


def described(graph: Graph, circle: list[str]) -> str:
    lines = [
        f"    {where} imports {target}"
        for module in circle
        for target, where in graph[module].items()
        if target in circle
    ]
    return "\n".join([f"  {len(circle)} modules:", *lines])


def test_no_module_imports_itself_through_others():
    graph = import_graph(SOURCE)
    assert "bakeoff.app" in graph
    found = [described(graph, circle) for circle in circles(graph)]
    assert not found, f"{len(found)} import circles:\n" + "\n".join(found)


FILES = {
    "__init__.py": "from pack.a import A",
    "a.py": "def f():\n    import pack.b",
    "b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pack import c",
    "c.py": "from .a import A",
    "alone.py": "import os\nfrom pack.a import A",
    "sub/__init__.py": "from pack.sub.one import One",
    "sub/one.py": "from pack.sub import two",
    "sub/two.py": "import pack.alone",
}


@pytest.fixture
def package(tmp_path):
    for name, text in FILES.items():
        path = tmp_path / "pack" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    return tmp_path


def test_a_circle_through_a_function_a_type_and_a_relative_import_is_found(package):
    graph = import_graph(package)
    assert circles(graph) == [["pack.a", "pack.b", "pack.c"]]
    assert described(graph, ["pack.a", "pack.b", "pack.c"]).splitlines()[1:] == [
        "    pack/a.py:2 imports pack.b",
        "    pack/b.py:3 imports pack.c",
        "    pack/c.py:1 imports pack.a",
    ]


def test_a_module_that_imports_a_name_of_its_own_package_is_found(package):
    (package / "pack" / "sub" / "two.py").write_text("from pack.sub import One")
    assert circles(import_graph(package))[1] == ["pack.sub", "pack.sub.one", "pack.sub.two"]
