"""Recognizes a finished run before its configuration is composed, which takes 60 ms.

A command's fingerprint is a hash of its overrides, of all configuration files, and of the working directory. Beside it
stand the fingerprints of the files that decide the result without being configuration: a user's own classes by their
content, data by size and time. Same command, same files: same identity. Anything else is composed, and its identity
decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath

from bakeoff.runs.execution import COMPARISON_KEYS, EXECUTION_KEYS, LOCATION_KEYS

MAX_FILES = 5000  # of data; with more, a run is composed
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


def file_fingerprints(data: Mapping[str, Any], sources: Iterable[str], has_digest: bool) -> FileFingerprints | None:
    """The files beside the configuration that decide a result, as they are now; None where they cannot be known.

    Args:
        data: the settings of the data.
        sources: the files that define a user's own classes.
        has_digest: whether the content of the data is part of the identity, and not its settings alone.

    """
    found = {f"source {source}": _fingerprint_of_source(source) for source in sources}
    if not has_digest:
        return found
    if not str(data.get("_target_", "")).startswith("bakeoff."):
        return None  # a user's own function may read anything
    for path in _paths(data):
        fingerprint = _fingerprint_of_data(path)
        if fingerprint is None:
            return None
        found[f"data {path}"] = fingerprint
    return found


def is_unchanged(before: Mapping[str, Any], known: dict[str, Any]) -> bool:
    """Whether all these files are as they were; `known` caches what was read, for the next run."""
    for name, fingerprint in before.items():
        if name not in known:
            kind, _, path = name.partition(" ")
            known[name] = _fingerprint_of_source(path) if kind == "source" else _fingerprint_of_data(path)
        if known[name] != fingerprint:
            return False
    return True


def _fingerprint_of_source(path: str) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def _paths(node: Any) -> Iterator[str]:
    """Texts in the settings of the data that are paths of something that exists."""
    if isinstance(node, Mapping):
        for key, item in node.items():
            if not str(key).startswith("_"):
                yield from _paths(item)
    elif isinstance(node, str) and node and os.path.exists(os.path.expanduser(node)):
        yield os.path.abspath(os.path.expanduser(node))


def _fingerprint_of_data(path: str) -> str | None:
    """Size and time of a file, or of all files below a folder."""
    sha, count = hashlib.sha256(), 0
    for file in _files_below(path):
        count += 1
        if count > MAX_FILES:
            return None
        try:
            state = os.stat(file)
        except OSError:
            continue
        sha.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode())
    return sha.hexdigest()


def _files_below(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            yield os.path.join(folder, name)
