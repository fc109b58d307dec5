"""Trains one run alone, by a Lightning `Trainer` whose callbacks and logger forward to the run's session."""

from __future__ import annotations

from collections.abc import Callable

import lightning.pytorch as pl
import torch

from bakeoff.data import DatasetDataModule, InMemoryDataModule
from bakeoff.module import StopOnDivergence
from bakeoff.module.fallback import overrides
from bakeoff.runs import Outcome
from bakeoff.train.callbacks import check_resumable
from bakeoff.train.data_fault import CheckedBatches, find_data_fault
from bakeoff.train.error import as_error, stopped_error
from bakeoff.train.first_step import with_batch_size_that_fits
from bakeoff.train.forwarding import (
    AfterOthers,
    BeforeOthers,
    CountedSamples,
    LastGradients,
    SessionLogger,
    ValidatedWeights,
)
from bakeoff.train.kept_state import KeptState
from bakeoff.train.lightning_checkpoint import IN_MEMORY, RunStateIO
from bakeoff.train.lightning_module import module_for
from bakeoff.train.parts import OwnModuleParts, SupervisedParts
from bakeoff.train.place import Place
from bakeoff.train.run_state import RunState
from bakeoff.train.scheduler import SchedulerFactory
from bakeoff.train.session import RunSession
from bakeoff.train.settings import FSDP
from bakeoff.train.shared_state import keep_shared, pop_shared
from bakeoff.train.trainer import trainer_for


def train_solo(session: RunSession, *, place: Place | None = None, progress_bar: bool = False) -> Outcome:
    """Trains to the end of the budget, and tests once on the last weights.

    Resumes from the last checkpoint that this very run has left in its folder. A failure, and a stop from outside, are
    recorded and returned, not raised. `place` is where this process stands among those of a run on several devices.

    Raises:
        OSError: nothing can be written in the run's folder.

    """
    assert (place is None) == (session.run.settings.trainer.devices == 1)  # else see `several.train`
    state = session.open()
    guard = StopOnDivergence(outputs_are_predictions=not isinstance(session.run.parts, OwnModuleParts))
    trained, failure = False, None
    try:
        trained = _train(session, state, guard, place, progress_bar)
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # Lightning makes SystemExit of a Ctrl-C
        failure = session.classify_error(error)
    finally:
        if place is not None:
            place.leave()
    if failure is not None:
        status, described = failure
        if place is not None and status == "failed":
            described = place.cause(described)
        if place is None or place.rank == 0:
            described = with_batch_size_that_fits(described, session.run)
        return session.close(status, described)
    if not trained:
        return session.close("interrupted", stopped_error())
    if guard.divergence is not None:
        fault = _data_fault(session)
        if fault is not None:
            return session.close("failed", as_error("UserError", fault, step=guard.divergence.step))
        return session.close("diverged", as_error("Divergence", str(guard.divergence), step=guard.divergence.step))
    try:
        return session.close("completed")
    except OSError as error:  # no room for the last of its results: it is not completed yet
        return session.close(*session.classify_error(error))


def _data_fault(session: RunSession) -> str | None:
    parts = session.run.parts
    if isinstance(parts, OwnModuleParts):  # it may mask what is not finite
        return None
    steps, batches = parts.spec.steps_per_epoch or session.step, session.run.settings.trainer.accumulate_grad_batches
    return find_data_fault(parts.data, steps * batches)


def _train(
    session: RunSession, state: RunState | None, guard: StopOnDivergence, place: Place | None, progress_bar: bool
) -> bool:
    """Trains and tests; False if the run was stopped at a step boundary."""
    session.start()
    run, checkpoint_io = session.run, RunStateIO(state)
    torch.set_num_threads(session.threads)
    gradients = LastGradients(run.parts.net) if session.needs_gradients else None
    # they are put together from all processes, which do not all write them
    validated = ValidatedWeights() if run.callbacks or run.settings.trainer.strategy == FSDP else None
    counted = CountedSamples(session) if session.counts_samples else None
    is_own = isinstance(run.parts, OwnModuleParts)  # it may mask what is not finite
    checked = None if run.parts.batches_are_ours or is_own else CheckedBatches()
    kept = KeptState() if is_own else None
    optional = (checked, counted, validated, gradients, kept)
    ours = [BeforeOthers(session, state), *(callback for callback in optional if callback is not None)]
    module = module_for(run.parts, run.settings, _lr_factor(session), _option_factors(session))
    steps_per_epoch = run.parts.spec.steps_per_epoch
    trainer = trainer_for(
        run.settings,
        session.budget,
        session.folder,
        logger=SessionLogger(session, (lambda: trainer.state.stage) if is_own else None),
        # what follows from a validation comes last, when a user's own callbacks have logged what they log
        callbacks=[guard, *ours, *run.callbacks, AfterOthers(session, validated, gradients)],
        checkpoint_io=checkpoint_io,
        environment=place,
        on_step_boundary=lambda: _at_boundary(session, trainer, checkpoint_io, place),
        steps_per_epoch=steps_per_epoch if is_own else None,
        makes_its_steps=not module.automatic_optimization,
        progress_bar=progress_bar,
    )
    session.set_device(_device_name(trainer.strategy.root_device))
    # again, now that the net is built: dropout draws the same for arms whose nets draw differently
    seed = run.settings.seed_of_data
    pl.seed_everything(seed if place is None else place.seed(seed), workers=True, verbose=False)
    if place is not None:
        _share(run.parts.data, place)
        place.wait_for_others(state)
    session.budget.start()
    try:
        trainer.fit(module, datamodule=run.parts.data, ckpt_path=IN_MEMORY if state else None, weights_only=True)
    except _LeaveLoopError:
        return False
    if place is not None:
        guard.divergence = next((found for found in place.all_of(guard.divergence) if found is not None), None)
    if guard.divergence is None:
        _save_final(session, trainer, checkpoint_io, place)
        if run.parts.spec.has_test and overrides(module, pl.LightningModule, "test_step"):
            trainer.test(module, datamodule=run.parts.data, verbose=False)
    return True


class _LeaveLoopError(Exception):
    """Leaves Lightning's loop at a step boundary.

    It has no other way out that writes nothing more: what it writes at the end of a training would stand in the curves
    twice once the run is resumed.
    """


def _share(data: pl.LightningDataModule, place: Place) -> None:
    """Gives this process its part of each batch."""
    assert isinstance(data, InMemoryDataModule | DatasetDataModule)
    data.share = place.share


def _save_final(session: RunSession, trainer: pl.Trainer, checkpoint_io: RunStateIO, place: Place | None) -> None:
    if place is None:
        session.save_final(lambda: checkpoint_io.capture(trainer))
    else:  # all processes wait for each other to give their state, of which the first one writes its own
        others = keep_shared(trainer, checkpoint_io, place)
        session.save_final(lambda: pop_shared(trainer, checkpoint_io, others))


def _at_boundary(session: RunSession, trainer: pl.Trainer, checkpoint_io: RunStateIO, place: Place | None) -> None:
    if place is not None:
        _at_shared_boundary(session, trainer, checkpoint_io, place)
        return
    ends_here = trainer.should_stop or session.step == session.run.budget.steps
    if _awaits_its_end(session, trainer):
        return
    if not ends_here and not session.boundary(lambda: _complete_state(session, trainer, checkpoint_io)):
        raise _LeaveLoopError


def _at_shared_boundary(session: RunSession, trainer: pl.Trainer, checkpoint_io: RunStateIO, place: Place) -> None:
    """The same for several processes: all end the training where one does, and the first one decides the rest."""
    is_first = place.rank == 0
    trainer.should_stop, is_wanted = place.any(trainer, trainer.should_stop, is_first and session.wants_state)
    if not is_wanted or trainer.should_stop or session.step == session.run.budget.steps:
        return
    others = keep_shared(trainer, checkpoint_io, place)
    leaves = is_first and not session.boundary(lambda: pop_shared(trainer, checkpoint_io, others))
    if place.any(trainer, leaves)[0]:
        raise _LeaveLoopError


def _awaits_its_end(session: RunSession, trainer: pl.Trainer) -> bool:
    """Whether an epoch of a user's own module ends here: what it logs then must not be cut off from its batches."""
    return isinstance(session.run.parts, OwnModuleParts) and trainer.is_last_batch


def _complete_state(session: RunSession, trainer: pl.Trainer, checkpoint_io: RunStateIO) -> RunState:
    check_resumable(session.run.callbacks)
    return checkpoint_io.capture(trainer)


def _lr_factor(session: RunSession) -> Callable[[int], float] | None:
    parts = session.run.parts
    schedule = parts.schedule if isinstance(parts, SupervisedParts) else None
    if schedule is None or isinstance(schedule, SchedulerFactory):
        return None
    return session.budget.lr_factor(schedule)


def _option_factors(session: RunSession) -> dict[str, Callable[[int], float]]:
    parts = session.run.parts
    schedules = parts.option_schedules if isinstance(parts, SupervisedParts) else {}
    return {option: session.budget.lr_factor(schedule) for option, schedule in schedules.items()}


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
