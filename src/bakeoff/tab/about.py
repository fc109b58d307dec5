"""What a sweep holds, as plain data: its choices, arms and runs. No HTTP here.

The page's own words: an arm is named by its folder, a run by its path below the logdir, as in TensorBoard.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from bakeoff.report.arms import Arm, common_choices, differing_keys, natural, plain
from bakeoff.report.hydra_files import composed
from bakeoff.report.metric import METRIC, usual_metric
from bakeoff.report.records import Problem, Record
from bakeoff.report.repeat import command_of
from bakeoff.runs import lower_is_better
from bakeoff.tab.sweeps import Reader, Snapshot
from bakeoff.tensorboard.hparams import kind_of

Answer = dict[str, Any]
MOST_RUNS = 60  # with their configuration; a page that lists more is read by nobody
NOT_CURVES = ("axis/", "final/", "best/", "band/")


def sweep(snapshot: Snapshot, reader: Reader, name: str, title: str) -> Answer:
    """The choices, arms and runs of a sweep, and what was lost."""
    arms = snapshot.arms
    overrides = [arm.overrides for arm in arms]
    choices = [_choice(key, overrides) for key in differing_keys(overrides)]
    types = {choice["key"]: choice["type"] for choice in choices}
    metrics = _metrics(snapshot, reader)
    return {
        "sweep": name,
        "title": title,
        "version": snapshot.version,
        "metrics": metrics,
        "default_metric": _default_metric(snapshot, metrics),
        "choices": choices,
        "common": [{"key": key, "value": value} for key, value in common_choices(overrides).items()],
        "policy": snapshot.sweep.policy,
        "numbers": _numbers(arms, reader),
        "arms": [_arm(arm, types, name) for arm in arms],
        "problems": [{"run": run_name(problem, name), "reason": problem.reason} for problem in snapshot.sweep.problems],
    }


def _default_metric(snapshot: Snapshot, metrics: Sequence[Answer]) -> str:
    """What the sweep ranks by, as its latest run was told; else some validation metric that there is."""
    known = [metric["name"] for metric in metrics]
    asked = (composed(record.path).get("metric") for record in snapshot.sweep.records[-1:])
    metric = usual_metric(snapshot.sweep.records, str(next(asked, None) or METRIC))
    validated = [name for name in known if name.startswith("val/")]
    return metric if metric in known or not validated else validated[0]


def _choice(key: str, overrides: Sequence[Any]) -> Answer:
    values = [arm[key] for arm in overrides if key in arm]
    kinds = {_kind(value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else "text"
    return {
        "key": key,
        "type": kind,
        "values": sorted({_value(v, kind) for v in values}, key=None if kind != "text" else natural),
    }


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _value(value: Any, kind: str) -> Any:
    """Text and numbers never share a choice: where some values are text, all are."""
    return plain(value) if kind == "text" else value


def _numbers(arms: Sequence[Arm], reader: Reader) -> list[Answer]:
    """Numeric hyperparameters that differ between arms, whether the command line chose them or a configuration."""
    found: dict[str, dict[str, float]] = {}
    for arm in arms:
        for key, value in reader.hyperparameters(arm.records[0].path).items():
            if kind_of(value) == "number":
                found.setdefault(key, {})[arm.folder] = float(value)
    return [{"key": key, "arms": of} for key, of in found.items() if len(set(of.values())) > 1]


def _arm(arm: Arm, types: dict[str, str], sweep_name: str) -> Answer:
    choices = {key: _value(value, types[key]) for key, value in arm.overrides.items() if key in types}
    return {
        "id": arm.folder,
        "name": arm.name,
        "choices": choices,
        "runs": [_run(record, sweep_name) for record in arm.records],
    }


def _run(record: Record, sweep_name: str) -> Answer:
    error = record.error and {key: record.error.get(key) for key in ("type", "message", "step")}
    return {
        "seed": record.seed,
        "run": run_name(record, sweep_name),
        "status": record.status,
        "steps": record.steps,
        "epochs": record.epochs,
        "samples": record.samples,
        "seconds": record.seconds,
        "metrics": record.metrics,
        "error": error,
    }


def run_name(run: Record | Problem, sweep_name: str) -> str:
    """As TensorBoard names it."""
    own = f"{run.path.parent.name}/{run.path.name}"
    return own if sweep_name == "." else f"{sweep_name}/{own}"


def _metrics(snapshot: Snapshot, reader: Reader) -> list[Answer]:
    """Those of the records, in their order there, then the curves that have no final value, such as `grad/norm`."""
    entries: dict[str, set[str]] = {}
    for record in snapshot.sweep.records:
        for metric, values in record.metrics.items():
            entries.setdefault(metric, set()).update(values)
    found: list[Answer] = [_metric(metric, "best" in values, True) for metric, values in entries.items()]
    return found + [_metric(tag, False, False) for tag in _tags(snapshot, reader) if tag not in entries]


def _metric(name: str, best: bool, summary: bool) -> Answer:
    return {
        "name": name,
        "lower_is_better": lower_is_better(name),
        "best": best,
        "summary": summary,
        "curve": not name.startswith("test/"),
        "rank": summary and name.startswith("val/"),
    }


def _tags(snapshot: Snapshot, reader: Reader) -> list[str]:
    """The curves of one run, taken for those of all: to read a thousand for some names would take long."""
    ended = [record for record in snapshot.sweep.records if record.status == "completed"]
    for record in [*ended[:1], *snapshot.sweep.records[:1]]:
        tags = [tag for tag in reader.curves(record.path) if not tag.startswith(NOT_CURVES)]
        if tags:
            return tags
    return []


def runs(snapshot: Snapshot, reader: Reader, arms: Iterable[str], sweep_name: str) -> Answer:
    """The runs of some arms, each with its configuration and the command that repeats it."""
    wanted = set(arms)
    records = [record for record in snapshot.sweep.records if record.folder in wanted]
    found = [_detail(record, reader, sweep_name) for record in records[:MOST_RUNS]]
    return {"runs": found, "truncated": len(records) > MOST_RUNS}


def _detail(record: Record, reader: Reader, sweep_name: str) -> Answer:
    config = record.path / ".hydra" / "config.yaml"
    return {
        "arm": record.folder,
        "seed": record.seed,
        "run": run_name(record, sweep_name),
        "status": record.status,
        "command": command_of(record),
        "config": config.read_text("utf-8", errors="replace") if os.access(config, os.R_OK) else None,
        "settings": reader.hyperparameters(record.path),
        "error": record.error,
    }
