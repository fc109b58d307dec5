"""What a loss is called with.

Losses of torch and of this package take predictions with the classes at axis 1, ours one row a label: (M, C). A user's
own takes what the net gives, as in a training loop of the user's own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from bakeoff.module.task import Kind, Task

LOSSES: dict[Any, Kind] = {  # of torch; any other fits what its attribute `task` says
    nn.CrossEntropyLoss: "classification",
    nn.NLLLoss: "classification",
    nn.MultiMarginLoss: "classification",
    nn.BCEWithLogitsLoss: "multilabel",
    nn.MultiLabelSoftMarginLoss: "multilabel",
    nn.MSELoss: "regression",
    nn.L1Loss: "regression",
    nn.SmoothL1Loss: "regression",
    nn.HuberLoss: "regression",
    F.cross_entropy: "classification",
    F.nll_loss: "classification",
    F.multi_margin_loss: "classification",
    F.binary_cross_entropy_with_logits: "multilabel",
    F.multilabel_soft_margin_loss: "multilabel",
    F.mse_loss: "regression",
    F.l1_loss: "regression",
    F.smooth_l1_loss: "regression",
    F.huber_loss: "regression",
}


class LossArguments:
    """Makes the arguments of a loss from what the net gives and the targets.

    Args:
        loss: what is called with them.
        task: what the output means.
        takes_prediction: whether a user's own loss is given the prediction in place of the whole output.

    """

    def __init__(self, loss: Any, task: Task, *, takes_prediction: bool = False) -> None:
        self._task = task
        self._takes_prediction = takes_prediction or is_torchs(loss) or is_ours(loss)
        self._takes_rows = task.kind == "classification" and is_ours(loss)
        self._aligns_targets = task.kind != "classification" and is_torchs(loss)

    def __call__(self, output: Any, target: Tensor) -> tuple[Any, Tensor]:
        """Output and target."""
        if self._takes_prediction:
            output = self._task.prediction(output)
        if self._takes_rows and output.ndim > 2:
            output, target = rows_of(output), target.flatten()
        if self._aligns_targets:
            target = like_output(target, output)
        return output, target


def rows_of(prediction: Tensor) -> Tensor:
    """Predictions (N, C, d1, ...) as (N d1 ..., C)."""
    return prediction if prediction.ndim == 2 else prediction.movedim(1, -1).flatten(0, -2)


def like_output(target: Tensor, output: Tensor) -> Tensor:
    """Targets (N,) for outputs (N, 1), or the other way round, in the shape of the outputs.

    A loss would broadcast them to (N, N), and train the net to the mean.
    """
    is_column = {target.ndim, output.ndim} == {1, 2} and target.numel() == output.numel()
    return target.reshape(output.shape) if is_column else target


def kind_of(loss: Any) -> str | None:
    """The task that a loss is for: what its attribute `task` says, or what is known of torch's; None for any."""
    stated = getattr(loss, "task", None)
    if stated is not None:
        return str(stated)
    loss = _unwrapped(loss)
    stated = getattr(loss, "task", None)
    known = LOSSES.get(type(loss)) if isinstance(loss, nn.Module) else _of_function(loss)
    return known if stated is None else str(stated)


def kind_of_class(target: Any) -> str | None:
    """The same of a class or function that has not been called yet."""
    stated = getattr(target, "task", None)
    return _of_function(target) if stated is None else str(stated)


def _of_function(loss: Any) -> Kind | None:
    return next((kind for known, kind in LOSSES.items() if known is loss), None)


def is_torchs(loss: Any) -> bool:
    """Whether it is one of torch's own losses."""
    return _home(loss).startswith("torch.nn.")


def is_ours(loss: Any) -> bool:
    """Whether it is one of this package's losses."""
    return _home(loss).startswith("bakeoff.losses")


def _home(loss: Any) -> str:
    loss = _unwrapped(loss)
    return str(getattr(type(loss) if isinstance(loss, nn.Module) else loss, "__module__", ""))


def _unwrapped(loss: Any) -> Any:
    while isinstance(loss, partial):
        loss = loss.func
    return loss
