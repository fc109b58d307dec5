"""The Lightning module: net + loss + optimizer factory + metrics. It works in any Lightning `Trainer`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torchmetrics import Metric

from bakeoff.module.build_optimizer import OptimizerFactory, build_optimizer
from bakeoff.module.compiled import use_names_of_net
from bakeoff.module.counted import CountedLabels
from bakeoff.module.curve import LossCurve, Place, rate_tags, rates_of
from bakeoff.module.evaluation import Evaluation
from bakeoff.module.loss_arguments import LossArguments, kind_of
from bakeoff.module.loss_parameters import Loss, registered
from bakeoff.module.optimizer_mode import OptimizerMode
from bakeoff.module.option_schedules import OptionSchedules
from bakeoff.module.param_groups import Rules
from bakeoff.module.probe import StepProbe
from bakeoff.module.sharded import whole
from bakeoff.module.shares import mean_of_shares, share_of_loss, without_empty_mean
from bakeoff.module.task import KINDS, Kind, Task
from bakeoff.module.weight_average import WeightAverage
from bakeoff.pairs import EXPECTED, Inputs, as_pair, call
from bakeoff.runs.metrics import EMA

TRAINING_WEIGHTS, IN_EVAL_MODE = "training_weights", "optimizer_in_eval_mode"  # keys of a checkpoint


class SupervisedModule(pl.LightningModule):
    """Trains `net` with any loss and optimizer, and computes metrics that do not depend on the loss.

    Batches are those of `bakeoff.pairs`: (x, y), or dictionaries.

    Args:
        net: maps (N, ...) to logits (N, n_out, ...), or to predictions (N, n_out) in regression; see
            `bakeoff.module.task` for where in its output they may be.
        loss: called with (output, target); returns (N,) or a scalar. The mean is minimised. Its own parameters that
            require a gradient are trained with the net's. Labels that are its `ignore_index`, where it has one, are
            left out of every metric.
        optimizer: called with the parameters, such as `functools.partial(Adam, lr=1e-3)`; with (name, parameter) pairs
            where its first argument is called `named_parameters`. One with `train()` and `eval()` is in the mode `eval`
            in validations and tests, for the weights of checkpoints, and at the end.
        n_out: number of classes, or of labels, or width of the target in regression.
        task: `classification`, `multilabel` or `regression`; by default that of the loss.
        class_axis: the axis of the net's output that has the classes, 1 or -1.
        loss_takes_prediction: a loss of torch or of this package is called with the prediction, any other with what the
            net gives; True: with the prediction, too.
        metrics: name -> metric of torchmetrics, beside ours; see `bakeoff.module.given_metrics` for what they get.
        param_groups: name -> rule and options of a group of parameters; see `bakeoff.module.param_groups.select`.
        lr_factor: optimizer step, counted from 0, -> factor of the learning rate. None keeps it constant.
        lr_scheduler: in place of it, called with the optimizer: torch's scheduler, stepped after each optimizer step.
        option_factors: the same as `lr_factor` for other options of the optimizer, such as `weight_decay`, by name.
        target_std: standard deviation that regression targets were divided by, one number or one a column; metrics are
            in the original units.
        target_mean: what was subtracted from them before.
        ema_decay: where given, the exponential average of the weights is validated and tested beside the last ones, as
            `val/ema/*` and `test/ema/*`; see `bakeoff.module.weight_average`.
        log_every_n_steps: steps per point of `train/loss`, the mean over these steps, of `lr` and of each option in
            `option_factors`; `lr/<group>` for each group of parameters where these begin with different rates.
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
        task: Kind | None = None,
        class_axis: int = 1,
        loss_takes_prediction: bool = False,
        metrics: Mapping[str, Metric] | None = None,
        param_groups: Rules | None = None,
        lr_factor: Callable[[int], float] | None = None,
        lr_scheduler: Callable[[torch.optim.Optimizer], LRScheduler] | None = None,
        option_factors: Mapping[str, Callable[[int], float]] | None = None,
        target_std: float | Sequence[float] = 1.0,
        target_mean: float | Sequence[float] = 0.0,
        ema_decay: float | None = None,
        log_every_n_steps: int = 10,
        sample_every_n_steps: int = 50,
    ) -> None:
        super().__init__()
        kind = task or kind_of(loss)
        if kind not in KINDS:
            raise ValueError(f"task must be one of {', '.join(KINDS)} where the loss fits several, got {kind}")
        self.net, self.loss, self.task = net, registered(loss, net), Task(kind, n_out, class_axis)
        self._optimizer_factory, self._param_groups = optimizer, param_groups
        self._scheduler_factory = lr_scheduler if lr_factor is None else partial(LambdaLR, lr_lambda=lr_factor)
        self._option_schedules = OptionSchedules(option_factors) if option_factors else None
        self._scheduled = tuple(option_factors or ())
        self._counted = CountedLabels(loss)
        self._loss_arguments = LossArguments(loss, self.task, takes_prediction=loss_takes_prediction)
        self.val_metrics, self.test_metrics, self._average_metrics = (
            Evaluation(self.task, metrics, std=target_std, mean=target_mean, loss=loss) for _ in range(3)
        )
        self.average = None if ema_decay is None else WeightAverage(net, self.loss, ema_decay)
        self._averaged_step = 0
        self._sample_every_n_steps = sample_every_n_steps
        self._curve = LossCurve(log_every_n_steps)
        self._rates: tuple[Place, ...] = (Place("lr", "lr", 0),)
        self._batches_a_step = 1
        self._mode, self._trains = OptimizerMode(), False
        self._resumes_in_eval_mode = self._validates_in_training = False
        self.measured: dict[str, float] = {}  # the metrics of the last validation or test
        use_names_of_net(self)

    def forward(self, x: Tensor) -> Any:
        """The output of the net: (N, n_out)."""
        return self.net(x)

    def configure_optimizers(self) -> Any:
        """The optimizer over the parameters of the net and of the loss, and the schedule, applied once a step.

        Raises:
            ValueError: the optimizer lacks a parameter that requires a gradient, or has one of another module; or a
                group does not fit.

        """
        optimizer = build_optimizer(self._optimizer_factory, self.net, self.loss, self._param_groups)
        if self._option_schedules is not None:
            self._option_schedules.keep_initial_values(optimizer)
        self._mode, self._rates = OptimizerMode(optimizer), rate_tags(optimizer, ("lr", *self._scheduled))
        if not self._resumes_in_eval_mode:  # before its state is restored, which is that of training
            self._mode.train()
        if self._scheduler_factory is None:
            return optimizer
        scheduler = {"scheduler": self._scheduler_factory(optimizer), "interval": "step"}
        return {"optimizer": optimizer, "lr_scheduler": scheduler}

    def setup(self, stage: str) -> None:
        """Called before a checkpoint is loaded."""
        self._trains = stage == "fit"

    def configure_callbacks(self) -> list[pl.Callback]:
        """Adds the probe to any `Trainer`."""
        return [StepProbe(self._sample_every_n_steps)]

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The mean loss of a batch (x, y); Lightning does the backward pass and the update."""
        x, y = _pair(batch)
        loss: Tensor = self.loss(*self._loss_arguments(call(self.net, x), y))
        return share_of_loss(without_empty_mean(loss, y, self._counted), y, self._counted)

    def on_train_start(self) -> None:
        """Brings the weights of a checkpoint that was written in a validation back to those of training."""
        self._mode.train()
        self._batches_a_step = self.trainer.accumulate_grad_batches
        self._averaged_step = self.trainer.global_step

    def on_train_epoch_start(self) -> None:
        """Reads how many batches make a step; a callback may have changed it for this epoch."""
        self._batches_a_step = self.trainer.accumulate_grad_batches

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Sets scheduled options; keeps the rates of this step, which a schedule may change before the batch ends."""
        if self._option_schedules is not None:
            self._option_schedules.set_values(optimizer, self.trainer.global_step)
        self._curve.lr = rates_of(optimizer, self._rates)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Averages the weights; keeps the loss on its device; writes the curve if it is due."""
        if self.average is not None and self.trainer.global_step != self._averaged_step:
            self._averaged_step = self.trainer.global_step
            self.average.update(self.net, self.loss)
        if "loss" not in outputs:
            return
        loss = mean_of_shares(outputs["loss"])
        if self._batches_a_step != 1:
            loss = loss * self._batches_a_step  # Lightning has divided it
        if self._curve.add(loss):
            self._write_curve()

    def on_train_end(self) -> None:
        """Writes the rest of the curve. The weights that are left are those to use."""
        self._write_curve(last=True)
        self._mode.eval()

    def on_validation_model_eval(self) -> None:
        """Lightning's, and the optimizer's mode: before any callback looks at the weights."""
        super().on_validation_model_eval()
        self._validates_in_training = self._mode.is_training
        self._mode.eval()

    def on_validation_model_train(self) -> None:
        """The same after every callback."""
        super().on_validation_model_train()
        # where training ends here the weights stay those that were validated, to the bit
        if self._validates_in_training and not self.trainer.fit_loop.done:
            self._mode.train()

    def on_validation_start(self) -> None:
        """Writes the curve up to this step."""
        self._write_curve()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Writes the curve and saves the rest of it: a resumed training writes no point a second time.

        `state_dict` holds the weights to use; where the optimizer trains others, those are kept beside them.
        """
        self._write_curve()
        checkpoint["curve"] = self._curve.state_dict()
        if self._mode.switches:
            self._save_weights(checkpoint)

    def _save_weights(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[IN_EVAL_MODE] = not self._mode.is_training
        if self._mode.is_training:
            checkpoint[TRAINING_WEIGHTS] = checkpoint["state_dict"]
            with self._mode.evaluating():
                checkpoint["state_dict"] = whole({name: t.detach().clone() for name, t in self.state_dict().items()})

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the curve, and to train further the weights that were trained; not every checkpoint has them."""
        if "curve" in checkpoint:
            self._curve.load_state_dict(checkpoint["curve"])
        self._resumes_in_eval_mode = checkpoint.get(IN_EVAL_MODE, False)
        if TRAINING_WEIGHTS in checkpoint and self._trains:
            checkpoint["state_dict"] = checkpoint[TRAINING_WEIGHTS]

    def validation_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Adds one batch to the validation metrics. Returns the prediction (N, n_out, ...), for callbacks."""
        self._measure_average(batch)
        return self.measure(batch, self.val_metrics)

    def on_validation_epoch_end(self) -> None:
        """Logs `val/*`."""
        self._log_metrics("val", self.val_metrics)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Adds one batch to the test metrics."""
        self._measure_average(batch)
        self.measure(batch, self.test_metrics)

    def on_test_epoch_end(self) -> None:
        """Logs `test/*`."""
        self._log_metrics("test", self.test_metrics)

    def measure(self, batch: Any, metrics: Evaluation) -> Tensor:
        """Adds one batch to these metrics. Returns the prediction, classes at axis 1."""
        return self._measure(batch, metrics, self.net, self.loss)

    def _measure_average(self, batch: Any) -> None:
        if self.average is not None:
            self._measure(batch, self._average_metrics, self.average.net, self.average.loss)

    def _measure(self, batch: Any, metrics: Evaluation, net: nn.Module, loss: Loss) -> Tensor:
        x, y = _pair(batch)
        output = call(net, x)
        prediction: Tensor = self.task.prediction(output)
        metrics.update(loss(*self._loss_arguments(output, y)), prediction, y)
        return prediction

    def _log_metrics(self, split: str, metrics: Evaluation) -> None:
        values = _computed(metrics, split)
        if self.average is not None:
            values |= _computed(self._average_metrics, f"{split}/{EMA}")
        self.measured = {name: float(value) for name, value in values.items()}
        # `step` is Lightning's own key for the x-axis, which it would otherwise count one too low here
        self.log_dict({**values, "step": float(self.trainer.global_step)})

    def _write_curve(self, *, last: bool = False) -> None:
        for step, loss, lr in self._curve.points(last=last):
            # version 0.2 kept one rate for all groups
            rates = dict(zip((rate.tag for rate in self._rates), lr if isinstance(lr, tuple) else (lr,), strict=False))
            for logger in self.loggers:
                logger.log_metrics({"train/loss": loss, **rates}, step=step)


def _pair(batch: Any) -> tuple[Inputs, Tensor]:
    pair = as_pair(batch)
    if pair is None:
        raise ValueError(f"a batch must be {EXPECTED}, got a {type(batch).__name__}")
    return pair


def _computed(metrics: Evaluation, prefix: str) -> dict[str, Tensor]:
    values = {f"{prefix}/{name}": value for name, value in metrics.compute().items()}
    metrics.reset()
    return values
