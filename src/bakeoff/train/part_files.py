"""The files that net, loss, optimizer, schedule and callbacks are made from: those that their settings name.

Only files that are read as the run is built count: a part may as well write to a file that its settings name, and a
text such as `mean` may be the name of a file that has nothing to do with it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bakeoff.errors import UserError
from bakeoff.runs.file_state import Limit, content_of, state_of
from bakeoff.train.data_files import named_files
from bakeoff.train.files_read import FilesRead, first_changed, not_beneath
from bakeoff.train.settings import PARTS, Settings

LIMIT = Limit(files=10_000, size=2**30)
SHOWN = 3

_read_so_far: set[str] = set()  # by this process: a part may keep what it has read for the next run


@dataclass(frozen=True)
class PartFiles:
    """What is known of them: `contents` by key, which stand in the identity, and `states` by path, to see a change.

    `assumed` says which files were read beside them; None where none was.
    """

    contents: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, str | None] = field(default_factory=dict)
    assumed: str | None = None


def part_files(settings: Settings, read: FilesRead) -> PartFiles:
    """Those of the settings, where `read` are the files that were read as the parts were built.

    Raises:
        UserError: one has changed since; what the part holds of it nobody knows.

    """
    _read_so_far.update(map(os.path.realpath, read))
    nodes: dict[str, Any] = {part: settings.part(part) for part in PARTS if part != "data"}
    nodes |= {"callbacks": dict(settings.callbacks), "schedules": settings.scheduled_options}
    named = named_files(nodes, with_defaults=True)
    paths = {key: path for key, path in named.items() if os.path.realpath(path) in _read_so_far}
    found = {key: content_of([path], LIMIT) for key, path in paths.items()}
    others = set(not_beneath(read, paths.values()))
    if (changed := first_changed({path: state for path, state in read.items() if path not in others})) is not None:
        raise UserError(f"{os.path.relpath(changed)} changed while the run was built; run the command again")
    contents = {key: content for key, (content, _) in found.items()}
    known = [paths[key] for key, (_, is_read) in found.items() if is_read]
    unnamed = sorted(os.path.relpath(path) for path in not_beneath(read, known))
    more = f" and {len(unnamed) - SHOWN} more" if len(unnamed) > SHOWN else ""
    assumed = f"{', '.join(unnamed[:SHOWN])}{more}, read as the run is built" if unnamed else None
    return PartFiles(contents, {path: state_of(path) for path in paths.values()}, assumed)
