"""Recognizes a finished run before its configuration is composed, which takes 60 ms.

A command's fingerprint is a hash of its overrides, of all configuration files, and of the working directory. Beside it
stand the fingerprints of what decides the result without being configuration: the user's own modules, and the files of
the data as they were when it was loaded. Same command, same files: same identity. Anything else is composed, and its
identity decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath

from bakeoff.runs.execution import COMPARISON_KEYS, EXECUTION_KEYS, LOCATION_KEYS
from bakeoff.runs.file_state import state_of
from bakeoff.runs.modules import own_modules

SUFFIXES = (".yaml", ".yml")
_ENVIRONMENT = re.compile(rb"\$\{(?:oc\.)?env:\s*['\"]?(\w+)")

FileFingerprints = dict[str, str]


def configuration_hash(search_path: ConfigSearchPath, added: Iterable[str] = ()) -> str:
    """A hash of all configuration files that Hydra would find, of what they read from the environment, and of where.

    `added` are the paths that `hydra.searchpath` adds to the path.
    """
    sha = hashlib.sha256(os.getcwd().encode())
    elements = [(str(element.provider), str(element.path)) for element in search_path.get_path()]
    for provider, location in [*elements, *(("hydra.searchpath", path) for path in added)]:
        folder = _folder(location)
        sha.update(f"\n{provider} {location}".encode())
        for path in _configurations(folder) if folder else ():
            content = path.read_bytes()
            sha.update(f"\n{path} {len(content)}\n".encode() + content + _environment(content))
    return sha.hexdigest()


def _environment(content: bytes) -> bytes:
    """What a configuration reads from the environment, name and value."""
    return b"".join(b"\n" + name + b"=" + os.environb.get(name, b"") for name in _ENVIRONMENT.findall(content))


def _folder(location: str) -> Path | None:
    """Of a `file://` location; a package's own (`pkg://`) changes with its version only, and is known by its name."""
    if location.startswith("file://"):
        return Path(location.removeprefix("file://")).absolute()
    return Path(location).absolute() if "://" not in location else None


def _configurations(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def command_fingerprint(overrides: Iterable[str], configuration: str) -> str:
    """A hash of the overrides that may decide a result or a name, and of the configuration that they act on."""
    asked = json.dumps([configuration, *(override for override in overrides if not _is_execution(override))]).encode()
    return hashlib.sha256(asked + _environment(asked)).hexdigest()


def _is_execution(override: str) -> bool:
    key = override.split("=", 1)[0].lstrip("+~")
    return (
        key.split(".")[0] in EXECUTION_KEYS | COMPARISON_KEYS
        or key in LOCATION_KEYS - {"seed"}
        or key.startswith("hydra.")
    )


def file_fingerprints(names: Sequence[str], modules: Mapping[str, str], data: Mapping[str, str]) -> FileFingerprints:
    """What beside the configuration decides a result, and can be seen without building the run.

    Args:
        names: of the user's own classes, from which `modules` were found.
        modules: `bakeoff.runs.modules.own_modules` of these names.
        data: the files of the data, path -> `bakeoff.runs.file_state.state_of` it, when it was loaded.

    """
    found = {f"modules {' '.join(names)}": _hash(modules)} if names else {}
    return found | {f"data {path}": state for path, state in data.items()}


def data_fingerprint(data: Mapping[str, Any], batch_size: int | str) -> str:
    """Names data that must be loaded to know whether it is the same: what it is made of, beside files."""
    return _hash({"data": json.dumps([data, batch_size], sort_keys=True, default=str)})


def is_unchanged(before: Mapping[str, Any], known: dict[str, Any]) -> bool:
    """Whether all this is as it was; `known` caches what was found, for the next run."""
    for name, fingerprint in before.items():
        if name not in known:
            kind, _, text = name.partition(" ")
            known[name] = _present(kind, text)
        if known[name] is None or known[name] != fingerprint:
            return False
    return True


def _hash(modules: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(modules, sort_keys=True).encode()).hexdigest()


def _present(kind: str, text: str) -> str | None:
    if kind == "modules":
        return _hash(own_modules(text.split()))
    return state_of(text) if kind == "data" else None  # an earlier version kept something else
