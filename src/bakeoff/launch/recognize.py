"""Finds the finished runs of a multirun by their commands, without composing them; of each data set one run at most."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.runs import Outcome, ReuseRule
from bakeoff.runs.fingerprint import command_fingerprint, is_unchanged
from bakeoff.workers import BuiltRun, Job


class FinishedRun(NamedTuple):
    """A run that is finished: its record, and where that is."""

    outcome: Outcome
    folder: str

    @property
    def data(self) -> str | None:
        """Names the data, if it must be loaded to know that it is the same."""
        data: str | None = (self.outcome.fingerprint or {}).get("data")
        return data


class Recognized:
    """Jobs whose commands and files are those of finished runs; number -> run.

    `known` are finished. Those in `likely` are, too, if their data is the same, which only loading it tells. One run
    of each such data set is to be built for that (`probes`); `confirm` then sorts in the others.
    """

    def __init__(self, jobs: Sequence[Job], sweep: Path, configuration: str, reuse_rule: ReuseRule) -> None:
        finished = {
            run.outcome.fingerprint["command"]: run
            for run in _finished(sweep, reuse_rule)
            if run.outcome.fingerprint is not None
        }
        files: dict[str, str | None] = {}
        found = {job.number: finished.get(command_fingerprint(job.overrides, configuration)) for job in jobs}
        same = {n: run for n, run in found.items() if run is not None and is_unchanged(_files(run), files)}
        self.known = {number: run for number, run in same.items() if run.data is None}
        self.likely = {number: run for number, run in same.items() if run.data is not None}
        self.probes = {run.data: number for number, run in reversed(self.likely.items())}

    def confirm(self, built: Mapping[int, BuiltRun]) -> None:
        """Moves from `likely` to `known` what has the data of a probe that proved to be the same run."""
        for data, number in self.probes.items():
            probe = built.get(number)
            if probe is not None and probe.finished and probe.identity == self.likely[number].outcome.identity:
                self.known |= {n: run for n, run in self.likely.items() if run.data == data and n != number}


def _finished(sweep: Path, reuse_rule: ReuseRule) -> Iterator[FinishedRun]:
    for path in sweep.glob("*/seed=*/outcome.json"):
        outcome = Outcome.read(path.parent)
        if outcome is None or not outcome.fingerprint or "command" not in outcome.fingerprint:
            continue
        if reuse_rule.is_finished(outcome):
            yield FinishedRun(outcome, os.path.abspath(path.parent))


def _files(run: FinishedRun) -> Mapping[str, str]:
    files: Mapping[str, str] = (run.outcome.fingerprint or {})["files"]
    return files
