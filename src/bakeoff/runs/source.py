"""What a Python file says, whatever it looks like: a hash of its syntax tree, and what it imports.

Comments, blank lines, formatting and docstrings change nothing; docstrings count in a file that reads `__doc__`. What
is no Python source, such as a C extension, or cannot be parsed, is known by its bytes, and imports nothing we can see.
Of dynamic imports only those of a constant name are seen: `importlib.import_module("helper")`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

IGNORED_FIELDS = frozenset({"ctx", "kind", "type_comment"})  # of the syntax tree: they follow from the others
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
IMPORT_FUNCTIONS = frozenset({"import_module", "__import__"})


@dataclass(frozen=True)
class Source:
    """What a file says (`digest`), and the dotted names that it imports: modules, or names in modules."""

    digest: str
    imports: tuple[str, ...] = ()


def parse_source(content: bytes, package: str, *, is_python: bool = True) -> Source:
    """The Source of a file; relative imports in it are relative to `package`."""
    try:
        tree = ast.parse(content) if is_python else None
        if tree is not None:
            keeps_docstrings = b"__doc__" in content or b"getdoc" in content
            text = _text(tree, keeps_docstrings)
            return Source(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), _imports(tree, package))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # whoever imports it will say more
        pass
    return Source(hashlib.sha256(content).hexdigest())


def _text(node: object, keeps_docstrings: bool) -> str:
    """A syntax tree as text, the same in all versions of Python that have its nodes: empty fields are left out."""
    if isinstance(node, list):
        return f"[{','.join(_text(item, keeps_docstrings) for item in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        f"{name}={_text(_body(node, value, keeps_docstrings) if name == 'body' else value, keeps_docstrings)}"
        for name, value in ast.iter_fields(node)
        if name not in IGNORED_FIELDS and value is not None and value != []
    ]
    return f"{type(node).__name__}({','.join(fields)})"


def _body(node: ast.AST, body: object, keeps_docstrings: bool) -> object:
    if keeps_docstrings or not isinstance(node, DOCUMENTED) or ast.get_docstring(node, clean=False) is None:
        return body
    return node.body[1:]


def _imports(tree: ast.Module, package: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for node in ast.walk(tree) for name in _imported_by(node, package) if name))


def _imported_by(node: ast.AST, package: str) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = _absolute(node.module or "", node.level, package)
        yield module
        yield from (f"{module}.{alias.name}" for alias in node.names if module and alias.name != "*")
    elif isinstance(node, ast.Call) and node.args and _called(node.func) in IMPORT_FUNCTIONS:
        name = node.args[0]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            bare = name.value.lstrip(".")
            yield _absolute(bare, len(name.value) - len(bare), package)


def _called(function: ast.expr) -> str:
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def _absolute(name: str, level: int, package: str) -> str:
    """The absolute name of a module that is imported from `level` packages up; empty above the topmost."""
    if not level:
        return name
    parents = package.split(".") if package else []
    if level > len(parents):
        return ""
    return ".".join([*parents[: len(parents) - level + 1], *([name] if name else [])])
