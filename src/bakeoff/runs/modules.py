"""The user's own modules that a run is made of: those of its classes, and all that these import, however indirectly.

A module counts by its name and by what it says (`bakeoff.runs.source`), not by where it lies. Nothing is imported to
find that out. A process that has imported a module trains with that, even if the file has changed since: so what a
module said when this process first met it is kept until it is imported anew.

What cannot be seen: imports by a name that is computed, and a module that a run imports late, while it trains, and that
has changed since the run was built.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from bakeoff.runs.module_specs import (
    STATED_PACKAGES,
    find_spec,
    installed_version,
    is_namespace,
    is_standard,
    locations,
)
from bakeoff.runs.source import Source, parse_source

PYTHON = (".py", ".pyw")

# module -> the object and the spec that were imported, and what its file said then; a reload brings another spec
_imported: dict[str, tuple[ModuleType, ModuleSpec | None, Source]] = {}
_parsed: dict[tuple[str, str], tuple[bytes, Source]] = {}  # (file, package) -> its content and its Source


def own_modules(names: Iterable[str]) -> dict[str, str]:
    """What decides a run beside its settings: module -> digest of what it says, installed package -> its version.

    Args:
        names: dotted names: of modules, of classes and functions in modules, or of neither.

    """
    importlib.invalidate_caches()  # what was written within the last clock tick would not be found
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        for module, spec in _specs_along(name):
            version = installed_version(spec)
            if version is not None:
                found[module.partition(".")[0]] = version
                break
            if module not in found:
                source = _source_of(module, spec)
                found[module] = source.digest
                waiting += source.imports
    return dict(sorted(found.items()))


def changed_modules() -> list[str]:
    """The files of those imported modules of the user's that say something else now."""
    changed = []
    for module, (imported, spec, source) in list(_imported.items()):
        origin = spec.origin if spec is not None else getattr(imported, "__file__", None)
        is_current = sys.modules.get(module) is imported and getattr(imported, "__spec__", None) is spec
        if is_current and spec is not None and origin and _read(module, spec).digest != source.digest:
            changed.append(origin)
    return changed


def _specs_along(name: str) -> Iterator[tuple[str, ModuleSpec]]:
    """The packages on the way to `name` and the module itself, as far as there are any; none of Python's or ours."""
    parts = name.split(".")
    if parts[0] in STATED_PACKAGES:
        return
    for length in range(1, len(parts) + 1):
        module = ".".join(parts[:length])
        spec = find_spec(module)
        if spec is None:
            return
        if is_namespace(spec):
            continue
        if is_standard(spec):
            return
        yield module, spec


def _source_of(name: str, spec: ModuleSpec) -> Source:
    module = sys.modules.get(name)
    if module is None:
        return _read(name, spec)
    known = _imported.get(name)
    if known is None or known[0] is not module or known[1] is not getattr(module, "__spec__", None):
        known = _imported[name] = (module, getattr(module, "__spec__", None), _read(name, spec))
    return known[2]


def _read(name: str, spec: ModuleSpec) -> Source:
    origin = str(spec.origin)
    package = name if locations(spec) else name.rpartition(".")[0]
    content = _content(spec, origin)
    known = _parsed.get((origin, package))
    if known is None or known[0] != content:
        source = parse_source(content, package, is_python=origin.endswith(PYTHON))
        known = _parsed[origin, package] = (content, source)
    return known[1]


def _content(spec: ModuleSpec, origin: str) -> bytes:
    try:
        return Path(origin).read_bytes()
    except OSError:
        get_data = getattr(spec.loader, "get_data", None)  # in a zip file
        try:
            return bytes(get_data(origin)) if get_data is not None else b""
        except OSError:
            return b""
