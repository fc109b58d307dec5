"""Runs made from a command line, in this process."""

import hydra
import pytest

from bakeoff.launch.task import quieten
from bakeoff.resolvers import register_resolvers
from bakeoff.search_path import package_conf
from bakeoff.train import Run, settle


@pytest.fixture
def make_run():
    """`make_run("optimizer=adam", "budget.steps=5")` is a prepared run, one thread, on the CPU."""
    register_resolvers()
    quieten()

    def make(*given):
        overrides = ["trainer=cpu", "trainer.threads=1", *given]
        with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
            config = hydra.compose("bakeoff", overrides)
        return Run(settle(config, overrides), overrides)

    return make
