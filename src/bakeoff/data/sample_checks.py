"""What is wrong with the samples of a user's data: values that are not finite, labels that are no class; and where.

Validation and test batches are checked as they are made. Training batches are checked for labels alone, and only where
the data set has no `targets` to check beforehand: what is not finite shows in the loss, and is then looked for.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from bakeoff.errors import UserError
from bakeoff.pairs import TARGETS

NAMES = {"train": "training", "val": "validation", "test": "test"}


class Labels:
    """Which labels are classes: those in [0, n_out), and the loss's `ignore_index`, which is not trained on."""

    def __init__(self, n_out: int, ignore_index: int | None = None) -> None:
        self.n_out, self.ignore_index = n_out, ignore_index

    def wrong(self, y: Tensor) -> int | None:
        """A label that is no class, if there is one."""
        if y.is_floating_point() or y.is_complex() or not y.numel():
            return None
        low, high = torch.aminmax(y)
        if low >= 0 and high < self.n_out:
            return None
        bad = (y < 0) | (y >= self.n_out)
        if self.ignore_index is not None:
            bad &= y != self.ignore_index
        return int(y[bad][0]) if bad.any() else None

    def describe(self, label: int) -> str:
        """What to say of a wrong one."""
        return f"has the label {label}, but n_out={self.n_out}: labels must be in [0, {self.n_out})"


class CheckedCollate:
    """torch's `default_collate`, which names the sample that is at fault.

    Args:
        dataset: what the samples are of, to be searched for the one at fault.
        indices: those of the part.
        part: `train`, `val` or `test`.
        labels: which are classes; None for targets that are none.
        finite: whether values are checked as well.

    """

    def __init__(
        self, dataset: Dataset, indices: Iterable[int], part: str, labels: Labels | None, *, finite: bool
    ) -> None:
        self.dataset, self.indices, self.part, self.labels, self.finite = dataset, indices, part, labels, finite

    def __call__(self, samples: list[Any]) -> Any:
        """The batch; raises UserError if one of its samples cannot be used."""
        batch = default_collate(samples)
        if fault_of(batch, self.labels, finite=self.finite) is not None:
            raise UserError(find_fault(self.dataset, self.indices, self.part, self.labels) or "data: changes as read")
        return batch


def fault_of(sample: Any, labels: Labels | None, *, finite: bool = True) -> str | None:
    """What is wrong with a sample, or a batch: `(x, y)`, or a dictionary."""
    values, target = _values_of(sample)
    for value in values if finite else ():
        if (bad := _not_finite(value)) is not None:
            return f"holds {bad}: drop it, or replace the value"
    targets = None if labels is None else _as_tensor(target)
    label = None if labels is None or targets is None else labels.wrong(targets)
    return labels.describe(label) if labels is not None and label is not None else None


def _values_of(sample: Any) -> tuple[list[Any], Any]:
    """All that a sample holds, and its target."""
    if isinstance(sample, Mapping):
        return list(sample.values()), next((sample[name] for name in TARGETS if name in sample), None)
    is_pair = isinstance(sample, tuple | list) and len(sample) == 2
    return (list(sample), sample[1]) if is_pair else ([], None)


def find_fault(dataset: Any, indices: Iterable[int], part: str, labels: Labels | None) -> str | None:
    """The first sample of a part that cannot be used, and why; reads them one by one."""
    for index in indices:
        found = fault_of(dataset[int(index)], labels)
        if found is not None:
            return f"data: sample {index} of the {NAMES[part]} part {found}"
    return None


def find_fault_in_batches(batches: Iterable[Any], part: str) -> str | None:
    """The first batch that holds a value that is not finite; for data modules, which make their own batches."""
    faults = (fault_of_batch(batch, number, part) for number, batch in enumerate(batches))
    return next((fault for fault in faults if fault is not None), None)


def fault_of_batch(batch: Any, number: int, part: str) -> str | None:
    """What is wrong with batch `number` of a part, counted from 0."""
    values = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, tuple | list) else [batch]
    bad = next((found for value in values if (found := _not_finite(value)) is not None), None)
    if bad is None:
        return None
    return f"data: batch {number} of the {NAMES[part]} data holds {bad}: drop it, or replace the value"


def _not_finite(value: Any) -> str | None:
    numbers = _as_tensor(value)
    if numbers is None or not (numbers.is_floating_point() or numbers.is_complex()):
        return None
    if bool(torch.isfinite(numbers).all()):
        return None
    return "NaN" if bool(numbers.isnan().any()) else "infinity"


def _as_tensor(value: Any) -> Tensor | None:
    """None for what is no number."""
    if isinstance(value, Tensor):
        return value
    if isinstance(value, int | float) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biufc"):
        return torch.as_tensor(value)
    return None
