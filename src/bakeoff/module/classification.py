"""Metrics of single-label classification."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric, Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from bakeoff.module.counted import BinnedCalibrationError, CountedLabels
from bakeoff.module.loss_arguments import rows_of
from bakeoff.module.measured import Metrics, check_fit

N_BINS = 15


class ClassificationMetrics(Metrics):
    """Outputs are logits (N, n_out, d1, ...), targets class indices (N, d1, ...).

    Args:
        n_out: the number of classes.
        counted: which labels the loss counts.

    """

    def __init__(self, n_out: int, counted: CountedLabels | None = None) -> None:
        metrics: dict[str, Metric] = {
            "accuracy": MulticlassAccuracy(n_out, average="micro", validate_args=False),
            "nll": MeanMetric(nan_strategy="disable"),
            "ece": MulticlassCalibrationError(n_out, n_bins=N_BINS, validate_args=False),
        }
        if n_out > 5:
            metrics["top5"] = MulticlassAccuracy(n_out, average="micro", validate_args=False)
        super().__init__("classification", metrics)
        self.n_out, self._counted = n_out, counted or CountedLabels()

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`.

        Raises:
            ValueError: shapes or labels that these metrics do not fit.

        """
        check_fit(output, target, task="classification", n_out=self.n_out)
        self.move_to(output.device)
        if output.ndim > 2 and not isinstance(self.metrics["ece"], BinnedCalibrationError):
            self.metrics["ece"] = BinnedCalibrationError(N_BINS).to(output.device)
        output, labels = rows_of(output), target.flatten().long()
        mask = self._counted.mask(labels)
        if mask is not None:
            output, labels = output[mask], labels[mask]
        self._counted.check(labels, self.n_out)
        self.update_loss(losses, len(target), None if losses.ndim else self._counted.weight(labels))
        if not len(labels):  # all are ignored; some metrics cannot be given nothing
            return
        output = output.float()
        # as classes and bins, not as probabilities: a softmax makes equal what logits tell apart
        predicted = output.argmax(dim=1)
        self.metrics["accuracy"].update(predicted, labels)
        if "top5" in self.metrics:
            among = (output.topk(5, dim=1).indices == labels[:, None]).any(dim=1)
            self.metrics["top5"].update(torch.where(among, labels, (labels + 1) % self.n_out), labels)
        confidence = output.softmax(dim=-1).amax(dim=1, keepdim=True)
        self.metrics["ece"].update(torch.zeros_like(output).scatter_(1, predicted[:, None], confidence), labels)
        self.metrics["nll"].update(F.cross_entropy(output, labels, reduction="none"))
