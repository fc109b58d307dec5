"""Floating-point targets that are classes in the form that some losses want, not quantities.

RMSE of logits against them is a number, and means nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOW = "data.task=regression, or an attribute task='regression' of a data set of your own"
ASK_FOR_CLASSES = (
    "give whole numbers or data.task=classification if they are labels of two classes, data.task=multilabel if the net "
    f"gives one logit for them; if they are quantities, {HOW}"
)
ASK_FOR_REGRESSION = f"this is not supported yet; if they are quantities, {HOW}"
ASK_FOR_CLASS_NUMBERS = (
    "give the class of each sample as a whole number; if these are labels of their own, data.task=multilabel; if they "
    f"are quantities, {HOW}"
)


@dataclass(frozen=True)
class Meaning:
    """What targets look like: `text` is read behind their name, as in "y holds only 0 and 1".

    `is_multilabel` says that there is no doubt: they are labels, several a sample.
    """

    text: str
    remedy: str
    is_multilabel: bool = False


def meaning_of_reals(y: NDArray) -> Meaning | None:
    """What floating-point targets `(N, ...)` look like, where that is not quantities.

    - only 0 and 1 in one column: labels of two classes, as for `BCEWithLogitsLoss`
    - one 1 in each row of several columns, else 0: one-hot classes
    - only 0 and 1 in several columns otherwise: several labels a sample
    - several columns >= 0 that sum to 1 in each row: probabilities of classes
    """
    width = y.size // max(1, len(y))
    if not y.size:
        return None
    if np.isin(y, (0, 1)).all():
        if width == 1:
            return Meaning("holds only 0 and 1", ASK_FOR_CLASSES)
        if y.ndim == 2 and (y.sum(axis=1) == 1).all():
            return Meaning(f"holds a single 1 in each row of {width} columns (one-hot)", ASK_FOR_CLASS_NUMBERS)
        return Meaning(f"holds only 0 and 1 in {width} columns (multi-label)", ASK_FOR_REGRESSION, is_multilabel=True)
    if y.ndim == 2 and width > 1 and y.min() >= 0 and np.allclose(y.sum(axis=1), 1, rtol=0, atol=1e-3):
        return Meaning(f"holds numbers >= 0 in {width} columns that sum to 1 (class probabilities)", ASK_FOR_REGRESSION)
    return None
