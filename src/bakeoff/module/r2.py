"""R² of each column of targets, right in any units and far from zero."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics import Metric


class ColumnR2(Metric):
    """1 - Σ(target - output)² / Σ(target - mean)², of each of D columns, in float64.

    torchmetrics' `R2Score` takes sums below 1e-4 for zero, so that targets of about 1e-3 have an R² of 1 or 0, and
    subtracts squares of sums. Here the squares about the mean are updated by each batch (Chan, Golub & LeVeque 1983).
    Where the targets of a column are all the same it is 1 for a perfect prediction and else 0, as in scikit-learn.
    """

    count: Tensor
    mean: Tensor
    squares: Tensor
    residual: Tensor

    def __init__(self, n_columns: int) -> None:
        super().__init__()
        self.add_state("count", torch.zeros((), dtype=torch.float64))
        for name in ("mean", "squares", "residual"):
            self.add_state(name, torch.zeros(n_columns, dtype=torch.float64))
        self.set_dtype(torch.float64)

    def update(self, output: Tensor, target: Tensor) -> None:
        """Adds a batch, both (N, D) in float64."""
        if not len(target):
            return
        mean = target.mean(dim=0)
        count, difference = self.count + len(target), mean - self.mean
        self.squares += ((target - mean) ** 2).sum(dim=0) + difference**2 * self.count * len(target) / count
        self.mean += difference * len(target) / count
        self.residual += ((output - target) ** 2).sum(dim=0)
        self.count = count

    def compute(self) -> Tensor:
        """(D,); NaN of fewer than two samples."""
        if self.count.ndim:
            self._merge()
        rounding = self.count * (8 * torch.finfo(torch.float64).eps * self.mean) ** 2
        is_constant = self.squares <= rounding
        of_constant = torch.where(self.residual <= rounding, 1.0, 0.0).double()
        found = torch.where(is_constant, of_constant, 1 - self.residual / self.squares)
        return found if self.count > 1 else torch.full_like(found, torch.nan)

    def of_all(self) -> Tensor:
        """1 - Σ_d residual / Σ_d squares, in which columns count by their variance; NaN of fewer than two samples."""
        if self.count.ndim:
            self._merge()
        rounding = (self.count * (8 * torch.finfo(torch.float64).eps * self.mean) ** 2).sum()
        squares, residual = self.squares.sum(), self.residual.sum()
        if self.count <= 1:
            return torch.full_like(squares, torch.nan)
        if squares <= rounding:
            return torch.where(residual <= rounding, 1.0, 0.0).double()
        return 1 - residual / squares

    def _merge(self) -> None:
        """Makes one of the states of several processes, which torchmetrics has stacked (Chan et al. 1979)."""
        counts = self.count[:, None]
        mean = (counts * self.mean).sum(dim=0) / counts.sum()
        self.squares = self.squares.sum(dim=0) + (counts * (self.mean - mean) ** 2).sum(dim=0)
        self.residual = self.residual.sum(dim=0)
        self.count, self.mean = self.count.sum(), mean
