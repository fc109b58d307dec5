"""What a run is called, what it is, and its record on disk. Imports no torch."""

from bakeoff.runs.arm import alike_in, arm_of, folder_name
from bakeoff.runs.folder import arm_folder
from bakeoff.runs.identity import identity_of
from bakeoff.runs.outcome import ENDED, Outcome, lower_is_better, now, objective, write_whole

__all__ = [
    "ENDED",
    "Outcome",
    "alike_in",
    "arm_folder",
    "arm_of",
    "folder_name",
    "identity_of",
    "lower_is_better",
    "now",
    "objective",
    "write_whole",
]
