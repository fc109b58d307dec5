"""The life of one run while it trains. It knows no `Trainer` and no loop: what trains the run tells it what happens.

open -> start -> budget.start -> training_started
    -> (stepped, points, validation_started, validation_batch, validated, boundary)* -> save_final -> close

Several runs may share one loop, and one of them may stop while the others continue: a stop is a value that `boundary`
returns, never an exception.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bakeoff.errors import UserError
from bakeoff.runs import FINAL_STATUSES, Outcome, StopRequest, utc_now
from bakeoff.runs.metrics import split_of
from bakeoff.tensorboard import EventFile
from bakeoff.train.budget import BudgetClock, samples_seen
from bakeoff.train.error import Error, classify_error
from bakeoff.train.member import SessionMember, Validation
from bakeoff.train.record import record_of
from bakeoff.train.run import Run
from bakeoff.train.run_state import RunState
from bakeoff.train.session_members import SessionMembers

log = logging.getLogger(__name__)

DEFAULT_THREADS = torch.get_num_threads()  # torch's own choice, before a run of another number of threads


@dataclass(frozen=True)
class ValidationDecision:
    """What follows from a validation."""

    stop: bool  # early stopping: the training ends here


class RunSession:
    """Trains nothing itself: keeps the records of a run in `folder` as another trains it.

    Args:
        run: the run.
        folder: where its records are.
        stop: whether it is asked to stop.
        is_held: whether this process still holds the run's lease; if not, the run stops, and no outcome or checkpoint
            is written any more.
        threads: of torch, where neither the settings nor an earlier part of the run give them.
        may_resume: whether to continue from a checkpoint, if there is one.

    """

    def __init__(
        self,
        run: Run,
        folder: Path,
        *,
        stop: StopRequest | None = None,
        is_held: Callable[[], bool] = lambda: True,
        threads: int | None = None,
        may_resume: bool = True,
    ) -> None:
        self.run, self.folder, self.threads = run, folder, threads or DEFAULT_THREADS
        self.budget = BudgetClock(run.budget)
        self.step = 0
        self._logged: set[str] = set()  # since the last validation began
        self.counted_samples = 0  # where the data does not say how many samples an epoch has: see `counts_samples`
        self._stop, self._is_held, self._may_resume = stop or StopRequest(), is_held, may_resume
        self._started, self._seconds_before = time.monotonic(), 0.0
        members = SessionMembers.of(run, folder)
        self._file, self._events, self._summary = members.file, members.events, members.summary
        self._early_stopping, self._checkpoints = members.early_stopping, members.checkpoints
        self._members = members.by_name
        # found once, not in every step
        self._step_members = [m for m in self._members.values() if type(m).stepped is not SessionMember.stepped]

    @property
    def needs_gradients(self) -> bool:
        """Whether `validated` wants the gradients of the last step."""
        return "histograms" in self._members

    @property
    def wants_state(self) -> bool:
        """Whether `boundary` would ask for the state of the training now."""
        return self._stop.requested or self._checkpoints.is_due

    @property
    def counts_samples(self) -> bool:
        """Whether `counted_samples` is to be kept by who trains the run; else it follows from the steps."""
        return self.run.parts.spec.n_train is None

    def fraction_done(self) -> float:
        """The part of the budget that is spent, in [0, 1]; another thread may ask."""
        return self.budget.fraction_done(self.step)

    def open(self) -> RunState | None:
        """Records the run as running; returns the state to resume from, if there is one.

        What another run has left in the folder is removed.

        Raises:
            OSError: the folder cannot be written.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        # a run that has ended for good is not resumed: who asks for it again wants it from its start
        before = Outcome.read(self.folder)
        has_ended = before is not None and before.status in FINAL_STATUSES
        state = self._checkpoints.latest() if self._may_resume and not has_ended else None
        if state is None:
            self._checkpoints.delete_all()
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
        self._outcome = self._new_outcome(state)
        self._outcome.write(self.folder)
        self._resumed_at = state.step if state else None
        return state

    def start(self) -> None:
        """Starts the event file. What goes wrong from here on is for `classify_error` and `close`."""
        for member in self._members.values():
            member.start(self._resumed_at)

    def training_started(self) -> None:
        """Everything is set up; the first batch comes next."""
        for member in self._members.values():
            member.training_started()

    def stepped(self, step: int) -> None:
        """An optimizer step has been made; `step` counts them from 1."""
        self.step = step
        for member in self._step_members:
            member.stepped(step)

    @property
    def event_file(self) -> EventFile:
        """For what a module writes there itself."""
        return self._file

    def points(self, step: int, values: Mapping[str, float], split: str | None = None) -> None:
        """Curves have a point at `step`: tag -> value. To be gathered, and given once an interval.

        `split` is what they are measured on, `train`, `val` or `test`, where their names do not say it (`val/...`).
        """
        self._logged |= values.keys()
        values = {self._summary.name_of(name, split): value for name, value in values.items()}
        for member in self._members.values():
            member.points(step, values, split)

    def validation_started(self) -> None:
        """A validation begins."""
        self._logged = set()
        for member in self._members.values():
            member.validation_started(self.step)

    def validation_batch(self, batch: Any, output: Any) -> None:
        """One batch of the validation under way, and what the net made of it."""
        for member in self._members.values():
            member.validation_batch(batch, output)

    def validated(
        self,
        metrics: Mapping[str, float],
        weights: Callable[[], Mapping[str, Tensor]],
        parameters: Callable[[], Mapping[str, Tensor]] = dict,
        gradients: Callable[[], Mapping[str, Tensor]] = dict,
    ) -> ValidationDecision:
        """A validation has ended; see `Validation` for the arguments.

        Raises:
            UserError: the metric that the run is ranked by is not among `metrics`.

        """
        if self.run.metric not in metrics:
            logged = ", ".join(sorted(self._of_validation(metrics))) or "nothing"
            message = f"metric={self.run.metric}: nothing logs it; the validation logged {logged}"
            if self.run.metric in self._summary.metrics:
                message = f"metric={self.run.metric} must be logged at every validation, not at step {self.step}"
            raise UserError(message)
        if self.run.metric not in self._logged:  # it was logged for callbacks alone (`logger=False`)
            self.points(self.step, {self.run.metric: metrics[self.run.metric]}, "val")
        validation = Validation(self.step, metrics, weights, parameters, gradients)
        for member in self._members.values():
            member.validated(validation)
        return ValidationDecision(stop=self._early_stopping is not None and self._early_stopping.should_stop)

    def _of_validation(self, metrics: Mapping[str, float]) -> list[str]:
        return [name for name in metrics if split_of(name, self._summary.splits) == "val"]

    def boundary(self, state: Callable[[], RunState]) -> bool:
        """A step, and the validation after it, are over: writes a checkpoint if it is due, or if the run is to stop.

        Not to be called behind the last step of a run.

        Args:
            state: gives the state of the training, without identity and session; asked only if it is written.

        Returns:
            False if the run stops here: it was asked to, or another process trains it now.

        """
        stop = self._stop.requested
        if not stop and not self._checkpoints.is_due:
            return True
        if not self._is_held():
            return False
        self._save(state, ended=False)
        return not stop

    def save_final(self, state: Callable[[], RunState]) -> None:
        """The training has ended by itself, and the test comes next: writes the final weights.

        Raises:
            UserError: there was no validation: such a run has no result.

        """
        if self.run.metric not in self._summary.metrics:
            raise UserError(f"the training ended at step {self.step} without a validation: nothing says how good it is")
        self._save(state, ended=True)

    def close(self, status: str, error: Error | None = None) -> Outcome:
        """Records how the run ended, and returns it.

        Args:
            status: one of `bakeoff.runs.STATUSES`.
            error: of a bad end: `type`, `message`, `step`, `traceback`.

        Raises:
            OSError: what a completed run ends with cannot be written: it is not completed yet.

        """
        outcome = self._outcome
        outcome.status, outcome.error = status, error
        spec, samples_per_step = self.run.parts.spec, self.run.settings.samples_per_step
        outcome.steps = self.step
        outcome.epochs = self.step / spec.steps_per_epoch if spec.steps_per_epoch else 0.0
        outcome.samples = self.counted_samples
        if not self.counts_samples:
            outcome.samples = samples_seen(self.step, spec.n_train, spec.steps_per_epoch, samples_per_step)
        outcome.metrics, outcome.splits = self._summary.metrics, self._summary.splits
        if status == "diverged":  # what such weights score is no result, even where it is a number
            outcome.metrics = {name: {**entry, "final": None} for name, entry in outcome.metrics.items()}
        outcome.seconds, outcome.ended = round(self._seconds(), 3), utc_now()
        if not self._is_held():
            log.warning("another process has taken over the run in %s: its end is not recorded", self.folder)
            self._file.close()
            return outcome
        for member in self._members.values():
            member.close(outcome)
        try:
            outcome.write(self.folder)  # last: a run that is recorded as completed is never trained again
        except OSError as error_of_write:
            if status == "completed":
                raise
            log.warning("the end of the run in %s could not be recorded: %s", self.folder, error_of_write)
        if status in FINAL_STATUSES:
            self._checkpoints.clean_up()
        return outcome

    def classify_error(self, error: BaseException) -> tuple[str, Error]:
        """Status and error of the run if `error` was raised in it; to be called while it is handled."""
        return classify_error(error, self.folder, step=self.step + 1, stop_requested=self._stop.requested)

    def set_device(self, name: str) -> None:
        """What the run is trained on."""
        self._outcome.device = name

    def _new_outcome(self, state: RunState | None) -> Outcome:
        run, outcome = self.run, record_of(self.run)
        # the number of threads decides the last bits: a run is resumed with that of its start
        self.threads = run.settings.trainer.threads or self.threads
        if state is not None:
            self._restore(state, outcome)
        outcome.threads, outcome.metrics, outcome.splits = self.threads, self._summary.metrics, self._summary.splits
        return outcome

    def _restore(self, state: RunState, outcome: Outcome) -> None:
        self.step = state.step
        own = state.session["run"]
        outcome.started, self._seconds_before, self.threads = own["started"], own["seconds"], own["threads"]
        self.budget.load_state_dict(own["budget"])
        self.counted_samples = own.get("samples", 0)
        for name, kept in state.session["members"].items():
            if name in self._members:  # `log` may have changed since
                self._members[name].load_state_dict(kept)

    def _save(self, state: Callable[[], RunState], *, ended: bool) -> None:
        # the loop's state first: to put it together may give more points to the members
        self._checkpoints.save(
            lambda: replace(state(), session=self._state_dict(), ended=ended), flush=self._events.flush
        )

    def _state_dict(self) -> dict[str, Any]:
        own = {
            "started": self._outcome.started,
            "seconds": self._seconds(),
            "threads": self.threads,
            "budget": self.budget.state_dict(),
            "samples": self.counted_samples,
        }
        members = {name: state for name, member in self._members.items() if (state := member.state_dict())}
        return {"run": own, "members": members}

    def _seconds(self) -> float:
        return self._seconds_before + time.monotonic() - self._started
