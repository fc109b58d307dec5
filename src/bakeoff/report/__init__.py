"""From the records that runs leave on disk to tables, curves and JSON; needs no torch and no Lightning.

`records` reads a sweep folder, `arms` groups and names what it holds, `metric` says what ranks and in which direction.
`ranking` ranks and `standing` says which arms may be the best, `effects` what each choice changes, `answer` says so in
words, `leaderboard` prints the arms, `sweep_text` all of it, `verdict_json` the same for programs. `filters` picks runs
and `runs_table` lists them, `runs_csv` writes them as CSV, `repeat` gives the command of one. `curves` reads event
files and `bands` averages them over seeds; `reader`, `sweep_json` and `measures_json` give a page its data.
`bakeoff-report` is `command.main`, `bakeoff-runs` is `runs_command.main`.

Each name below is imported when it is first used: `bakeoff-runs` starts without numpy, scipy and TensorBoard.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bakeoff.report.arms import Arm as Arm
    from bakeoff.report.arms import group_arms as group_arms
    from bakeoff.report.bands import arm_curves as arm_curves
    from bakeoff.report.bands import band as band
    from bakeoff.report.curves import Curve as Curve
    from bakeoff.report.curves import read_curves as read_curves
    from bakeoff.report.leaderboard import render as render
    from bakeoff.report.metric import METRIC as METRIC
    from bakeoff.report.metric import metric_direction as metric_direction
    from bakeoff.report.metric import resolve_metric as resolve_metric
    from bakeoff.report.ranking import Row as Row
    from bakeoff.report.ranking import rank_arms as rank_arms
    from bakeoff.report.record import Record as Record
    from bakeoff.report.records import Sweep as Sweep
    from bakeoff.report.records import UnreadableRun as UnreadableRun
    from bakeoff.report.records import read_sweep as read_sweep

_MODULES = {
    "METRIC": "metric",
    "Arm": "arms",
    "Curve": "curves",
    "Record": "record",
    "Row": "ranking",
    "Sweep": "records",
    "UnreadableRun": "records",
    "arm_curves": "bands",
    "band": "bands",
    "group_arms": "arms",
    "metric_direction": "metric",
    "rank_arms": "ranking",
    "read_curves": "curves",
    "read_sweep": "records",
    "render": "leaderboard",
    "resolve_metric": "metric",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
