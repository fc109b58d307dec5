"""Metrics of several labels an example, each of which is there or not."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchmetrics import MeanMetric

from bakeoff.module.loss_arguments import like_output
from bakeoff.module.measured import Metrics, check_fit


class MultilabelMetrics(Metrics):
    """Outputs are logits (N, L, ...), targets 0 or 1 in the same shape; a label is predicted where its logit is > 0.

    Args:
        n_out: the number of labels L.

    """

    def __init__(self, n_out: int) -> None:
        names = ("accuracy", "exact_match", "nll")
        super().__init__("multilabel", {name: MeanMetric(nan_strategy="disable") for name in names})
        self.n_out = n_out

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`.

        Raises:
            ValueError: shapes or labels that these metrics do not fit.

        """
        check_fit(output, target, task="multilabel", n_out=self.n_out)
        self.move_to(output.device)
        self.update_loss(losses, len(target))
        target = like_output(target, output)
        if not bool(((target == 0) | (target == 1)).all()):
            raise ValueError("the targets of several labels an example must be 0 or 1, got others")
        output = output.float()
        is_right = ((output > 0) == (target > 0)).float()
        self.metrics["accuracy"].update(is_right)
        self.metrics["exact_match"].update(is_right.reshape(len(target), -1).amin(dim=1))
        self.metrics["nll"].update(F.binary_cross_entropy_with_logits(output, target.float(), reduction="none"))
