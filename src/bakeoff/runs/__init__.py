"""What a run is called, what it is, who trains it, and its record on disk. Imports no torch."""

from bakeoff.runs.arm import arm_of, constant_keys, folder_name, override_values
from bakeoff.runs.files import write_atomically
from bakeoff.runs.finished import ReuseRule, finished_outcome, finished_outcome_since, resumable_outcome
from bakeoff.runs.folder import arm_folder, belongs_to_other_arm, default_folder_name
from bakeoff.runs.identity import identity_of
from bakeoff.runs.metrics import METRICS, Direction, direction_of, find_metric, is_better, metric_names
from bakeoff.runs.outcome import FINAL_STATUSES, STATUSES, Outcome, objective, parse_outcome, utc_now
from bakeoff.runs.stop import INTERRUPTED_STATUS, StopRequest

__all__ = [
    "FINAL_STATUSES",
    "INTERRUPTED_STATUS",
    "METRICS",
    "STATUSES",
    "Direction",
    "Outcome",
    "ReuseRule",
    "StopRequest",
    "arm_folder",
    "arm_of",
    "belongs_to_other_arm",
    "constant_keys",
    "default_folder_name",
    "direction_of",
    "find_metric",
    "finished_outcome",
    "finished_outcome_since",
    "folder_name",
    "identity_of",
    "is_better",
    "metric_names",
    "objective",
    "override_values",
    "parse_outcome",
    "resumable_outcome",
    "utc_now",
    "write_atomically",
]
