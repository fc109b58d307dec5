"""Metrics that do not depend on the loss, so that arms with different losses can be compared.

Classification: accuracy, top-5 accuracy (with more than five classes), negative log-likelihood of the softmax of the
logits, expected calibration error (Guo et al. 2017, 15 equal bins), over all labels that the loss does not ignore.
Multi-label: accuracy and negative log-likelihood over all labels, and the fraction of examples with all labels right.
Regression: RMSE, MAE, R², in the targets' own units. torchmetrics computes most. Their names, directions and units are
in `bakeoff.runs.METRICS`, the shapes that they fit in `bakeoff.module.shapes`.

Targets of D columns:
    rmse = sqrt(1/(N D) Σ_nd e_nd²)     the column with the largest errors decides it; rmse/<d> is that of one column
    mae  = 1/(N D) Σ_nd |e_nd|
    r2   = 1/D Σ_d r2/<d>               free of units
Targets (N, D, d1, ...), such as images:
    r2   = 1 - Σ e² / Σ (y - mean_d)²      over all positions, with the mean of their channel d
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bakeoff.module.classification import ClassificationMetrics
from bakeoff.module.counted import CountedLabels
from bakeoff.module.measured import Metrics
from bakeoff.module.multilabel import MultilabelMetrics
from bakeoff.module.regression import RegressionMetrics


def metrics_for(task: str, n_out: int, std: float | Sequence[float] = 1.0, loss: Any = None) -> Metrics:
    """The metrics that fit a task.

    Args:
        task: one of `bakeoff.module.task.KINDS`.
        n_out: the number of classes, of labels, or of columns.
        std: that of `RegressionMetrics`.
        loss: whose `ignore_index`, where it has one, is left out of every metric.

    """
    if task == "classification":
        return ClassificationMetrics(n_out, CountedLabels(loss))
    if task == "multilabel":
        return MultilabelMetrics(n_out)
    return RegressionMetrics(std, n_out)
