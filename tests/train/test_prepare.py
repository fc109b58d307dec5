"""The folder in which a run belongs, and the configuration that is written there."""

import json
import os
from pathlib import Path

import hydra
import pytest
import yaml
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from bakeoff.errors import UserError
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.runs import Outcome, arm_of
from bakeoff.train import prepare, run_folder, save_configuration

SETTINGS = ("trainer=cpu", "trainer.threads=1")


@pytest.fixture
def compose(tmp_path, monkeypatch):
    """`compose("optimizer=adam")` is the configuration of a run, as a task of Hydra's would have it, and its run."""
    register_with_hydra()
    monkeypatch.chdir(tmp_path)

    def composed(*overrides):
        with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
            config = hydra.compose("bakeoff", [*overrides, *SETTINGS], return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return config, prepare(config, list(config.hydra.overrides.task))

    yield composed
    HydraConfig.instance().cfg = None


def folder_of(composed) -> Path:
    config, run = composed
    return run_folder(run, Path(config.hydra.run.dir))


def record(folder, run, **fields):
    folder.mkdir(parents=True)
    Outcome(arm_of(run.overrides), run.settings.seed, run.identity, run.overrides, status="completed").write(folder)
    found = json.loads((folder / "outcome.json").read_text()) | fields
    (folder / "outcome.json").write_text(json.dumps(found))


def test_by_default_the_overrides_name_it(compose, tmp_path):
    own = "optimizer=adam,trainer=cpu,trainer.threads=1"
    assert folder_of(compose("optimizer=adam", "seed=3")) == tmp_path / "outputs" / "main" / own / "seed=3"
    assert folder_of(compose("optimizer=adam", "root=a", "sweep=b")) == tmp_path / "a" / "b" / own / "seed=0"
    assert folder_of(compose("optimizer=adam", f"root={tmp_path}/c")) == tmp_path / "c" / "main" / own / "seed=0"


def test_what_one_command_gives_to_all_its_runs_is_left_out(compose, tmp_path):
    config, run = compose("optimizer=adam", "hydra.job.config.override_dirname.exclude_keys=[trainer,trainer.threads]")
    assert run_folder(run, Path(config.hydra.run.dir)) == tmp_path / "outputs" / "main" / "optimizer=adam" / "seed=0"


def test_a_folder_of_the_users_own_is_refused(compose):
    with pytest.raises(UserError, match=r"written to outputs/main/<arm>/seed=0, where reports find it"):
        folder_of(compose("optimizer=adam", "hydra.run.dir=mine/here"))


def test_an_arm_that_is_there_under_another_name_keeps_its_folder(compose, tmp_path):
    _, before = compose("optimizer=adam", "seed=0")
    record(tmp_path / "outputs" / "main" / "an older name" / "seed=0", before)
    for same in (("optimizer=adam",), ("optimizer=adam", "optimizer.lr=0.001"), ("optimizer=adam", "batch_size=128")):
        for seed in (0, 5):
            assert folder_of(compose(*same, f"seed={seed}")) == (
                tmp_path / "outputs" / "main" / "an older name" / f"seed={seed}"
            )
    other = folder_of(compose("optimizer=adam", "optimizer.lr=0.5"))
    assert other.parent.name == "optimizer=adam,optimizer.lr=0.5,trainer=cpu,trainer.threads=1"


def test_a_name_that_another_identity_has_is_not_taken(compose, tmp_path):
    composed = compose("optimizer=adam")
    named = folder_of(composed)
    record(named, composed[1], identity="f" * 64)  # a default has changed since
    assert folder_of(composed).parent.name == f"{named.parent.name}~{composed[1].identity[:8]}"
    (named / "outcome.json").write_text("{")  # a damaged record claims no name; the folder was read before
    named.with_name("seed=1").mkdir()
    assert folder_of(compose("optimizer=adam", "sweep=other")).parent.name == named.parent.name


def test_the_configuration_is_written_as_hydra_writes_it(compose, tmp_path):
    config, _ = compose("optimizer=adam", "seed=3", "hydra.verbose=false")
    task = OmegaConf.masked_copy(config, [key for key in config if key != "hydra"])  # what Hydra gives a task
    save_configuration(tmp_path / "run", task)
    written = {path.name: yaml.safe_load(path.read_text()) for path in (tmp_path / "run" / ".hydra").iterdir()}
    assert set(written) == {"config.yaml", "hydra.yaml", "overrides.yaml"}
    assert written["overrides.yaml"] == ["optimizer=adam", "seed=3", *SETTINGS]
    assert written["config.yaml"]["seed"] == 3
    assert "hydra" not in written["config.yaml"]
    assert written["hydra.yaml"]["hydra"]["overrides"]["task"] == written["overrides.yaml"]


def test_a_root_above_the_working_directory(compose, tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    config, run = compose("optimizer=adam", "root=../out")
    record(tmp_path / "out" / "main" / "an older name" / "seed=0", run)
    chosen = Path(config.hydra.run.dir).absolute()
    assert ".." in chosen.parts
    expected = tmp_path / "out" / "main" / "an older name" / "seed=0"
    assert run_folder(run, chosen) == run_folder(run, Path(os.path.abspath(chosen))) == expected
