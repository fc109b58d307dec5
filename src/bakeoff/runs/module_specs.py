"""Where a module lies and whose it is, found as an import would find it, without importing anything.

The user's own is what has a file outside Python's standard library and outside `site-packages`; an editable install is
that, too. What is installed is known by the version of its distribution, unless it was installed from a folder: then
its version says little, and it counts as the user's own, as does what belongs to no distribution.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import sys
import sysconfig
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

# Every run has these: their versions stand in its record, not in its identity.
STATED_PACKAGES = frozenset(
    [
        "bakeoff",
        "hydra_plugins",
        "torch",
        "torchvision",
        "lightning",
        "torchmetrics",
        "sklearn",
        "numpy",
        "scipy",
        "hydra",
        "omegaconf",
    ]
)
INSTALLED_IN = frozenset({"site-packages", "dist-packages"})
STANDARD_LIBRARY = tuple(sorted({sysconfig.get_path("stdlib") + os.sep, sysconfig.get_path("platstdlib") + os.sep}))


def find_spec(name: str) -> ModuleSpec | None:
    """The spec of a module that is imported, or as an import would find it; None where there is none."""
    module = sys.modules.get(name)
    if module is not None:
        file = getattr(module, "__file__", None)
        spec: ModuleSpec | None = getattr(module, "__spec__", None)
        # a script has none
        return spec or (importlib.util.spec_from_file_location(name, file) if file else None)
    parent, path = name.rpartition(".")[0], None
    if parent:
        path = locations(find_spec(parent))
        if not path:
            return None
    try:
        specs = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        return next((found for found in specs if found is not None), None)
    except KeyError:  # a namespace within one that is not imported: Python asks the imported one
        return _namespace(name, path or [])


def locations(spec: ModuleSpec | None) -> list[str]:
    """The folders of a package, in which its modules are looked for; none for a module."""
    return list(spec.submodule_search_locations or []) if spec is not None else []


def _namespace(name: str, path: list[str]) -> ModuleSpec:
    spec = ModuleSpec(name, None, is_package=True)
    folders = [os.path.join(folder, name.rpartition(".")[2]) for folder in path]
    spec.submodule_search_locations = [folder for folder in folders if os.path.isdir(folder)]
    return spec


def is_namespace(spec: ModuleSpec) -> bool:
    """Whether it is a package without a file of its own."""
    return spec.origin in (None, "namespace") and spec.submodule_search_locations is not None


def is_standard(spec: ModuleSpec) -> bool:
    """Whether it is of Python's own library, or built in."""
    if not spec.has_location or spec.origin is None:
        return True
    return spec.origin.startswith(STANDARD_LIBRARY) and not _is_installed(spec.origin)


def installed_version(spec: ModuleSpec) -> str | None:
    """The distributions and versions that a module belongs to; None for the user's own."""
    if spec.origin is None or not _is_installed(spec.origin):
        return None
    return _version(spec.name.partition(".")[0])


def _is_installed(origin: str) -> bool:
    return not INSTALLED_IN.isdisjoint(Path(origin).parts)


@cache
def _version(package: str) -> str | None:
    """Of the distributions that hold a top-level package. None if there is none, or one was installed from a folder."""
    found = _distributions(package)
    if not found or any(_is_from_folder(distribution) for distribution in found):
        return None
    return " ".join(sorted(f"{d.metadata['Name']}=={d.version}{d.read_text('direct_url.json') or ''}" for d in found))


def _distributions(package: str) -> list[importlib.metadata.Distribution]:
    try:
        named = importlib.metadata.distribution(package)  # mostly they have one name; to list all takes half a second
    except importlib.metadata.PackageNotFoundError:
        pass
    else:
        if any(file.parts[0] in (package, f"{package}.py") for file in named.files or ()):
            return [named]
    names = importlib.metadata.packages_distributions().get(package, ())
    return [importlib.metadata.distribution(name) for name in sorted(set(names))]


def _is_from_folder(distribution: importlib.metadata.Distribution) -> bool:
    """Whether it was installed from a folder, as `pip install .` does (PEP 610)."""
    try:
        return "dir_info" in json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
