"""What a command would do, in words: what is done, what would be trained, and how long that may take."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from statistics import mean
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, open_dict

from bakeoff.errors import UserError
from bakeoff.launch.messages import Prepared
from bakeoff.launch.plan import Plan, reasons
from bakeoff.launch.telling import tell_what_would_be_done
from bakeoff.report.records import Record, read_sweep
from bakeoff.report.table import shorten, text_table, visible
from bakeoff.runs import Outcome, claim
from bakeoff.runs.arm import EXECUTION_KEYS

WIDEST = 40  # of a value in the table
DONE = ("completed", "diverged", "failed")
ORDER = ("to train", "to go on", "running", *DONE, "duplicate", "refused")


class OnlySay(Callback):
    """A Hydra callback: a single run with `dry_run=true` ends before Hydra has made its folder."""

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before it makes the folder of a run."""
        if config.dry_run is not True:
            return
        from bakeoff.launch.task import prepare  # imports torch

        HydraConfig.instance().set_config(config)
        try:
            run = prepare(config, list(config.hydra.overrides.task))
            tell_what_would_be_done(run.identity, run.settings["retry"], Path(config.hydra.run.dir))
        except UserError as error:  # Hydra would make a warning of it
            sys.stderr.write(f"bakeoff: {error}\n")
            raise SystemExit(2) from error
        raise SystemExit(0)

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the sweeper: another launcher than ours then leaves the runs' configurations alone."""
        if config.dry_run is True:
            with open_dict(config):
                config.hydra.overrides.hydra.append("hydra.output_subdir=null")


def describe(planned: Plan, sweep: Path, workers: int) -> str:
    """A table in the order of the command, one line for the seeds of an arm; then counts and estimated time.

    The time is estimated from completed runs of the same sweep: those of the same arm, or of all arms.
    """
    states = {job.number: _state(planned, job.number) for job in planned.jobs}
    lines = [*_table(planned, states), ""]
    if planned.refused:
        lines += [f"{len(planned.refused)} of {len(planned.jobs)} runs cannot be built; none would be started:"]
        lines += [*reasons(planned), ""]
    counts = Counter(states.values())
    duplicates = {"duplicate": "duplicates" if counts["duplicate"] > 1 else "duplicate"}
    words = ", ".join(f"{counts[state]} {duplicates.get(state, state)}" for state in ORDER if counts[state])
    jobs = f"{len(planned.jobs)} run{'s' if len(planned.jobs) > 1 else ''} asked for: {words}"
    again = ["retry=failed trains the failed ones again"] if counts["failed"] else []
    return "\n".join([*lines, jobs, *again, _time(planned.to_train(), sweep, workers)])


def _state(planned: Plan, number: int) -> str:
    if number in planned.refused:
        return "refused"
    if number in planned.same:
        return "duplicate"
    done = planned.done().get(number)
    if done is not None:
        return done
    prepared = planned.prepared[number]
    folder = Path(prepared.folder)
    if claim.is_claimed(folder):
        return "running"
    return "to go on" if _before(prepared) is not None else "to train"


def _before(run: Prepared) -> Outcome | None:
    """The record of a run that goes on; one that failed starts anew."""
    found = Outcome.read(Path(run.folder))
    goes_on = found is not None and found.identity == run.identity and found.status in ("running", "interrupted")
    return found if goes_on else None


def _table(planned: Plan, states: Mapping[int, str]) -> list[str]:
    chosen = {job.number: _choices(job.overrides) for job in planned.jobs}
    first = next(iter(chosen.values()))
    several = len(planned.jobs) > 1
    common = {k: v for k, v in first.items() if several and all(other.get(k) == v for other in chosen.values())}
    keys = list(dict.fromkeys(key for choices in chosen.values() for key in choices if key not in (*common, "seed")))
    seeds: dict[tuple[str, ...], list[str]] = {}
    for number, choices in chosen.items():
        row = (states[number], *(choices.get(key, "") for key in keys))
        seeds.setdefault(row, []).append(choices.get("seed", ""))
    rows: list[Sequence[str]] = [(*row, " ".join(ranges(found))) for row, found in seeds.items()]
    header: Sequence[str] = ("state", *keys, "seed")
    if not any("seed" in choices and "seed" not in common for choices in chosen.values()):
        header, rows = header[:-1], [row[:-1] for row in rows]
    cells = [[shorten(visible(cell), WIDEST) for cell in row[:-1]] + [visible(row[-1])] for row in (header, *rows)]
    shared = " ".join(f"{key}={value}" for key, value in common.items())
    return ([f"common to all: {visible(shared)}", ""] if shared else []) + [
        text_table(cells, right=[False] * len(header))
    ]


def _choices(overrides: Iterable[str]) -> dict[str, str]:
    """Key -> value, as typed, of what is no matter of execution."""
    pairs = [override.lstrip("+").partition("=") for override in overrides]
    return {key: value for key, _, value in pairs if key.split(".")[0] not in EXECUTION_KEYS}


def ranges(numbers: Sequence[str]) -> list[str]:
    """Whole numbers that follow each other as one: 0 1 2 3 7 are 0-3 7."""
    found: list[list[str]] = []
    for number in numbers:
        follows = found and number.isdecimal() and found[-1][-1].isdecimal() and int(number) == int(found[-1][-1]) + 1
        if follows:
            found[-1].append(number)
        else:
            found.append([number])
    return [f"{run[0]}-{run[-1]}" if len(run) > 2 else " ".join(run) for run in found]


def _time(missing: Sequence[Prepared], sweep: Path, workers: int) -> str:
    if not missing:
        return "nothing to train"
    records = read_sweep(sweep).records if sweep.is_dir() else ()
    completed = [record for record in records if record.status == "completed"]
    if not completed:
        return "estimated time: unknown until a run of this sweep has completed"
    seconds = [_seconds(run, completed) for run in missing]
    workers = min(workers, len(missing))
    estimated = timedelta(seconds=max(1, round(max(sum(seconds) / workers, *seconds))))
    by = f"{len(completed)} completed run{'s' if len(completed) > 1 else ''} of this sweep"
    return f"estimated time: {estimated} with {workers} worker{'s' if workers > 1 else ''}, from {by}"


def _seconds(run: Prepared, completed: Sequence[Record]) -> float:
    folder = str(Path(run.folder).parent)
    own = [record.seconds for record in completed if str(record.path.absolute().parent) == folder]
    whole = mean(own or [record.seconds for record in completed])
    before = _before(run)
    return max(0.0, whole - before.seconds) if before is not None else whole
