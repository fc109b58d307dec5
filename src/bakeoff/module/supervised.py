"""The Lightning module: net + loss + optimizer factory + metrics. It works in any Lightning `Trainer`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from bakeoff.module.curve import LossCurve
from bakeoff.module.metrics import metrics_for
from bakeoff.module.probe import StepProbe

Loss = Callable[[Tensor, Tensor], Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class SupervisedModule(pl.LightningModule):
    """Trains `net` on batches (x, y) with any loss and optimizer, and computes metrics that do not depend on the loss.

    Args:
        net: maps (N, ...) to logits (N, n_out), or to predictions (N, n_out) in regression.
        loss: called with (output, target); returns (N,) or a scalar. The mean is minimised.
        optimizer: called with the parameters, such as `functools.partial(Adam, lr=1e-3)`.
        n_out: number of classes, or width of the target in regression.
        task: `classification` or `regression`; by default the attribute `task` of the loss.
        lr_factor: optimizer step, counted from 0, -> factor of the learning rate. None keeps it constant.
        target_std: standard deviation that regression targets were divided by; metrics are in the original units.
        log_every_n_steps: steps per point of `train/loss` and `lr`; the loss of a point is the mean over its steps.
        sample_every_n_steps: steps between samples of gradient norm, update ratio and the phases of a step.

    Raises:
        ValueError: neither `task` nor the loss names the task.

    """

    def __init__(
        self,
        net: nn.Module,
        loss: Loss,
        optimizer: OptimizerFactory,
        *,
        n_out: int,
        task: str | None = None,
        lr_factor: Callable[[int], float] | None = None,
        target_std: float = 1.0,
        log_every_n_steps: int = 10,
        sample_every_n_steps: int = 50,
    ) -> None:
        super().__init__()
        task = task or getattr(loss, "task", None)
        if task not in ("classification", "regression"):
            raise ValueError(f"task must be classification or regression where the loss fits both, got {task}")
        self.net, self.loss, self.task = net, loss, task
        self._optimizer_factory, self._lr_factor = optimizer, lr_factor
        self.val_metrics = metrics_for(task, n_out, target_std)
        self.test_metrics = metrics_for(task, n_out, target_std)
        self._sample_every_n_steps = sample_every_n_steps
        self._curve = LossCurve(log_every_n_steps)

    def forward(self, x: Tensor) -> Any:
        """The output of the net: (N, n_out)."""
        return self.net(x)

    def configure_optimizers(self) -> Any:
        """The optimizer over the parameters of the net, and the schedule, applied once a step."""
        optimizer = self._optimizer_factory(self.net.parameters())
        if self._lr_factor is None:
            return optimizer
        scheduler = {"scheduler": LambdaLR(optimizer, self._lr_factor), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def configure_callbacks(self) -> list[pl.Callback]:
        """Adds the probe to any `Trainer`."""
        return [StepProbe(self._sample_every_n_steps)]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The mean loss of a batch (x, y); Lightning does the backward pass and the update."""
        x, y = batch
        loss = self.loss(self.net(x), y)
        return loss.mean() if loss.ndim else loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keeps the rate of this step; a schedule may change it before the batch ends."""
        self._curve.lr = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keeps the loss on its device, if the batch ended in an optimizer step; writes the curve if it is due."""
        if "loss" in outputs and self._curve.add(outputs["loss"]):
            self._write_curve()

    def on_train_end(self) -> None:
        """Writes the rest of the curve."""
        self._write_curve(last=True)

    def on_validation_start(self) -> None:
        """Writes the curve up to this step."""
        self._write_curve()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the curve and saves the rest of it: a resumed training writes no point a second time."""
        self._write_curve()
        checkpoint["curve"] = self._curve.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the curve; a checkpoint of another module has none."""
        if "curve" in checkpoint:
            self._curve.load_state_dict(checkpoint["curve"])

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Adds one batch to the validation metrics. Returns the output (N, n_out), for callbacks."""
        return self._update_metrics(self.val_metrics, batch)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/*`."""
        self._log_metrics("val", self.val_metrics)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Adds one batch to the test metrics."""
        self._update_metrics(self.test_metrics, batch)

    def on_test_epoch_end(self) -> None:
        """Logs `test/*`."""
        self._log_metrics("test", self.test_metrics)

    def _update_metrics(self, metrics: Any, batch: Any) -> Tensor:
        x, y = batch
        output: Tensor = self.net(x)
        metrics.update(self.loss(output, y), output, y)
        return output

    def _log_metrics(self, split: str, metrics: Any) -> None:
        values = {f"{split}/{name}": value for name, value in metrics.compute().items()}
        metrics.reset()
        # `step` is Lightning's own key for the x-axis, which it would otherwise count one too low here
        self.log_dict({**values, "step": float(self.trainer.global_step)})

    def _write_curve(self, *, last: bool = False) -> None:
        for step, loss, lr in self._curve.points(last=last):
            for logger in self.loggers:
                logger.log_metrics({"train/loss": loss, "lr": lr}, step=step)
