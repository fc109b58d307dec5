"""Every combination of what is between commas, as Hydra's own sweeper has it; ours in Hydra's life of a multirun."""

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.errors import HydraException

from bakeoff.launch.search_path import package_conf
from bakeoff.launch.sweeper import product

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1", "checkpoint_every=0")
COMMANDS = {
    "one value each": ["optimizer=sgd", "seed=0"],
    "several values": ["optimizer=sgd,adam", "loss=mse", "batch_size=16,full", "seed=0,1,2"],
    "no override": [],
    "a key twice": ["optimizer=sgd,adam", "optimizer=rmsprop"],
    "a key twice, values last": ["optimizer=rmsprop", "seed=1", "optimizer=sgd,adam"],
    "choice and range": ["optimizer.lr=choice(0.1,0.01)", "seed=range(0,6,2)"],
    "glob": ["optimizer=glob(*,exclude=torch*)", "seed=0,1"],
    "sorted": ["seed=sort(2,0,1)", "batch_size=sort(16,64,reverse=true)"],
    "tagged": ["optimizer=tag(fast,choice(sgd,adam))"],
    "cast": ["batch_size=int(16.0)", "seed=int(0,1)"],
    "added and forced": ["+note=a,b", "++seed=1,2"],
    "removed": ["~schedule", "seed=0,1"],
    "removed if it has this value": ["~schedule=constant", "~experiment="],
    "quoted": ["+note='a, b','it\\'s'", '+other="x y"'],
    "containers": ["model.widths=[64,32],[8]", "+extra={a:1,b:[2,3]}"],
    "nothing": ["early_stopping.patience=null", "+note=", "experiment=null,demo"],
    "interpolation": ["optimizer.lr=${oc.decode:0.1},0.2"],
    "a group in a package": ["optimizer@other=sgd,adam"],
}


@pytest.fixture
def parse():
    """Overrides as Hydra parses them for a sweeper."""
    Plugins.instance()  # finds the sources of configurations, such as file://
    path = ConfigSearchPathImpl()
    path.append("bakeoff", f"file://{package_conf()}")
    return OverridesParser.create(config_loader=ConfigLoaderImpl(path)).parse_overrides


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_jobs_are_those_of_hydras_own_sweeper(parse, command):
    (expected,) = BasicSweeper.split_arguments(parse(command), None)
    assert product(parse(command)) == expected


def test_a_dictionary_adds_to_what_its_key_has(parse):
    """Hydra's own sweeper drops the choice; without a sweep Hydra applies both."""
    assert product(parse(["optimizer=sgd,adam", "optimizer={lr:0.1},{lr:0.2}"])) == [
        [f"optimizer={name}", f"optimizer={{lr:{rate}}}"] for name in ("sgd", "adam") for rate in (0.1, 0.2)
    ]
    assert product(parse(["clip={norm:1.0}", "clip={value:2.0}"])) == [["clip={norm:1.0}", "clip={value:2.0}"]]


def test_the_last_key_changes_fastest(parse):
    assert product(parse(["a=1,2", "b=x", "c=3,4"])) == [
        ["a=1", "b=x", "c=3"],
        ["a=1", "b=x", "c=4"],
        ["a=2", "b=x", "c=3"],
        ["a=2", "b=x", "c=4"],
    ]


@pytest.mark.parametrize("value", ["interval(0.1,1)", "tag(log,interval(0.1,1))"])
def test_an_interval_is_refused(parse, value):
    with pytest.raises(HydraException, match=r"optimizer\.lr: .* needs values between commas, not INTERVAL_SWEEP"):
        product(parse(["optimizer=sgd,adam", f"optimizer.lr={value}"]))


def test_an_interval_on_the_command_line(bakeoff, tmp_path):
    result = bakeoff("-m", "optimizer.lr=interval(0.1,1)", *FAST)
    assert result.status == 2
    assert result.err.startswith("bakeoff: optimizer.lr: a sweep over every combination needs values between commas")
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_parameters_of_the_configuration_join_the_command(trained, outcomes):
    swept = trained("-m", "+hydra.sweeper.params.seed='0,1'", "+hydra.sweeper.params.loss=mse", "loss=hinge", *FAST)
    assert swept.status == 0, swept.err
    assert {(record["seed"], record["arm"]["loss"]) for record in outcomes().values()} == {(0, "hinge"), (1, "hinge")}


@pytest.mark.long
def test_batches_of_a_sweep(trained):
    sweep = ("-m", "hydra.sweeper.max_batch_size=2", "optimizer=sgd", "seed=0,1,2", *FAST)
    asked = trained(*sweep, "dry_run=true")
    assert "3 runs asked for: 3 to train\n" in asked.out
    assert len(trained(*sweep).runs) == 3
    assert trained(*sweep).runs == set()


@pytest.mark.long
def test_batches_under_another_launcher(trained, tmp_path):
    sweep = ("-m", "hydra/launcher=basic", "hydra.sweeper.max_batch_size=2", "seed=0,1,2", *FAST)
    first = trained(*sweep)
    assert (first.status, len(first.runs)) == (0, 3), first.err
    assert (tmp_path / "outputs" / "main" / "multirun.yaml").exists()
    assert trained(*sweep).runs == set()
