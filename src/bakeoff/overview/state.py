"""What was read of a sweep, as a hash that is kept with what was made of it: by it is known what is out of date.

Times of writing cannot tell: a run may end between the reading of its record and the writing of what is shown of it,
and clocks of two machines differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bakeoff.overview.rewrite import PATTERN
from bakeoff.report.arms import Arm
from bakeoff.report.bands import METHOD
from bakeoff.report.record import Record
from bakeoff.report.records import Sweep
from bakeoff.tensorboard.hparams import HParamColumn

FORMAT = 1  # to be raised when something else is made of the same records
_LIVE = dict.fromkeys(("host", "process", "fraction_done"))  # of a run that is trained: nothing here shows them


def arm_state(arm: Arm) -> str:
    """Of all that the bands of an arm are made from: the records of its runs, and the curves of the completed ones.

    To be asked before the curves are read: what changes after that is not what was asked for.
    """
    runs = [(r.path.name, r.status, _curves_state(r) if r.status == "completed" else None) for r in arm.records]
    return _hash(FORMAT, METHOD, runs)


def _curves_state(record: Record) -> object:
    """A run only ever appends to its event files."""
    files = sorted((path.name, path.stat()) for path in record.path.glob(PATTERN))
    return _record_state(record), [(name, state.st_size, state.st_mtime_ns) for name, state in files]


def sweep_state(sweep: Sweep, metric: str, columns: Sequence[HParamColumn]) -> str:
    """Of all that the root is made from: every record, what is ranked by, and the columns of HParams."""
    records = [_record_state(record) for record in sweep.records]
    unreadable = [(_name(run.path), run.reason) for run in sweep.unreadable]
    return _hash(FORMAT, records, unreadable, sweep.tuning_note, metric, columns)


def _record_state(record: Record) -> object:
    known = asdict(record) | {"path": _name(record.path)}
    return known | _LIVE if record.status == "running" else known


def _name(run: Path) -> str:
    """Without the folders above the sweep, which may be reached by another path."""
    return f"{run.parent.name}/{run.name}"


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()
