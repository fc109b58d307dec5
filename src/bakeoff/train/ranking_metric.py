"""What the arms of a run's sweep are ranked by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakeoff.errors import UserError, did_you_mean
from bakeoff.runs import Direction, direction_of, find_metric, metric_names
from bakeoff.runs.metrics import EMA, column_names

DEFAULT_METRIC = "val/accuracy"
RANKED_BY = {  # what the default metric stands for
    "classification": "val/accuracy",
    "multilabel": "val/accuracy",
    "regression": "val/rmse",
}


def resolve_metric(
    metric: Any,
    stated: str | None,
    task: str,
    n_out: int,
    given: Mapping[str, Direction | None] | None = None,
    *,
    has_average: bool = False,
) -> tuple[str, Direction]:
    """The metric that arms are ranked by, and its direction. The default stands for RMSE where the task is regression.

    A metric of the user's own, which a callback of theirs logs, is taken with the direction that is stated for it.
    `given` are those of the group `metrics`, `val/<name>`, with the direction that they state themselves.
    `has_average` says whether averaged weights are measured, too, as `val/ema/<name>`.

    Raises:
        UserError: no such validation metric, or its direction is not known; names those there are.

    """
    if metric == DEFAULT_METRIC:
        metric = RANKED_BY[task]
    known = [f"val/{name}" for name in _in_ranking_order(task) if name != "top5" or n_out > 5]
    by_column = column_names(n_out) if task == "regression" else []
    if str(metric).startswith(f"val/{EMA}/") and not has_average:
        raise UserError(f"metric={metric}: the weights are not averaged; give ema.decay=0.999")
    if str(metric) in (given or {}):
        return str(metric), _direction_of_given(str(metric), (given or {})[str(metric)], stated)
    if str(metric).replace(f"val/{EMA}/", "val/", 1) in [*known, *(f"val/{name}" for name in by_column)]:
        return str(metric), direction_of(metric, stated)
    if str(metric).startswith("test/"):
        raise UserError(f"metric={metric}: test data chooses nothing; use one of {', '.join(known)}")
    if stated is not None and str(metric).startswith("val/") and find_metric(str(metric)) is None:
        return str(metric), direction_of(str(metric), stated)
    known += [name for name in given or {} if not name.startswith(f"val/{EMA}/")]
    if has_average:
        known += [name.replace("val/", f"val/{EMA}/", 1) for name in known]
    hint = did_you_mean(str(metric), known)
    raise UserError(
        f"unknown metric {metric}{hint}; there are {', '.join(known)}; "
        "for one that your own code logs as val/..., say metric_direction=min or metric_direction=max"
    )


def resolve_own_metric(
    metric: str,
    stated: str | None,
    module: str,
    logged: Mapping[str, Direction | None],
    *,
    may_log_more: bool,
) -> tuple[str, Direction]:
    """The metric of a LightningModule of the user's own, and its direction.

    Args:
        metric: what is asked for.
        stated: its direction, where the user gives it.
        module: the name of the module's class.
        logged: what it logs on validation, with the direction that torchmetrics says.
        may_log_more: whether that is not all: it could not be tried, or callbacks log, too.

    Raises:
        UserError: it is not logged, or its direction is not known.

    """
    if metric.startswith("test/"):
        raise UserError(f"metric={metric}: test data chooses nothing")
    if metric not in logged and not may_log_more:
        names = ", ".join(sorted(logged)) or "nothing"
        raise UserError(f"metric={metric}: {module} logs on validation {names}{_give(logged)}")
    known = logged.get(metric) if find_metric(metric) is None else None
    return metric, _direction_of_given(metric, known, stated)


def _direction_of_given(metric: str, known: Direction | None, stated: str | None) -> Direction:
    """`known` is what torchmetrics says."""
    if known is not None and stated not in (None, known):
        raise UserError(f"metric_direction={stated}, but torchmetrics says {known} of {metric}")
    return direction_of(metric, known or stated)


def _give(logged: Mapping[str, Direction | None]) -> str:
    for name, direction in logged.items():
        known = direction or find_metric(name)
        return f"; give metric={name}" if known else f"; give metric={name} and metric_direction=min or =max"
    return ': log a metric there, as by self.log("val_accuracy", ...)'


def _in_ranking_order(task: str) -> list[str]:
    """The one that arms are ranked by comes first."""
    default = RANKED_BY[task].removeprefix("val/")
    return [default, *(name for name in metric_names(task) if name != default)]
