"""Runs made from a command line, in this process."""

import hydra
import pytest

from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.runs import Outcome
from bakeoff.train import Run, RunSession, build_run, resolve_settings, silence, train_solo


class MadeRun:
    """A built run that a test may train, as often as it likes, in any folder."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def __getattr__(self, name):
        return getattr(self.run, name)

    def train(self, folder, **options) -> Outcome:
        """`options` are those of `RunSession`."""
        return train_solo(RunSession(self.run, folder, **options))


@pytest.fixture
def make_run():
    """`make_run("optimizer=adam", "budget.steps=5")` is a built run, one thread, on the CPU."""
    register_with_hydra()
    silence()

    def make(*given):
        overrides = ["trainer=cpu", "trainer.threads=1", *given]
        with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
            config = hydra.compose("bakeoff", overrides)
        return MadeRun(build_run(resolve_settings(config, overrides), overrides))

    return make
