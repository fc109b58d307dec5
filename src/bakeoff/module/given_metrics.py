"""Metrics that a user names beside ours, from torchmetrics or of the user's own, and what they are given.

classification   log-probabilities (N, C, d1, ...) and labels (N, d1, ...); rows (M, C) and (M,) of those that count,
                 where the loss ignores a label and the metric has not the same `ignore_index`; the probability of
                 class 1 for torchmetrics' metrics of two classes
multilabel       probabilities and labels (N, L, ...)
regression       values in the targets' own units, (N,), (N, D) or (N, D, d1, ...)

torchmetrics takes numbers within [0, 1] for probabilities, so that logits which happen to be are misread.
Log-probabilities never are, and their softmax is that of the logits.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from bakeoff.module.counted import CountedLabels
from bakeoff.module.loss_arguments import like_output, rows_of
from bakeoff.module.shares import is_shared
from bakeoff.module.task import Kind

Inputs = tuple[Tensor, Tensor]


class GivenMetrics:
    """Copies of `metrics`, updated batch by batch.

    Args:
        metrics: name -> metric.
        kind: the task.
        std: what regression targets were divided by, one number or one a column.
        mean: what was subtracted from them before.
        loss: whose `ignore_index`, where it has one, is left out.

    """

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        kind: Kind,
        *,
        std: float | Sequence[float] = 1.0,
        mean: float | Sequence[float] = 0.0,
        loss: Any = None,
    ) -> None:
        self.metrics = {name: copy.deepcopy(metric) for name, metric in metrics.items()}
        prepare: dict[Kind, Callable[[Tensor, Tensor], Inputs]] = {
            "classification": _of_classes,
            "multilabel": _of_labels,
            "regression": lambda output, target: _of_values(output, target, std, mean),
        }
        self._counted = CountedLabels(loss if kind == "classification" else None)
        self._prepare = prepare[kind]

    def update(self, output: Tensor, target: Tensor) -> None:
        """Adds one batch: a prediction with its classes at axis 1, and its target.

        Raises:
            ValueError: a metric does not take them; names it.

        """
        if not self.metrics:
            return
        prepared = self._prepare(output, target)
        for name, metric in self.metrics.items():
            if metric.device != output.device:
                metric.to(output.device)
            given, labels = self._counting(metric, *prepared)
            if not len(labels):  # all are ignored
                continue
            try:
                metric.update(_class_one(given) if _is_of_two_classes(metric, given) else given, labels)
            except Exception as error:  # whatever a user's metric raises
                text = " ".join(str(error).split())
                shapes = f"predictions {tuple(given.shape)} and targets {tuple(labels.shape)}"
                raise ValueError(f"metrics.{name} does not take {shapes}: {text}") from error

    def _counting(self, metric: Metric, given: Tensor, labels: Tensor) -> Inputs:
        """Rows of the labels that count, where the loss ignores some and the metric does not leave them out itself."""
        ignored = self._counted.ignored
        if ignored is None or getattr(metric, "ignore_index", None) == ignored:
            return given, labels
        mask = labels != ignored
        if labels.ndim == 1 and bool(mask.all()):
            return given, labels
        return rows_of(given)[mask.flatten()], labels[mask]

    def compute(self) -> dict[str, Tensor]:
        """Name -> value; NaN for one that was given nothing.

        Raises:
            ValueError: a metric gives more than one number.

        """
        return {name: _number(name, metric) for name, metric in self.metrics.items()}

    def reset(self) -> None:
        """Discards all batches."""
        for metric in self.metrics.values():
            metric.reset()


def _of_classes(output: Tensor, target: Tensor) -> Inputs:
    return output.float().log_softmax(dim=1), target.long()


def _of_labels(output: Tensor, target: Tensor) -> Inputs:
    return output.float().sigmoid(), like_output(target, output).long()


def _of_values(output: Tensor, target: Tensor, std: Any, mean: Any) -> Inputs:
    std, mean = (torch.as_tensor(value, dtype=torch.float64, device=output.device) for value in (std, mean))
    pair = output.double(), like_output(target, output).double()
    given, wanted = (values * std + mean for values in pair)
    if given.ndim == 2 and given.shape[1] == 1:
        given, wanted = given[:, 0], wanted[:, 0]
    return given.float(), wanted.float()


def _is_of_two_classes(metric: Metric, given: Tensor) -> bool:
    """Whether it is torchmetrics' own metric of one probability, and there are two classes."""
    kind = type(metric)
    is_binary = kind.__module__.startswith("torchmetrics.") and kind.__name__.startswith("Binary")
    return is_binary and given.ndim > 1 and given.shape[1] == 2


def _class_one(given: Tensor) -> Tensor:
    return given[:, 1].exp()


def _number(name: str, metric: Metric) -> Tensor:
    if not metric.update_called and not is_shared():
        return torch.tensor(math.nan)
    value = metric.compute()
    if not isinstance(value, Tensor) or value.numel() != 1:
        what = f"{value.numel()} numbers" if isinstance(value, Tensor) else f"a {type(value).__name__}"
        raise ValueError(f"metrics.{name} gives {what}; it must give one: average them, such as by average=macro")
    return value.reshape(()).float()
