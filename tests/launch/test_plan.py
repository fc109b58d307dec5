"""What is finished is not trained again, what is not the same is: by every way in which two commands can differ."""

import os
import subprocess
import sys

import numpy as np
import pytest

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1")
NET = (
    "import torch\n"
    "class Net(torch.nn.Sequential):\n"
    "    def __init__(self, n_in, n_out):\n"
    "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
)
# what a command has imported and started at its end
WATCHED = (
    "import sys, multiprocessing.forkserver as forkserver\n"
    "from bakeoff import app\n"
    "try:\n"
    "    app.main()\n"
    "finally:\n"
    "    print('torch' in sys.modules, forkserver._forkserver._forkserver_pid is not None, file=sys.stderr)\n"
)


def watched(folder, *arguments):
    """Output of the command, in a process of its own; whether it imported torch; whether it started workers."""
    ran = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    torch, workers = ran.stderr.split()[-2:]
    return ran.stdout, torch == "True", workers == "True"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def leaderboard(out):
    lines = out.splitlines()
    return lines[next(i for i, line in enumerate(lines) if line.startswith("rank")) :]


def test_a_repeated_command_composes_nothing_and_says_the_same(trained, tmp_path):
    sweep = ("-m", "optimizer=sgd,adam", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert len(first.runs) == 4
    for record in tmp_path.rglob("outcome.json"):
        os.utime(record, (1, 1))  # long ago: what has ended within a second counts as this command's
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    out, torch, workers = watched(tmp_path, *sweep)
    assert (torch, workers) == (False, False)
    assert out.startswith("already finished: 4 completed\n")
    assert leaderboard(out) == leaderboard(first.out)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before
    assert trained(*sweep).runs == set()


@pytest.mark.long
def test_how_a_run_is_executed_does_not_matter(trained, tmp_path):
    assert len(trained("-m", "optimizer=sgd,adam", "seed=0,1", *FAST).runs) == 4
    execution = ["workers=1", "retry=failed", "checkpoints=none", "checkpoint_every=1", "log=full", "fail_fast=true"]
    # keys in another order: composed, and then recognized by its identity
    other = trained(
        "-m", "seed=1,0", "optimizer=adam,sgd", *FAST, *execution, "tuning_note=none", "hydra.verbose=false"
    )
    assert (other.status, other.runs) == (0, set())
    assert "already finished: 4 completed\n" in other.out
    assert other.out.startswith("finished runs were trained without log=full; reuse=never")
    _, torch, workers = watched(tmp_path, "-m", "optimizer=adam,sgd", "seed=1,0", *execution, *FAST)
    assert (torch, workers) == (False, False)


@pytest.mark.long
def test_a_longer_list_of_seeds_trains_the_new_ones(trained):
    assert trained("-m", "optimizer=sgd,adam", "seed=0,1", *FAST).runs == {
        f"optimizer={name}/seed={seed}" for name in ("sgd", "adam") for seed in (0, 1)
    }
    longer = trained("-m", "optimizer=sgd,adam", "seed=0,1,2", *FAST)
    assert longer.runs == {"optimizer=sgd/seed=2", "optimizer=adam/seed=2"}
    assert "\nalready finished: 4 completed\n" in longer.out


@pytest.mark.long
def test_every_setting_that_decides_makes_another_run(trained, tmp_path, outcomes):
    assert len(trained("seed=0", *FAST).runs) == 1
    changes = {
        "none": "{}", "loss": "loss: {label_smoothing: 0.1}", "rate": "optimizer: {lr: 0.05}",
        "steps": "budget: {epochs: null, steps: 7}", "patience": "early_stopping: {patience: 3}", "seed": "seed: 1",
        "clip": "clip: {norm: 1.0}", "batch": "batch_size: 64", "precision": "trainer: {precision: bf16-mixed}",
    }  # fmt: skip
    for name, text in changes.items():
        write(tmp_path / "conf" / "experiment" / f"{name}.yaml", f"# @package _global_\n{text}\n")
    fast = [word for word in FAST if word != "budget.steps=6"]
    six = "{epochs: null, steps: 6, samples: null, seconds: null, validations: null}\n"
    write(tmp_path / "conf" / "budget" / "six.yaml", six)
    again = trained("-m", "budget=six", f"experiment={','.join(changes)}", *fast)
    assert (again.status, len(again.runs)) == (0, len(changes) - 1), again.err
    assert "\nalready finished: 1 completed\n" in again.out
    assert len({record["identity"] for record in outcomes().values()}) == len(changes)


def test_the_same_run_under_another_name(trained, tmp_path):
    assert trained("optimizer=adam", "seed=1", *FAST).status == 0
    swept = trained("-m", "optimizer=sgd,adam", "seed=0,1", *FAST)
    assert len(swept.runs) == 3
    assert all(run.endswith(("optimizer=sgd/seed=0", "optimizer=sgd/seed=1", "/seed=0")) for run in swept.runs)
    typed = trained("optimizer=sgd", "seed=1", *FAST)
    assert typed.runs == set()
    assert "already finished, not trained again" in typed.out
    assert trained("-m", "optimizer.lr=0.001", "optimizer=adam", "optimizer.eps=1e-08", "seed=0", *FAST).runs == set()


@pytest.mark.long
def test_a_changed_configuration_file(trained, tmp_path):
    net = tmp_path / "conf" / "model" / "small.yaml"
    write(net, "defaults:\n  - mlp\nwidths: [8]\n")
    sweep = ("-m", "model=small", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    write(net, "defaults:\n  - mlp\nwidths: [9]\n")
    assert len(trained(*sweep).runs) == 2
    write(net, "defaults:\n  - mlp\n  - wide\n")
    write(net.with_name("wide.yaml"), "widths: [10]\n")
    assert len(trained(*sweep).runs) == 2
    write(net.with_name("wide.yaml"), "widths: [8]\n")  # as at first
    assert trained(*sweep).runs == set()
    write(tmp_path / "conf" / "loss" / "of_no_use.yaml", "_target_: nowhere\n")  # composed, and found to be the same
    assert trained(*sweep).runs == set()


@pytest.mark.parametrize(
    "option", ["--config-dir=other", pytest.param("hydra.searchpath=[file://other]", marks=pytest.mark.long)]
)
def test_a_changed_file_in_another_folder(trained, tmp_path, option):
    net = tmp_path / "other" / "model" / "small.yaml"
    write(net, "defaults:\n  - mlp\nwidths: [8]\n")
    sweep = ("-m", option, "model=small", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    assert trained(*sweep).runs == set()
    write(net, "defaults:\n  - mlp\nwidths: [9]\n")
    assert len(trained(*sweep).runs) == 2


def test_a_changed_class_of_the_user(trained, tmp_path):
    write(tmp_path / "mine.py", NET)
    sweep = ("-m", "model._target_=mine.Net", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    assert trained(*sweep).runs == set()
    write(tmp_path / "mine.py", NET.replace("super()", "torch.rand(1)\n        super()"))
    assert len(trained(*sweep).runs) == 2


def arrays(path, seed=0):
    x = np.random.default_rng(seed).normal(size=(60, 4)).astype("float32")
    np.savez(path, x=x, y=(x[:, 0] > 0).astype("int64"))


@pytest.mark.long
def test_changed_data_of_the_same_size(trained, tmp_path):
    path = tmp_path / "mine.npz"
    arrays(path)
    sweep = ("-m", "data=array", "data.path=mine.npz", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    assert not watched(tmp_path, *sweep)[2]
    size = path.stat().st_size
    os.utime(path, (1, 1))  # composed, and known by its content
    assert trained(*sweep).runs == set()
    arrays(path, seed=1)
    assert path.stat().st_size == size
    assert len(trained(*sweep).runs) == 2
    arrays(path)
    assert trained(*sweep).runs == set()
    path.rename(tmp_path / "moved.npz")  # the content decides, not the path
    assert trained("-m", "data=array", "data.path=moved.npz", "seed=0,1", *FAST).runs == set()


def idx(path, values):
    write(path, "")
    header = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    path.write_bytes(header + values.astype("uint8").tobytes())


@pytest.mark.long
def test_changed_files_below_the_folder_of_the_data(trained, tmp_path):
    def make(seed):
        for part, n in (("train", 80), ("t10k", 20)):
            raw, generator = tmp_path / "elsewhere" / "raw", np.random.default_rng(seed)
            idx(raw / f"{part}-images-idx3-ubyte", generator.integers(256, size=(n, 28, 28)))
            idx(raw / f"{part}-labels-idx1-ubyte", np.arange(n) % 10)

    make(0)
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "FashionMNIST").symlink_to(tmp_path / "elsewhere")  # as data often lies
    (tmp_path / "elsewhere" / "above").symlink_to(tmp_path / "elsewhere")
    sweep = ("-m", "data=fashion_mnist", "data.root=here", "data.val_size=20", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert len(first.runs) == 2, first.err
    assert not watched(tmp_path, *sweep)[2]
    make(1)
    assert len(trained(*sweep).runs) == 2


@pytest.mark.long
def test_data_that_a_function_of_the_user_makes(trained, tmp_path):
    write(
        tmp_path / "made.py",
        "import numpy, torch\n"
        "def make():\n"
        "    x = torch.from_numpy(numpy.load('numbers.npy'))\n"
        "    return torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long())\n",
    )
    numbers = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    np.save(tmp_path / "numbers.npy", numbers)
    sweep = ("-m", "data._target_=made.make", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    assert trained(*sweep).runs == set()
    np.save(tmp_path / "numbers.npy", numbers + 1)  # which no setting names
    assert len(trained(*sweep).runs) == 2


BRITTLE = (
    "import os, torch\n"
    "class Net(torch.nn.Sequential):\n"
    "    def __init__(self, n_in, n_out, bad=False):\n"
    "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
    "        self.bad, self.passes = bad, 0\n"
    "    def forward(self, x):\n"
    "        self.passes += self.training\n"
    "        if self.bad and self.passes > 1 and not os.path.exists('mended'):\n"  # the first is tried before
    "            raise RuntimeError('broken on purpose')\n"
    "        return super().forward(x)\n"
)


@pytest.mark.long
def test_failed_runs_are_left_until_they_are_asked_for(trained, tmp_path, outcomes):
    write(tmp_path / "brittle.py", BRITTLE)
    sweep = ("-m", "model._target_=brittle.Net", "+model.bad=false,true", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert (first.status, len(first.runs)) == (1, 4)
    again = trained(*sweep)
    assert (again.status, again.runs) == (1, set())
    assert "already finished: 2 completed, 2 failed; retry=failed trains the failed ones again" in again.out
    retried = trained(*sweep, "retry=failed")
    bad = {"model.bad=true/seed=0", "model.bad=true/seed=1"}
    assert (retried.status, retried.runs) == (1, bad)
    (tmp_path / "mended").touch()
    assert trained(*sweep).runs == set()
    retried = trained(*sweep, "retry=failed")
    assert (retried.status, retried.runs) == (0, bad)
    assert trained(*sweep, "retry=failed").runs == set()
    assert {record["status"] for record in outcomes().values()} == {"completed"}
    assert all(record["error"] is None for record in outcomes().values())


@pytest.mark.long
def test_a_single_run_that_failed_is_left_until_it_is_asked_for(trained, tmp_path):
    write(tmp_path / "brittle.py", BRITTLE)
    run = ("model._target_=brittle.Net", "+model.bad=true", *FAST)
    assert trained(*run).status == 1
    again = trained(*run)
    assert (again.status, again.runs) == (1, set())
    assert "it failed before; retry=failed trains it again" in again.err
    (tmp_path / "mended").touch()
    assert trained(*run, "retry=failed").status == 0


@pytest.mark.long
def test_diverged_runs_are_results(trained, outcomes):
    sweep = ("-m", "loss=mse", "optimizer.lr=1e30", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert (first.status, len(first.runs)) == (0, 2)
    assert {record["status"] for record in outcomes().values()} == {"diverged"}
    again = trained(*sweep, "retry=failed")
    assert (again.status, again.runs) == (0, set())
    assert again.out.startswith("already finished: 2 diverged\n")


def test_an_interrupted_run_resumes(trained, tmp_path):
    write(
        tmp_path / "halt.py",
        "import os\n"
        "import lightning.pytorch as pl\n"
        "class Halt(pl.Callback):\n"
        "    def on_train_batch_end(self, trainer, *_):\n"
        "        with open('steps.txt', 'a') as file:\n"
        "            file.write(f'{trainer.global_step}\\n')\n"
        "        if trainer.global_step == 3 and not os.path.exists('go'):\n"
        "            raise SystemExit\n",
    )
    run = ("+callbacks.halt._target_=halt.Halt", "checkpoint_every=0", *FAST)
    assert trained(*run).status == 130
    (record,) = tmp_path.rglob("outcome.json")
    assert '"status": "interrupted"' in record.read_text()
    (tmp_path / "go").touch()
    swept = trained("-m", "seed=0,1", *run)
    assert (swept.status, len(swept.runs)) == (0, 2), swept.err
    assert (tmp_path / "steps.txt").read_text().split().count("1") == 2  # once for each seed


def test_a_retry_that_is_misspelt(trained):
    refused = trained("-m", "seed=0,1", "retry=faild", *FAST)
    assert (refused.status, refused.runs) == (2, set())
    assert refused.err == "bakeoff: retry must be failed or null, got faild (did you mean failed?)\n"


def test_two_runs_that_would_share_a_folder_are_refused(bakeoff, outcomes):
    command = ("-m", "metric=val/accuracy,val/loss", "early_stopping.patience=3", *FAST)
    result = bakeoff(*command)
    assert result.status == 2
    assert "1 of 2 runs cannot be built; none was started" in result.err
    assert "its folder would be that of another run" in result.err
    assert outcomes() == {}


OWN_FOLDERS = ("hydra.sweep.subdir=x", "hydra.sweep.subdir=${hydra.job.num}", "hydra.sweep.dir=elsewhere")


@pytest.mark.parametrize("folder", OWN_FOLDERS)
def test_a_folder_of_ones_own_is_refused(trained, tmp_path, folder):
    """No report would find the runs there, and one could replace another."""
    result = trained("-m", "optimizer=sgd,adam", folder, *FAST)
    assert (result.status, result.runs) == (2, set())
    assert "hydra.sweep.subdir cannot be chosen: a run is written to outputs/main/<arm>/seed=0" in result.err
    assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_runs_that_differ_in_their_metric_alone_are_one_run(bakeoff, outcomes):
    result = bakeoff("-m", "metric=val/accuracy,val/loss", *FAST)
    assert (result.status, len(outcomes())) == (0, 1)
