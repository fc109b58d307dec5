"""A lean training loop for Lightning: the same step, the same hooks in the same order, at a fraction of the cost.

Lightning's own loop spends about as long around a step of a small network as the step itself takes: profiler contexts,
wrapped closures, a look for every hook of every callback, a pass over logged values after each batch. `LeanEpochLoop`
looks once an epoch which hooks somebody overrides, and then calls those alone. Every callback still sees every batch.

What it does not know (several devices, mixed precision, gradient accumulation, manual optimization, a module that
rewrites the optimizer step, ...) is left to Lightning's own loop: `why_not_lean` says so, in one place.

It subclasses a protected class of Lightning (`_TrainingEpochLoop`), hence the upper bound on Lightning's version in
`pyproject.toml`; `tests/module/test_loop.py` holds the two loops to bit-equal results.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.profilers import PassThroughProfiler
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from bakeoff.module.position import Positioned, RandomState, fast_forward, random_state, set_random_state

log = logging.getLogger(__name__)

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
REWRITES = (
    "optimizer_step",
    "optimizer_zero_grad",
    "backward",
    "lr_scheduler_step",
    "configure_gradient_clipping",
)
TRANSFERS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def use_lean_loop(
    trainer: pl.Trainer,
    validation_due: Callable[[int], bool] | None = None,
    on_step_boundary: Callable[[], None] | None = None,
) -> pl.Trainer:
    """Gives `trainer` the lean loop in place of its own, before `fit`; returns the same trainer.

    `validation_due`, asked after each optimizer step (counted from 1), replaces Lightning's `val_check_interval`, which
    cannot spread a number of validations evenly over a budget. `on_step_boundary` is called when a batch and the validation
    after it are over: a checkpoint that is written there resumes to the bit, position in the data and random numbers
    included.
    """
    own = trainer.fit_loop.epoch_loop
    lean = trainer.fit_loop.epoch_loop = LeanEpochLoop(trainer, own.min_steps, own.max_steps)
    lean.validation_due, lean.on_step_boundary = validation_due, on_step_boundary
    return trainer


def why_not_lean(trainer: pl.Trainer) -> str | None:
    """The first reason that Lightning's own loop is needed, or None: the one eligibility check of the lean loop."""
    module = trainer.lightning_module
    rewritten = [name for name in REWRITES if _overrides(module, pl.LightningModule, name)]
    reasons = {
        "several devices": type(trainer.strategy) is not SingleDeviceStrategy,
        "mixed precision": type(trainer.precision_plugin) is not Precision,
        "gradient accumulation": trainer.accumulate_grad_batches != 1,
        "manual optimization": not module.automatic_optimization,
        "no single optimizer": len(trainer.optimizers) != 1,
        "a profiler": type(trainer.profiler) is not PassThroughProfiler,  # type: ignore[attr-defined]
        f"the module's own {', '.join(rewritten)}": bool(rewritten),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _all_positioned(data_fetcher: _DataFetcher) -> bool:
    return all(isinstance(loader, Positioned) for loader in data_fetcher.combined_loader.flattened)


def _overrides(instance: object, base: type, name: str) -> bool:
    return getattr(type(instance), name, None) is not getattr(base, name, None) or name in vars(instance)


class LeanEpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with a step that calls only what somebody listens to."""

    validation_due: Callable[[int], bool] | None = None
    on_step_boundary: Callable[[], None] | None = None
    _at_epoch_start: RandomState | None = None  # of the first epoch there is none: see `fast_forward`
    _random_state: RandomState | None = None  # as it was when a checkpoint was written

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        """Before the batches of an epoch: goes to where a checkpoint was written; finds out who listens."""
        if self._restarting:
            self._go_on(data_fetcher)
        elif self.trainer.current_epoch > 0 and not _all_positioned(data_fetcher):
            self._at_epoch_start = random_state()
        super().on_run_start(data_fetcher)
        if self.restarted_on_last:  # nothing is half done: what Lightning does over, it need not
            self.restarting = False
            self.reset_restart_stage()
        reason = why_not_lean(self.trainer)
        if isinstance(data_fetcher, _DataLoaderIterDataFetcher):
            reason = "a training step that takes the iterator itself"
        self._lean = reason is None
        if reason is not None:
            _say_once(reason)
        else:
            data_fetcher._start_profiler = data_fetcher._stop_profiler = _nothing
            self._module = self.trainer.lightning_module
            self._listeners = {name: self._who_listens(name) for name in HOOKS}
            self._may_skip = _overrides(self._module, pl.LightningModule, "on_train_batch_start")
            self._transfers = self._needs_transfer()
            # inspecting the signature costs 30 us: once an epoch, not once a step
            self._wants_index = len(self._build_kwargs(OrderedDict(), None, 0)) == 2

    def _go_on(self, data_fetcher: _DataFetcher) -> None:
        seen = self.batch_progress.current.ready
        if not seen and self._random_state is not None:
            set_random_state(self._random_state)
            iter(data_fetcher)
        elif seen < self.trainer.num_training_batches:
            fast_forward(data_fetcher, seen, self._at_epoch_start)
        if self._random_state is not None:
            set_random_state(self._random_state)

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Lightning's own state, and that of the random numbers."""
        random_states = {"random_state": random_state(), "at_epoch_start": self._at_epoch_start}
        return {**super().on_save_checkpoint(), **random_states}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """Takes up both; a checkpoint of another loop has the first alone."""
        super().on_load_checkpoint(state_dict)
        self._random_state, self._at_epoch_start = state_dict.get("random_state"), state_dict.get("at_epoch_start")

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        """Validates if it is time; then all is at rest."""
        super().on_advance_end(data_fetcher)
        if self.on_step_boundary is not None:
            self.on_step_boundary()

    def _who_listens(self, name: str) -> list[Callable[..., Any]]:
        trainer, module = self.trainer, self._module
        callbacks = [c for c in trainer.callbacks if _overrides(c, pl.Callback, name)]
        hooks: list[Callable[..., Any]] = [partial(getattr(c, name), trainer, module) for c in callbacks]
        return [*hooks, getattr(module, name)] if _overrides(module, pl.LightningModule, name) else hooks

    def _needs_transfer(self) -> bool:
        """False if the data module says that its batches are on the device already and nobody touches them."""
        data = getattr(self.trainer, "datamodule", None)
        touched = any(_overrides(self._module, pl.LightningModule, name) for name in TRANSFERS)
        return touched or not getattr(data, "resident", False)

    def advance(self, data_fetcher: _DataFetcher) -> None:
        """One batch: fetch, forward, loss, backward, update, with every hook that somebody overrides."""
        if self.restarting or not self._lean:
            super().advance(data_fetcher)
            return
        self.val_loop.restarting = False
        trainer, progress = self.trainer, self.batch_progress
        batch, batch_idx = next(data_fetcher)[0], self.batch_idx + 1
        progress.is_last_batch = data_fetcher.done
        if self._transfers:
            batch = self._module._on_before_batch_transfer(batch, dataloader_idx=0)
            batch = trainer.strategy.batch_to_device(batch, dataloader_idx=0)
        progress.increment_ready()
        trainer._logger_connector.on_batch_start(batch)
        answers = self._call("on_train_batch_start", batch, batch_idx)
        if self._may_skip and answers[-1] == -1:
            progress.increment_by(0, is_last_batch=True)
            progress.increment_processed()
            raise StopIteration
        progress.increment_started()
        outputs = self._step(batch, batch_idx)
        progress.increment_processed()
        if trainer.lr_scheduler_configs:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
            if self._num_ready_batches_reached():
                self.update_lr_schedulers("epoch", update_plateau_schedulers=False)
        self._call("on_train_batch_end", outputs, batch, batch_idx)
        self._now_in(None)
        self._publish_logged_values()
        progress.increment_completed()

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        if self.validation_due is None:
            return super()._should_check_val_fx(data_fetcher)
        if not self.trainer.enable_validation:
            return False
        return self.trainer.should_stop or self.validation_due(self.global_step)

    def _step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        optimizer, done = self.trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer
        arguments = (batch, batch_idx) if self._wants_index else (batch,)
        outputs: dict[str, Any] = {}

        def closure() -> Tensor | None:
            with torch.enable_grad():
                self._now_in("training_step")
                outputs.update(_as_outputs(self._module.training_step(*arguments)))
                loss = outputs.get("loss")
                self._zero_grad(optimizer)
                if loss is not None:
                    self._call("on_before_backward", loss)
                    loss.backward()
                    outputs["loss"] = loss.detach()
                    self._call("on_after_backward")
            self._call("on_before_optimizer_step", optimizer)
            self._clip(optimizer)
            return loss

        done.step.increment_ready()
        optimizer.step(closure)
        done.step.increment_completed()
        return outputs

    def _zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
        done = self.automatic_optimization.optim_progress.optimizer.zero_grad
        done.increment_ready()
        self._call("on_before_zero_grad", optimizer)
        done.increment_started()
        optimizer.zero_grad()
        done.increment_completed()

    def _clip(self, optimizer: torch.optim.Optimizer) -> None:
        value = self.trainer.gradient_clip_val
        if value is not None:
            kind = self.trainer.gradient_clip_algorithm
            self.trainer.precision_plugin._clip_gradients(self._module, optimizer, value, kind)

    def _call(self, name: str, *arguments: Any) -> list[Any]:
        listeners = self._listeners[name]
        if not listeners:
            return listeners
        self._now_in(name)
        return [listener(*arguments) for listener in listeners]

    def _now_in(self, name: str | None) -> None:
        """Tells `self.log` where it is called from; past `nn.Module.__setattr__`, which takes 2 us each time."""
        vars(self._module)["_current_fx_name"] = name

    def _publish_logged_values(self) -> None:
        """Lightning passes over its logged values after every batch; here only if something was logged in a step."""
        connector = self.trainer._logger_connector
        if self._results:
            connector.on_batch_end()
            connector.update_train_step_metrics()
        else:
            self._results.batch = self._results.batch_size = None


def _as_outputs(returned: Any) -> dict[str, Any]:
    """What `training_step` may return in Lightning: a loss, a mapping that holds one, or None to skip the update."""
    if returned is None:
        return {}
    return dict(returned) if isinstance(returned, Mapping) else {"loss": returned}


@lru_cache
def _say_once(reason: str) -> None:
    log.info("training goes through Lightning's own loop, which is slower: %s", reason)


def _nothing() -> None:
    pass
