"""How a run that is done is known before its configuration is composed, which takes 60 ms.

A request is a hash of the command's overrides, of all configuration files, and of the working directory; beside it
stand the files that decide the result without being configuration: a user's own classes by their content, data by size
and time. Same request, same files: same identity. Anything else is composed, and its identity decides.
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

from bakeoff.runs.arm import EXECUTION_KEYS, PLACE_KEYS

MOST_FILES = 5000  # of data; more are not looked at one by one: such a run is composed
SUFFIXES = (".yaml", ".yml")
_ENVIRONMENT = re.compile(rb"\$\{(?:oc\.)?env:\s*['\"]?(\w+)")

Stamps = dict[str, str]


def configuration_hash(search_path: ConfigSearchPath, added: Iterable[str] = ()) -> str:
    """A hash of all configuration files that Hydra would find, of what they read from the environment, and of where.

    `added` are the places that `hydra.searchpath` adds to the path.
    """
    sha = hashlib.sha256(os.getcwd().encode())
    elements = [(str(element.provider), str(element.path)) for element in search_path.get_path()]
    for provider, place in [*elements, *(("hydra.searchpath", place) for place in added)]:
        folder = _folder(place)
        sha.update(f"\n{provider} {place}".encode())
        for path in _configurations(folder) if folder else ():
            content = path.read_bytes()
            sha.update(f"\n{path} {len(content)}\n".encode() + content + _environment(content))
    return sha.hexdigest()


def _environment(content: bytes) -> bytes:
    """What a configuration reads from the environment, name and value."""
    return b"".join(b"\n" + name + b"=" + os.environb.get(name, b"") for name in _ENVIRONMENT.findall(content))


def _folder(place: str) -> Path | None:
    """Of a `file://` place; a package's own (`pkg://`) changes with its version only, and is known by its name."""
    if place.startswith("file://"):
        return Path(place.removeprefix("file://")).absolute()
    return Path(place).absolute() if "://" not in place else None


def _configurations(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())


def request_key(overrides: Iterable[str], configuration: str) -> str:
    """A hash of the overrides that may decide a result or a name, and of the configuration that they act on."""
    asked = json.dumps([configuration, *(override for override in overrides if not _is_execution(override))]).encode()
    return hashlib.sha256(asked + _environment(asked)).hexdigest()


def _is_execution(override: str) -> bool:
    key = override.split("=", 1)[0].lstrip("+~")
    return key.split(".")[0] in EXECUTION_KEYS or key in PLACE_KEYS - {"seed"} or key.startswith("hydra.")


def stamps(data: Mapping[str, Any], sources: Iterable[str], has_digest: bool) -> Stamps | None:
    """The files beside the configuration that decide a result, as they are now; None where they cannot be known.

    Args:
        data: the settings of the data.
        sources: the files that define a user's own classes.
        has_digest: whether the content of the data is part of the identity, and not its settings alone.

    """
    found = {f"source {source}": _stamp_of_source(source) for source in sources}
    if not has_digest:
        return found
    if not str(data.get("_target_", "")).startswith("bakeoff."):
        return None  # a user's own function may read anything
    for place in _paths(data):
        stamp = _stamp_of_data(place)
        if stamp is None:
            return None
        found[f"data {place}"] = stamp
    return found


def unchanged(before: Mapping[str, Any], known: dict[str, Any]) -> bool:
    """Whether all these files are as they were; `known` keeps what was looked at, for the next run."""
    for name, stamp in before.items():
        if name not in known:
            kind, _, place = name.partition(" ")
            known[name] = _stamp_of_source(place) if kind == "source" else _stamp_of_data(place)
        if known[name] != stamp:
            return False
    return True


def _stamp_of_source(place: str) -> str:
    try:
        return hashlib.sha256(Path(place).read_bytes()).hexdigest()
    except OSError:
        return ""


def _paths(node: Any) -> Iterator[str]:
    """Texts in the settings of the data that are paths of something that is there."""
    if isinstance(node, Mapping):
        for key, item in node.items():
            if not str(key).startswith("_"):
                yield from _paths(item)
    elif isinstance(node, str) and node and os.path.exists(os.path.expanduser(node)):
        yield os.path.abspath(os.path.expanduser(node))


def _stamp_of_data(place: str) -> str | None:
    """Size and time of a file, or of all files below a folder."""
    sha, count = hashlib.sha256(), 0
    for path in _files_below(place):
        count += 1
        if count > MOST_FILES:
            return None
        try:
            state = os.stat(path)
        except OSError:
            continue
        sha.update(f"{path} {state.st_size} {state.st_mtime_ns}\n".encode())
    return sha.hexdigest()


def _files_below(place: str) -> Iterator[str]:
    if os.path.isfile(place):
        yield place
    seen = set()
    for folder, folders, files in os.walk(place, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:  # a link to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        for name in sorted(files):
            yield os.path.join(folder, name)
