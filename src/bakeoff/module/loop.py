"""A lean training loop for Lightning: the same step, the same hooks in the same order, at a fraction of the cost.

Lightning's own loop spends about as long around a step of a small network as the step itself takes: profiler contexts,
wrapped closures, a search for every hook of every callback, a pass over logged values after each batch. `LeanEpochLoop`
finds out once an epoch which hooks are overridden, and then calls only those. Every callback still sees every batch.

What it does not support (several devices, mixed precision, gradient accumulation, manual optimization, a module that
overrides the optimizer step, ...) is left to Lightning's own loop: see `fallback_reason`.

It subclasses a protected class of Lightning; `private_api.py` lists every private name that it uses.
`tests/module/test_loop.py` holds the two loops to bit-equal results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor

from bakeoff.module.fallback import fallback_reason, log_fallback_once, overrides
from bakeoff.module.logged_values import steps_made
from bakeoff.module.private_api import DataFetcher, DataLoaderIterDataFetcher, TrainingEpochLoop
from bakeoff.module.random_states import RandomState, random_state, set_random_state
from bakeoff.module.resume import all_resumable, fast_forward

HOOKS = (
    "on_train_batch_start",
    "on_before_zero_grad",
    "on_before_backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "on_train_batch_end",
)
TRANSFER_HOOKS = ("on_before_batch_transfer", "transfer_batch_to_device", "on_after_batch_transfer")


def use_lean_loop(
    trainer: pl.Trainer,
    validation_due: Callable[[int], bool] | None = None,
    on_step_boundary: Callable[[], None] | None = None,
) -> pl.Trainer:
    """Replaces the loop of `trainer` by the lean one; to be called before `fit`. Returns the same trainer.

    Args:
        trainer: any trainer; where `fallback_reason` gives a reason, it trains with Lightning's own step.
        validation_due: called after each step with its number, counted from 1 (`steps_made`). It replaces Lightning's
            `val_check_interval`, which cannot spread a number of validations evenly over a budget.
        on_step_boundary: called after each step and the validation after it. A checkpoint written there resumes
            bit-equal, position in the data and random numbers included. Not called between the batches of a step: no
            checkpoint has the gradients that they have given so far.

    """
    own = trainer.fit_loop.epoch_loop
    lean = trainer.fit_loop.epoch_loop = LeanEpochLoop(trainer, own.min_steps, own.max_steps)
    lean.validation_due, lean.on_step_boundary = validation_due, on_step_boundary
    return trainer


class LeanEpochLoop(TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, with a step that calls only the hooks that are overridden."""

    restarting: bool  # Lightning's property; its type is declared here for the type checker
    validation_due: Callable[[int], bool] | None = None
    on_step_boundary: Callable[[], None] | None = None
    _epoch_start_state: RandomState | None = None  # the first epoch has none: see `fast_forward`
    _checkpoint_state: RandomState | None = None  # the random state when the checkpoint was written

    def on_run_start(self, data_fetcher: DataFetcher) -> None:
        """Before the batches of an epoch: restores the position in the data, finds out which hooks are overridden."""
        if self.restarting:
            self._restore_position(data_fetcher)
        elif self.trainer.current_epoch > 0 and not all_resumable(data_fetcher):
            self._epoch_start_state = random_state()
        super().on_run_start(data_fetcher)
        if self.restarted_on_last:  # the checkpoint is from a step boundary: there is nothing to repeat
            self.restarting = False
            self.reset_restart_stage()
        reason = fallback_reason(self.trainer)
        if isinstance(data_fetcher, DataLoaderIterDataFetcher):
            reason = "a training step that takes the iterator itself"
        self._is_lean = reason is None
        if reason is not None:
            log_fallback_once(reason)
        else:
            self._prepare_lean_steps(data_fetcher)

    def _restore_position(self, data_fetcher: DataFetcher) -> None:
        seen = self.batch_progress.current.ready
        if not seen and self._checkpoint_state is not None:
            set_random_state(self._checkpoint_state)
            iter(data_fetcher)
        elif seen < self.trainer.num_training_batches:
            fast_forward(data_fetcher, seen, self._epoch_start_state)
        if self._checkpoint_state is not None:
            set_random_state(self._checkpoint_state)

    def _prepare_lean_steps(self, data_fetcher: DataFetcher) -> None:
        data_fetcher._start_profiler = data_fetcher._stop_profiler = _no_op
        self._module = self.trainer.lightning_module
        self._hooks = {name: self._overriding_hooks(name) for name in HOOKS}
        self._can_skip_epoch = overrides(self._module, pl.LightningModule, "on_train_batch_start")
        self._transfers = self._needs_transfer()
        # inspecting the signature costs 30 us: once an epoch, not once a step
        self._takes_index = is_param_in_hook_signature(self._module.training_step, "batch_idx", min_args=2)

    @property
    def epoch_start_state(self) -> RandomState | None:
        """The random states at the start of the epoch; None where they are not needed to resume in it."""
        return self._epoch_start_state

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Lightning's own state, and the random states now and at the start of the epoch."""
        random_states = {"random_state": random_state(), "at_epoch_start": self._epoch_start_state}
        return {**super().on_save_checkpoint(), **random_states}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """Restores the state. A checkpoint of another loop has no random states."""
        super().on_load_checkpoint(state_dict)
        self._checkpoint_state = state_dict.get("random_state")
        self._epoch_start_state = state_dict.get("at_epoch_start")

    def on_advance_end(self, data_fetcher: DataFetcher) -> None:
        """Validates if it is due; at the end of a step calls `on_step_boundary`."""
        super().on_advance_end(data_fetcher)
        if self.on_step_boundary is not None and not self._is_within_step():
            self.on_step_boundary()

    def _overriding_hooks(self, name: str) -> list[Callable[..., Any]]:
        """The callbacks' own versions of a hook, then the module's, in the order in which Lightning calls them."""
        trainer, module = self.trainer, self._module
        callbacks = [c for c in trainer.callbacks if overrides(c, pl.Callback, name)]
        hooks: list[Callable[..., Any]] = [partial(getattr(c, name), trainer, module) for c in callbacks]
        return [*hooks, getattr(module, name)] if overrides(module, pl.LightningModule, name) else hooks

    def _needs_transfer(self) -> bool:
        """False if the data module says that its batches are on the device and the module changes no batch."""
        data = getattr(self.trainer, "datamodule", None)
        changed = any(overrides(self._module, pl.LightningModule, name) for name in TRANSFER_HOOKS)
        return changed or not getattr(data, "batches_on_device", False)

    def advance(self, data_fetcher: DataFetcher) -> None:
        """One batch: fetch, forward, loss, backward, update, with every hook that is overridden."""
        if self.restarting or not self._is_lean:
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
        results = self._call("on_train_batch_start", batch, batch_idx)
        if self._can_skip_epoch and results[-1] == -1:
            progress.increment_by(0, is_last_batch=True)
            progress.increment_processed()
            self._step_schedules()  # Lightning's does so, too
            raise StopIteration
        progress.increment_started()
        outputs = self._step(batch, batch_idx)
        progress.increment_processed()
        self._step_schedules()
        self._call("on_train_batch_end", outputs, batch, batch_idx)
        self._set_current_hook(None)
        self._publish_logged_values()
        progress.increment_completed()

    def _step_schedules(self) -> None:
        if self.trainer.lr_scheduler_configs:
            self.update_lr_schedulers("step", update_plateau_schedulers=False)
            if self._ends_epoch():
                self.update_lr_schedulers("epoch", update_plateau_schedulers=False)

    def _should_check_val_fx(self, data_fetcher: DataFetcher) -> bool:
        if self.validation_due is None:
            return super()._should_check_val_fx(data_fetcher)
        if not self.trainer.enable_validation:
            return False
        if self.trainer.should_stop:
            return True
        return not self._is_within_step() and self.validation_due(steps_made(self.trainer))

    def _is_within_step(self) -> bool:
        """Whether more batches are to come before the optimizer steps, which it does behind the last of an epoch."""
        return self.batch_progress.current.ready % self.trainer.accumulate_grad_batches != 0 and not self._ends_epoch()

    def _ends_epoch(self) -> bool:
        progress = self.batch_progress
        return progress.is_last_batch or progress.current.ready == self.trainer.num_training_batches

    def _step(self, batch: Any, batch_idx: int) -> dict[str, Any]:
        optimizer, done = self.trainer.optimizers[0], self.automatic_optimization.optim_progress.optimizer
        arguments = (batch, batch_idx) if self._takes_index else (batch,)
        outputs: dict[str, Any] = {}

        def closure() -> Tensor | None:
            with torch.enable_grad():
                self._set_current_hook("training_step")
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
            self._module.configure_gradient_clipping(optimizer, value, self.trainer.gradient_clip_algorithm)

    def _call(self, name: str, *arguments: Any) -> list[Any]:
        hooks = self._hooks[name]
        if not hooks:
            return hooks
        self._set_current_hook(name)
        return [hook(*arguments) for hook in hooks]

    def _set_current_hook(self, name: str | None) -> None:
        """Tells `self.log` which hook it is called from; bypasses `nn.Module.__setattr__`, which takes 2 us."""
        vars(self._module)["_current_fx_name"] = name

    def _publish_logged_values(self) -> None:
        """Passes logged values on to Lightning, only if this batch logged any; Lightning does so after every batch."""
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


def _no_op() -> None:
    pass
