"""Metrics of regression, in the targets' own units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric

from bakeoff.module.measured import Metrics, check_fit, value_of
from bakeoff.module.r2 import ColumnR2
from bakeoff.runs.metrics import has_columns


class RegressionMetrics(Metrics):
    """Outputs and targets are (N,), (N, D) or (N, D, d1, ...), divided by `std`; metrics are in the units before that.

    Args:
        std: one number, or one for each column.
        n_out: the number of columns D. Where there are a few, RMSE and R² of (N, D) are given for each of them, too.

    """

    def __init__(self, std: float | Sequence[float] = 1.0, n_out: int = 1) -> None:
        self._r2 = ColumnR2(n_out)
        metrics: dict[str, Metric] = {
            "rmse": MeanSquaredError(squared=False).set_dtype(torch.float64),
            "mae": MeanAbsoluteError().set_dtype(torch.float64),
            "r2": self._r2,
        }
        super().__init__("regression", metrics)
        self.n_out, self.std = n_out, std
        self._by_column, self._is_dense = None, False
        if has_columns(n_out):
            self._by_column = MeanSquaredError(squared=False, num_outputs=n_out).set_dtype(torch.float64)

    def update(self, losses: Tensor, output: Tensor, target: Tensor) -> None:
        """See `Metrics.update`.

        Raises:
            ValueError: shapes that these metrics do not fit.

        """
        check_fit(output, target, task="regression", n_out=self.n_out)
        self._is_dense = target.ndim > 2
        self.move_to(output.device)
        self.update_loss(losses, len(target))
        output, target = (_squeeze_single_column(t.double()) for t in (output, target))
        std: Any = self.std
        if isinstance(std, Sequence):
            std = torch.tensor(std, dtype=output.dtype, device=output.device)
        scaled = output * std, target * std
        self._r2.update(*map(_columns, (output, target)))  # the same in any units
        for name in ("rmse", "mae"):
            self.metrics[name].update(*(t.flatten() for t in scaled))
        if self._by_column is not None and not self._is_dense:
            self._by_column.to(output.device).update(*scaled)

    def compute(self) -> dict[str, Tensor]:
        """See `Metrics.compute`; with `rmse/0` and so on, for each column."""
        found = super().compute()
        r2 = found["r2"]
        found["r2"] = self._r2.of_all() if self._is_dense else r2.mean()
        if self._by_column is None or self._is_dense:
            return found
        columns = {"rmse": value_of(self._by_column, self.n_out), "r2": r2}
        return found | {f"{name}/{d}": v for name, values in columns.items() for d, v in enumerate(values)}

    def reset(self) -> None:
        """See `Metrics.reset`."""
        super().reset()
        if self._by_column is not None:
            self._by_column.reset()


def _columns(values: Tensor) -> Tensor:
    """(N,) as (N, 1), and (N, D, d1, ...) as (N d1 ..., D)."""
    return values.reshape(len(values), -1) if values.ndim <= 2 else values.movedim(1, -1).flatten(0, -2)


def _squeeze_single_column(values: Tensor) -> Tensor:
    """(N, 1) as (N,), which torchmetrics reads as one output; other shapes unchanged."""
    return values.squeeze(1) if values.ndim == 2 and values.shape[1] == 1 else values
