"""Configuration -> outcome, for one run. Names no concrete loss, optimizer, model or data set."""

from bakeoff.train.first_step import describe_first_step
from bakeoff.train.open_run import record_build_failure, train_if_unclaimed
from bakeoff.train.parse_settings import resolve_settings
from bakeoff.train.prepare import build_failure, prepare, run_folder, save_configuration, silence
from bakeoff.train.run import Run, build_run
from bakeoff.train.session import RunSession
from bakeoff.train.settings import Settings
from bakeoff.train.several import train
from bakeoff.train.solo import train_solo

__all__ = [
    "Run",
    "RunSession",
    "Settings",
    "build_failure",
    "build_run",
    "describe_first_step",
    "prepare",
    "record_build_failure",
    "resolve_settings",
    "run_folder",
    "save_configuration",
    "silence",
    "train",
    "train_if_unclaimed",
    "train_solo",
]
