"""Where a run lives: `<root>/<sweep>/<arm>/seed=<n>`, with two identities never sharing a name."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from bakeoff.runs.arm import HASH_LENGTH, MAX_NAME_BYTES, cut, folder_name
from bakeoff.runs.outcome import FILE_NAME


def arm_folder(sweep: Path, arm: Mapping[str, Any], identity: Callable[[int], str], alike: Collection[str] = ()) -> str:
    """The name of the arm's folder in `sweep`.

    It is built from the arm, without the keys that are `alike` in all arms of the command, so that it shows what
    differs. Where runs of another identity have that name already (another command's, or a default or the data has
    changed since), the whole arm is its name, and where that is taken too, `~<hash>` sets the new runs apart; nothing
    is renamed. `identity` gives the identity of this arm's run with a seed, and is asked only if the folder exists,
    since it has to read the data.
    """
    differing = {key: value for key, value in arm.items() if key not in alike}
    name = folder_name(arm)
    for candidate in (folder_name(differing or arm), name):
        if all(_recorded_identity(path) in (None, identity(seed)) for seed, path in _seeds(sweep / candidate)):
            return candidate
    digest = identity(0)[:HASH_LENGTH]
    return f"{cut(name, MAX_NAME_BYTES - HASH_LENGTH - 1)}~{digest}"


def _seeds(arm_folder: Path) -> list[tuple[int, Path]]:
    found = []
    for path in sorted(arm_folder.glob(f"seed=*/{FILE_NAME}")):
        seed = path.parent.name.removeprefix("seed=")
        if seed.isdecimal():
            found.append((int(seed), path))
    return found


def _recorded_identity(path: Path) -> str | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # damaged: nothing there that could be mistaken for another run
    return record.get("identity") if isinstance(record, dict) else None
