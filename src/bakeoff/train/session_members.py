"""Who keeps the records of a run: its event file and what takes part in its session, as its settings ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bakeoff.runs import Direction
from bakeoff.tensorboard import EventFile
from bakeoff.train.checkpoints import Checkpoints
from bakeoff.train.early_stopping import EarlyStopping
from bakeoff.train.event_writer import RunEventWriter
from bakeoff.train.histograms import Histograms
from bakeoff.train.member import SessionMember
from bakeoff.train.metric_summary import MetricSummary
from bakeoff.train.metrics import directions_of
from bakeoff.train.net_description import describe
from bakeoff.train.parts import OwnModuleParts, SupervisedParts
from bakeoff.train.predictions import Predictions
from bakeoff.train.run import Run
from bakeoff.train.step_clock import StepClock


@dataclass(frozen=True)
class SessionMembers:
    """The members of a session in the order in which they are called, and those that a session asks by name."""

    file: EventFile
    events: RunEventWriter
    summary: MetricSummary
    early_stopping: EarlyStopping | None
    checkpoints: Checkpoints
    by_name: dict[str, SessionMember]

    @classmethod
    def of(cls, run: Run, folder: Path) -> Self:
        """Those of a run whose records are in `folder`."""
        settings, file = run.settings, EventFile(folder)
        clock = StepClock(run.parts.spec, settings.samples_per_step)
        predictions, early_stopping = _predictions(run), _early_stopping(run)
        logged = run.parts.logged or {} if isinstance(run.parts, OwnModuleParts) else {}
        summary = MetricSummary(_directions(run), logged)
        events = RunEventWriter(file, settings, run.hyperparameters, clock, predictions, run.parts.n_out or 0)
        histograms = Histograms(file, run.budget.validations) if settings.log == "full" else None
        checkpoints = _checkpoints(run, folder)
        members: dict[str, SessionMember | None] = {
            "clock": clock,
            "summary": summary,
            "events": events,
            "predictions": predictions,
            "histograms": histograms,
            "early_stopping": early_stopping,
            "checkpoints": checkpoints,
        }
        by_name = {name: member for name, member in members.items() if member is not None}
        return cls(file, events, summary, early_stopping, checkpoints, by_name)


def _predictions(run: Run) -> Predictions | None:
    """None where they are no classes, and with several devices: each process sees a part of them."""
    is_shown = run.parts.task == "classification" and run.settings.trainer.devices == 1
    return Predictions(run.parts.spec, not_before=_first_possible_end(run)) if is_shown else None


def _first_possible_end(run: Run) -> int:
    """The step before which no validation is the last one: any can be, where something may stop the run early."""
    may_stop = run.settings.early_stopping.patience is not None or run.callbacks
    return 0 if may_stop or run.budget.steps is None else run.budget.steps


def _early_stopping(run: Run) -> EarlyStopping | None:
    settings = run.settings.early_stopping
    if settings.patience is None:
        return None
    return EarlyStopping(run.metric, run.direction, patience=settings.patience, min_delta=settings.min_delta)


def _directions(run: Run) -> dict[str, Direction]:
    """Those of a user's own metrics, as far as they are known."""
    given = directions_of(run.parts.metrics) if isinstance(run.parts, SupervisedParts) else {}
    return {name: direction for name, direction in given.items() if direction is not None} | {run.metric: run.direction}


def _checkpoints(run: Run, folder: Path) -> Checkpoints:
    return Checkpoints(
        folder,
        mode=run.settings.checkpoints,
        every=run.settings.checkpoint_every,
        identity=run.identity,
        metric=run.metric,
        direction=run.direction,
        description=describe(run.parts),
    )
