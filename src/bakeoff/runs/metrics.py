"""The one table of metrics: direction, task and unit by name. Read by training, reports and the tab.

Nothing is guessed from a name: a metric that is not in the table has the direction that the user states with
`metric_direction`, or none. Without a direction there is no best value and no ranking.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bakeoff.errors import UserError

Direction = Literal["min", "max"]
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Metric:
    """What is known of a metric. `tasks` is empty for one that fits any task; `unit` is what its values are in."""

    direction: Direction
    tasks: tuple[Literal["classification", "multilabel", "regression"], ...]
    unit: str


METRICS = {
    "loss": Metric("min", (), "the loss's own"),
    "accuracy": Metric("max", ("classification", "multilabel"), "fraction of labels"),
    "exact_match": Metric("max", ("multilabel",), "fraction of examples"),
    "top5": Metric("max", ("classification",), "fraction of labels"),
    "nll": Metric("min", ("classification", "multilabel"), "nats per label"),
    "ece": Metric("min", ("classification",), "fraction"),
    "rmse": Metric("min", ("regression",), "the target's own"),
    "mae": Metric("min", ("regression",), "the target's own"),
    "r2": Metric("max", ("regression",), "fraction of the variance"),
}
_VALIDATION = re.compile(r"^(validation|valid|val)(?![a-zA-Z])")
EMA = "ema"  # val/ema/accuracy: of the exponential average of the weights
BY_COLUMN = ("rmse", "r2")  # given for each column of regression targets too, where there are a few
MAX_COLUMNS = 16


def find_metric(name: str) -> Metric | None:
    """The table's entry for a metric such as `val/rmse`, or `val/rmse/0` of one column; None for a user's own.

    `val/ema/rmse` is the same of the average of the weights.
    """
    split, _, metric = name.partition("/")
    metric = metric.removeprefix(f"{EMA}/")
    base, _, column = metric.partition("/")
    if split not in SPLITS or (column and not (base in BY_COLUMN and column.isdecimal())):
        return None
    return METRICS.get(base if column else metric)


def split_of(name: str, stated: Mapping[str, str]) -> str | None:
    """On which part of the data a metric is measured: as its name says (`val/rmse`), or what a record states."""
    prefix = name.partition("/")[0]
    return prefix if prefix in SPLITS else stated.get(name)


def on_test_data(name: str) -> str:
    """The name of the same metric on test data: `test/rmse` for `val/rmse`, `test_acc` for `val_acc`."""
    twin = _VALIDATION.sub("test", name)
    return twin if twin != name else f"test/{name}"


def metric_names(task: str) -> list[str]:
    """The names of all metrics of a task, without a split."""
    return [name for name, metric in METRICS.items() if not metric.tasks or task in metric.tasks]


def has_columns(n_out: int) -> bool:
    """Whether regression targets of so many columns are measured by column, too."""
    return 2 <= n_out <= MAX_COLUMNS


def column_names(n_out: int) -> list[str]:
    """The names of the metrics of each column: `rmse/0`, `r2/0` and so on."""
    return [f"{name}/{column}" for column in range(n_out) for name in BY_COLUMN] if has_columns(n_out) else []


def direction_of(name: str, stated: str | None = None) -> Direction:
    """Whether a metric is to be made small (`min`) or large (`max`).

    Args:
        name: the metric, with its split: `val/rmse`.
        stated: what the user says of it.

    Raises:
        UserError: the user says something else than the table, or neither says anything.

    """
    known = find_metric(name)
    if stated not in (None, "min", "max"):
        raise UserError(f"metric_direction must be min or max, got {stated}")
    if known is not None:
        if stated not in (None, known.direction):
            raise UserError(f"metric_direction={stated}, but {name} is better when it is {_word(known.direction)}")
        return known.direction
    if stated is None:
        raise UserError(f"it is not known whether {name} is better small or large; give metric_direction=min or =max")
    return "min" if stated == "min" else "max"


def is_better(value: float, best: float | None, direction: Direction) -> bool:
    """Whether a value is finite and beats the best one so far."""
    if not math.isfinite(value):
        return False
    return best is None or (value < best if direction == "min" else value > best)


def worst(direction: Direction) -> float:
    """The value that no run can fall below: what a bad end counts as."""
    return math.inf if direction == "min" else -math.inf


def _word(direction: Direction) -> str:
    return "small" if direction == "min" else "large"
