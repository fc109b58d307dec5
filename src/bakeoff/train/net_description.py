"""What a checkpoint says of its net and its data: enough to build the net again and to predict in the data's own units.

    model      {"_target_": class, argument: value, ...}: those of the configuration, and those filled in from the data
    scaling    x_mean, x_std    the net's input is (x - x_mean) / x_std, as float32
               y_mean, y_std    the prediction is output * y_std + y_mean; None but in regression
               classes          the prediction is classes[output.argmax(1)]; None but in classification
    task       {"kind": "classification", "class_axis": 1}: what the output is; None of a user's own module

Tensors of float64 that broadcast against (N, ...); 0 and 1 where the data is served as it is.
"""

from __future__ import annotations

import importlib.metadata
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor

from bakeoff.data import DataSpec
from bakeoff.train.parts import OwnModuleParts, Parts, SupervisedParts
from bakeoff.train.plain import is_plain


def describe(parts: Parts) -> dict[str, Any]:
    """`model` and `scaling`, readable with `weights_only=True`."""
    found: dict[str, Any] = {
        "model": parts.model,
        "scaling": _scaling(parts.spec, parts.task or parts.spec.task, parts.n_out),
        "task": None,
    }
    if isinstance(parts, SupervisedParts):
        found["task"] = {"kind": parts.reads.kind, "class_axis": parts.reads.class_axis}
    return {**found, **_of_lightning(parts.module)} if isinstance(parts, OwnModuleParts) else found


def _of_lightning(module: pl.LightningModule) -> dict[str, Any]:
    """What the module's own `load_from_checkpoint` looks for; what is no plain value is to be given to it."""
    hparams = {name: value for name, value in dict(module.hparams).items() if is_plain(value)}
    return {"hyper_parameters": hparams, "pytorch-lightning_version": importlib.metadata.version("lightning")}


def _scaling(spec: DataSpec, task: str | None, n_out: int | None) -> dict[str, Tensor | None]:
    is_regression = task == "regression"
    classes = spec.classes if spec.classes is not None or n_out is None else torch.arange(n_out)
    return {
        "x_mean": _number(0.0 if spec.input_mean is None else spec.input_mean),
        "x_std": _number(1.0 if spec.input_std is None else spec.input_std),
        "y_mean": _number(spec.target_mean) if is_regression else None,
        "y_std": _number(spec.target_std) if is_regression else None,
        "classes": None if task in ("regression", "multilabel") else classes,
    }


def _number(value: Any) -> Tensor:
    """One number, or one for each column."""
    return torch.as_tensor(value, dtype=torch.float64).cpu()
