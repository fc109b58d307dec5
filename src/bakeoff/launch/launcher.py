"""The launcher of a sweep: finds out what is missing, spreads it over workers, and says what became of it.

Its process imports no torch: workers do. What is done is known from the records of the runs, and nothing else.
"""

from __future__ import annotations

import os
import signal
import sys
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from bakeoff.errors import UserError
from bakeoff.launch.display import Display
from bakeoff.launch.dry_run import describe
from bakeoff.launch.engines import Engine, engine_of
from bakeoff.launch.messages import Ended, Job, Prepared, Shared
from bakeoff.launch.plan import Plan, plan, refuse_bad
from bakeoff.launch.request import configuration_hash
from bakeoff.runs import Outcome, lower_is_better, objective
from bakeoff.values import check_execution

if TYPE_CHECKING:
    from bakeoff.overview import Overview

STOPPED_STATUS = 130  # a shell's own for a command that was stopped
STOPPING = b"\nbakeoff: stopping: what is running writes a checkpoint; Ctrl-C again stops it now\n"
left_failed: set[str] = set()  # folders of runs that failed before and were asked for now: the command's end tells


class SweepLauncher(Launcher):
    """Trains the missing runs of a sweep in worker processes.

    Args:
        engine: where they are: `local` (this machine), `ray` (a Ray cluster) or `submitit` (Slurm).
        ray: arguments of `ray.init`, and under `actor` of its actors' `options`.
        submitit: parameters of submitit's executor, such as `slurm_partition` or `timeout_min`; `cluster` and `folder`
            are those of its `AutoExecutor`.

    """

    def __init__(
        self, engine: str = "local", ray: Mapping[str, Any] | None = None, submitit: Mapping[str, Any] | None = None
    ) -> None:
        self.all_or_nothing = False  # a sweeper that proposes as it goes may propose what cannot be built
        self._engine_settings = (engine, _given(ray), _given(submitit))
        self._engine: Engine | None = None
        self._overview: Overview | None = None  # one for all batches of a sweeper that proposes as it goes
        self._metric: str | None = None  # of its runs, as far as is known: in regression the default stands for RMSE

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `launch`."""
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Gets one run for each list of overrides done; what is done already is not done again.

        Raises:
            UserError: runs cannot be built, and then none was started; or how to do it makes no sense.
            SystemExit: stopped from outside; or asked only what would be done.

        """
        setup_globals()
        check_execution(self.config)
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        jobs = [Job(initial_job_idx + i, tuple(filter_overrides(o))) for i, o in enumerate(job_overrides)]
        sweep = Path(str(self.config.hydra.sweep.dir))
        search_path = self.hydra_context.config_loader.get_search_path()
        configuration = configuration_hash(search_path, self.config.hydra.searchpath)
        engine = self._engine = self._engine or self._make_engine(len(jobs), configuration)
        try:
            planned = plan(jobs, sweep, configuration, self.config.retry, engine.pool)
            self._metric = next(_metrics(planned), self._metric)
            if self.config.dry_run:
                engine.close()
                print(describe(planned, sweep, engine.workers))
                raise SystemExit(2 if planned.refused else 0)
            if initial_job_idx == 0:
                if self.all_or_nothing or len(planned.refused) == len(jobs):
                    refuse_bad(planned)
                _refuse_wrong_direction(self.config.hydra.sweeper, self._metric)
            ended = self._train(planned, sweep, engine)
        except KeyboardInterrupt:  # nothing is being trained yet, or it was said twice
            engine.kill()
            engine.close()
            raise
        except BaseException:
            engine.close()
            raise
        return [self._answer(job, planned, ended) for job in jobs]

    def _make_engine(self, runs: int, configuration: str) -> Engine:
        trainer = self.config.get("trainer") or {}  # without it no run can be built, which will be said
        threads = trainer.get("threads")
        shared = Shared(self.hydra_context, self.config, configuration, retry=self.config.retry)
        accelerator = str(trainer.get("accelerator", "auto"))
        made = engine_of(*self._engine_settings, shared, self.config.workers, runs, threads, accelerator)
        weakref.finalize(self, made.close)  # a sweeper that does not know us says no word at its end
        return made

    def close(self) -> None:
        """Lets the workers go: the sweep has ended."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _train(self, planned: Plan, sweep: Path, engine: Engine) -> dict[int, Ended]:
        done, missing = planned.done(), planned.to_train()
        left_failed.update(_failed_folders(planned))
        ended: dict[int, Ended] = {}
        for number, refused in planned.refused.items():
            ended[number] = self._refuse(refused.job, refused.message)
        if not missing:
            _say_done(done)
            return ended
        overview = self._overview = self._overview or self._begin(sweep, planned)
        display = Display(len(missing) + len(done), Counter(done.values()))

        def on_end(run: Prepared, answer: Ended) -> None:
            ended[run.job.number] = answer
            display.ended(answer.status)
            overview.run_ended()

        training = engine.training(missing, fail_fast=bool(self.config.fail_fast), ended=on_end)
        with _signals(engine) as asked:
            for _ in training.run():
                if asked:
                    training.stop("stopped")
                display.look(training.running)
        display.close()
        overview.update()
        _say_done(done)
        if training.stopped is not None:
            _say_stopped(training.stopped, ended, len(missing), len(done))
        return ended

    def _begin(self, sweep: Path, planned: Plan) -> Overview:
        from bakeoff.overview import Overview  # takes a second: only now, not in every Hydra application

        sweep.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep / "multirun.yaml")  # as Hydra's own sweepers do
        overview = Overview(sweep, str(self.config.metric))
        overview.begin([run.hyperparameters for run in planned.prepared.values()])
        return overview

    def _refuse(self, job: Job, message: str) -> Ended:
        """In the middle of a search: a run that cannot be built is one that failed."""
        sys.stderr.write(f"bakeoff: {message}\n    in {' '.join(job.overrides)}\n")
        metric = self._metric or str(self.config.metric)
        return Ended("failed", float("inf") if lower_is_better(metric) else float("-inf"), message)

    def _answer(self, job: Job, planned: Plan, ended: Mapping[int, Ended]) -> JobReturn:
        number = planned.same.get(job.number, job.number)
        if number in ended:
            value = ended[number].objective
        elif number in planned.known:
            known = planned.known[number].outcome
            value = objective(known, _metric_of(known) or str(self.config.metric))
        else:
            prepared = planned.prepared[number]
            outcome = Outcome.read(Path(prepared.folder))
            value = objective(outcome, prepared.metric) if outcome is not None else None
        answer = JobReturn(list(job.overrides), task_name="bakeoff", working_dir=os.getcwd())
        answer.status, answer.return_value = JobStatus.COMPLETED, value
        return answer


def _given(settings: Mapping[str, Any] | None) -> dict[str, Any]:
    """As plain containers, without what is null: that is left to others."""
    plain: Any = OmegaConf.to_container(settings, resolve=True) if isinstance(settings, DictConfig) else settings or {}
    nested = {key: _given(value) if isinstance(value, dict) else value for key, value in plain.items()}
    return {str(key): value for key, value in nested.items() if value is not None}


def _metrics(planned: Plan) -> Iterator[str]:
    yield from (run.metric for run in planned.prepared.values())
    yield from (metric for run in planned.known.values() if (metric := _metric_of(run.outcome)))


def _metric_of(known: Outcome) -> str | None:
    metric: str | None = (known.request or {}).get("metric")
    return metric


def _refuse_wrong_direction(sweeper: Mapping[str, Any], metric: str | None) -> None:
    """Optuna minimizes unless it is told not to: nobody wants a study of the worst accuracy."""
    direction = sweeper.get("direction")
    asked = str(getattr(direction, "name", direction))
    right = "minimize" if metric is not None and lower_is_better(metric) else "maximize"
    if metric is not None and asked in ("minimize", "maximize") and asked != right:
        raise UserError(
            f"hydra.sweeper.direction={asked} would look for the worst {metric}; give hydra.sweeper.direction={right}"
        )


def _failed_folders(planned: Plan) -> Iterator[str]:
    yield from (run.folder for run in planned.known.values() if run.outcome.status == "failed")
    yield from (run.folder for run in planned.prepared.values() if run.done == "failed")


def _say_done(done: Mapping[int, str]) -> None:
    if done:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(Counter(done.values()).items()))
        again = "; retry=failed trains the failed ones again" if "failed" in done.values() else ""
        print(f"done before: {counts}{again}", flush=True)


def _say_stopped(why: str, ended: Mapping[int, Ended], missing: int, done: int) -> None:
    counts = Counter(answer.status for answer in ended.values())
    not_begun = missing - counts.total()
    words = [f"{count} {status}" for status, count in counts.items()]
    words += [f"{done} done before"] if done else []
    words += [f"{not_begun} not begun"] if not_begun else []
    sys.stdout.flush()
    sys.stderr.write(f"bakeoff: {why}: {', '.join(words)}; the same command goes on\n")
    raise SystemExit(STOPPED_STATUS if why == "stopped" else 1)


@contextmanager
def _signals(engine: Engine) -> Iterator[list[int]]:
    """Gives a list of signals that came: Ctrl-C, or a scheduler's SIGTERM. Twice, and it ends now."""
    asked: list[int] = []

    def on_signal(number: int, _: Any) -> None:
        if asked:
            engine.kill()
            raise KeyboardInterrupt
        asked.append(number)  # no more: what was interrupted here may be half done
        os.write(2, STOPPING)  # past Python's own buffer, in which a line may be half written

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
