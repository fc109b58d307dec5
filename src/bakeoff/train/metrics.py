"""Builds the metrics that a user names beside ours: `metrics.f1._target_=torchmetrics.F1Score`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchmetrics import Metric

from bakeoff.errors import UserError
from bakeoff.module.counted import CountedLabels
from bakeoff.module.task import Kind, Task
from bakeoff.runs import METRICS, Direction
from bakeoff.runs.metrics import EMA
from bakeoff.train.instantiate import instantiate
from bakeoff.train.net import arguments_of, locate

# What torchmetrics calls our tasks. Its regression metrics have no such argument.
TORCHMETRICS_TASKS: Mapping[Kind, str] = {"classification": "multiclass", "multilabel": "multilabel"}


def metrics_from(settings: Mapping[str, Mapping[str, Any]], task: Task, loss: Any) -> dict[str, Metric]:
    """Name -> metric. Of `task`, `num_classes`, `num_labels`, `ignore_index` those that are not given are filled in.

    Raises:
        UserError: one cannot be built, is no metric, or has the name of one of ours.

    """
    return {name: _metric(name, node, task, loss) for name, node in settings.items()}


def directions_of(metrics: Mapping[str, Metric]) -> dict[str, Direction | None]:
    """`val/<name>` -> the direction that the metric states (`higher_is_better`); of averaged weights, too."""
    known: dict[bool | None, Direction | None] = {True: "max", False: "min", None: None}
    splits = ("val", f"val/{EMA}")
    return {f"{split}/{name}": known[metric.higher_is_better] for split in splits for name, metric in metrics.items()}


def _metric(name: str, node: Any, task: Task, loss: Any) -> Metric:
    part = f"metrics.{name}"
    if name in METRICS or not name.isidentifier():
        taken = f"{name} is one of ours" if name in METRICS else "it must be letters, digits and _"
        raise UserError(f"{part}: give it another name; {taken}")
    if not isinstance(node, Mapping) or not node.get("_target_"):
        raise UserError(f"{part}: no class is named; give {part}._target_=torchmetrics.F1Score, or a class of your own")
    metric = instantiate(part, node, **_filled(arguments_of(locate(part, node)), node, task, loss))
    if not isinstance(metric, Metric):
        raise UserError(f"{part}: {node['_target_']} gave a {type(metric).__name__}, not a torchmetrics.Metric")
    return metric


def _filled(parameters: Mapping[str, Any], node: Mapping[str, Any], task: Task, loss: Any) -> dict[str, Any]:
    kind = TORCHMETRICS_TASKS.get(task.kind)
    values = {
        "task": kind,
        "num_classes": task.n_out if kind == "multiclass" else None,
        "num_labels": task.n_out if kind == "multilabel" else None,
        "ignore_index": CountedLabels(loss).ignored if kind == "multiclass" else None,
    }
    missing = [name for name in values if name in parameters and name not in node]
    return {name: values[name] for name in missing if values[name] is not None}
