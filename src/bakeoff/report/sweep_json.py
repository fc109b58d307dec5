"""What a sweep holds, as JSON values for a page: its choices, arms and runs.

An arm is named by its folder, a run by its path below the logdir, as in TensorBoard.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

from bakeoff.report.arms import Arm, as_text, common_choices, differing_keys, natural_key
from bakeoff.report.hydra_files import composed_config
from bakeoff.report.metric import METRIC, find_direction, find_split, resolve_metric, why_no_direction
from bakeoff.report.reader import Snapshot, SweepReader
from bakeoff.report.records import Record, UnreadableRun
from bakeoff.report.repeat import command_of
from bakeoff.tensorboard.hparams import kind_of

Json = dict[str, Any]
MAX_RUNS = 60  # with their configuration; a page that lists more is read by nobody
NOT_CURVES = ("axis/", "final/", "best/", "band/")


def sweep_json(snapshot: Snapshot, reader: SweepReader, name: str, title: str) -> Json:
    """The choices, arms and runs of a sweep, and the runs that could not be read."""
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
        "tuning_note": snapshot.sweep.tuning_note,
        "numbers": _numbers(arms, reader),
        "arms": [_arm(arm, types, name) for arm in arms],
        "unreadable": [{"run": run_name(run, name), "reason": run.reason} for run in snapshot.sweep.unreadable],
    }


def _default_metric(snapshot: Snapshot, metrics: Sequence[Json]) -> str:
    """What the latest run was ranked by; else some validation metric that there is."""
    known = [metric["name"] for metric in metrics]
    # in outcome.json since metrics have a direction; in the configuration of older runs
    chosen = (record.metric or composed_config(record.path).get("metric") for record in snapshot.sweep.records[-1:])
    metric = resolve_metric(snapshot.sweep.records, str(next(chosen, None) or METRIC))
    validated = [name for name in known if find_split(snapshot.sweep.records, name) == "val"]
    return metric if metric in known or not validated else validated[0]


def _choice(key: str, overrides: Sequence[Any]) -> Json:
    values = [arm[key] for arm in overrides if key in arm]
    kinds = {_kind(value) for value in values}
    kind = kinds.pop() if len(kinds) == 1 else "text"
    return {
        "key": key,
        "type": kind,
        "values": sorted({_choice_value(v, kind) for v in values}, key=None if kind != "text" else natural_key),
    }


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _choice_value(value: Any, kind: str) -> Any:
    """Text and numbers never share a choice: where some values are text, all are."""
    return as_text(value) if kind == "text" else value


def _numbers(arms: Sequence[Arm], reader: SweepReader) -> list[Json]:
    """Numeric hyperparameters that differ between arms, whether the command line chose them or a configuration."""
    found: dict[str, dict[str, float]] = {}
    for arm in arms:
        for key, value in reader.hyperparameters(arm.records[0].path).items():
            if kind_of(value) == "number":
                found.setdefault(key, {})[arm.folder] = float(value)
    return [{"key": key, "arms": of_arm} for key, of_arm in found.items() if len(set(of_arm.values())) > 1]


def _arm(arm: Arm, types: dict[str, str], sweep_name: str) -> Json:
    choices = {key: _choice_value(value, types[key]) for key, value in arm.overrides.items() if key in types}
    return {
        "id": arm.folder,
        "name": arm.name,
        "choices": choices,
        "runs": [_run(record, sweep_name) for record in arm.records],
    }


def _run(record: Record, sweep_name: str) -> Json:
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


def run_name(run: Record | UnreadableRun, sweep_name: str) -> str:
    """As TensorBoard names it."""
    own = f"{run.path.parent.name}/{run.path.name}"
    return own if sweep_name == "." else f"{sweep_name}/{own}"


def _metrics(snapshot: Snapshot, reader: SweepReader) -> list[Json]:
    """Those of the records, in their order there, then the curves that have no final value, such as `grad/norm`."""
    records = snapshot.sweep.records
    entries: dict[str, set[str]] = {}
    for record in records:
        for metric, values in record.metrics.items():
            entries.setdefault(metric, set()).update(values)
    curves = [tag for tag in _tags(snapshot, reader) if tag not in entries]
    summaries = [_metric(name, records, has_best="best" in values) for name, values in entries.items()]
    return summaries + [_metric(tag, records, has_summary=False) for tag in curves]


def _metric(name: str, records: Sequence[Record], *, has_best: bool = False, has_summary: bool = True) -> Json:
    """Without a direction there is no best value and no rank, and `why_no_direction` says why."""
    direction = find_direction(records, name)
    return {
        "name": name,
        "direction": direction,
        "why_no_direction": None if direction else why_no_direction(records, name),
        "best": has_best and direction is not None,
        "summary": has_summary,
        "split": find_split(records, name),
        "curve": find_split(records, name) != "test",
    }


def _tags(snapshot: Snapshot, reader: SweepReader) -> list[str]:
    """The curves of one run, taken for those of all: to read a thousand for some names would take long."""
    completed = [record for record in snapshot.sweep.records if record.status == "completed"]
    for record in [*completed[:1], *snapshot.sweep.records[:1]]:
        tags = [tag for tag in reader.curves(record.path) if not tag.startswith(NOT_CURVES)]
        if tags:
            return tags
    return []


def runs_json(snapshot: Snapshot, reader: SweepReader, arms: Iterable[str], sweep_name: str) -> Json:
    """The runs of some arms, each with its configuration and the command that repeats it."""
    folders = set(arms)
    records = [record for record in snapshot.sweep.records if record.folder in folders]
    found = [_run_details(record, reader, sweep_name) for record in records[:MAX_RUNS]]
    return {"runs": found, "truncated": len(records) > MAX_RUNS}


def _run_details(record: Record, reader: SweepReader, sweep_name: str) -> Json:
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
