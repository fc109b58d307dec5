"""The labels that a data set holds in memory, so that they can be checked before anything is trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from bakeoff.data.infer import find_labels

TRIED = 16  # samples


def held_labels(dataset: Any, indices: Sequence[int]) -> Tensor | None:
    """One label for each sample: an attribute of whatever name that has those of the first few `indices`, or None.

    `targets`, where torchvision has them, is one of many: `dataset[i]` may give another label than it holds.
    """
    names = ("targets", *getattr(dataset, "__dict__", ()))
    held = [labels for name in names if (labels := find_labels(dataset, name)) is not None]
    if not held:
        return None
    spread = [indices[i * (len(indices) - 1) // TRIED] for i in range(TRIED + 1)] if len(indices) else []
    try:
        with isolate_rng(include_cuda=False):
            samples = [(i, dataset[i]) for i in spread]
    except Exception:  # whatever a user's data set raises; it is said when its batches are made
        return None
    right = (labels for labels in held if all(_is_label(labels[i], sample) for i, sample in samples))
    # of one class alone any column of zeros could be the labels
    return next((labels for labels in right if len({int(labels[i]) for i in spread}) > 1), None)


def _is_label(label: Tensor, sample: Any) -> bool:
    if not isinstance(sample, (tuple, list)) or len(sample) != 2:
        return False
    target = torch.as_tensor(sample[1]) if isinstance(sample[1], (int, np.integer, np.ndarray, Tensor)) else None
    return target is not None and target.numel() == 1 and not target.is_floating_point() and int(target) == int(label)
