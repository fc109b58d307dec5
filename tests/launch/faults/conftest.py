"""A sweep that faults are done to, and one that is left in peace."""

import logging
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from .processes import Command
from .records import records, result

RUNS = ("-m", "optimizer=sgd,adam", "loss=cross_entropy,mse", "seed=0,1")
SETTINGS = (
    *("trainer=cpu", "trainer.threads=1", "checkpoint_every=0", "workers=2"),
    *("budget.steps=1500", "batch_size=16", "+callbacks.watch._target_=watch.Watch"),  # a second each
)
WATCH = '''
import os
import lightning.pytorch as pl


class Watch(pl.Callback):
    """Writes down which process takes which step, where nobody else writes."""

    def on_fit_start(self, trainer, module):
        name = "_".join(os.path.abspath(trainer.default_root_dir).split(os.sep)[-3:])
        self.file = open(os.path.join(os.path.dirname(__file__), "steps", name), "ab", buffering=0)

    def on_train_batch_end(self, trainer, *_):
        self.file.write(f"{os.getpid()} {trainer.global_step}\\n".encode())
'''


@pytest.fixture(scope="session")
def settings() -> tuple[str, ...]:
    """Of every run here: it takes a second, and writes a checkpoint many times."""
    return SETTINGS


@pytest.fixture(scope="session")
def eight_runs() -> tuple[str, ...]:
    """The command line of the sweep that `undisturbed` knows."""
    return RUNS + SETTINGS


def put_watch(folder: Path) -> None:
    (folder / "watch.py").write_text(WATCH)
    (folder / "steps").mkdir()


@pytest.fixture(scope="session")
def undisturbed(made_once) -> dict[str, tuple[str, dict]]:
    """Identity -> result of each run of the sweep that nothing happened to."""
    found = records(made_once("undisturbed", train_undisturbed) / "outputs" / "main")
    assert len(found) == 8
    return {record["identity"]: result(run) for run, record in found.items()}


def train_undisturbed(folder: Path) -> None:
    put_watch(folder)
    command = Command(folder, (*RUNS, *SETTINGS))
    said = command.wait()
    assert said.status == 0, said.text
    assert not command.left_over()


@pytest.fixture(autouse=True)
def watch(tmp_path) -> None:
    """The callback of `settings`, where the command finds it."""
    put_watch(tmp_path)


@pytest.fixture(autouse=True)
def no_log_of_earlier_tests() -> None:
    """Hydra's handlers write to the output of the test that set them up, which is closed."""
    for handler in logging.root.handlers[:]:
        if getattr(getattr(handler, "stream", None), "closed", False):
            logging.root.removeHandler(handler)


@pytest.fixture
def start(tmp_path):
    """`start("-m", "seed=0,1")` starts the command in `tmp_path`; what it leaves behind is killed."""
    started: list[Command] = []

    def begin(*arguments: str, before: Sequence[str] = ()) -> Command:
        started.append(Command(tmp_path, arguments, before))
        return started[-1]

    yield begin
    for command in started:
        for process in command.family():
            with suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        command.process.wait()
