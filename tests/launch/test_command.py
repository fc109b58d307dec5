"""The command as a user types it: runs, sweeps, own configurations and classes, and what is left on disk."""

import json
import sys

import joblib
import pytest

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=10", "budget.validations=2")


def outcomes(root):
    return {str(p.parent.relative_to(root)): json.loads(p.read_text()) for p in root.rglob("outcome.json")}


def test_help_explains_groups_and_gives_examples(bakeoff):
    result = bakeoff("--help")
    assert result.status == 0
    for group in ("data", "model", "loss", "optimizer", "schedule", "budget", "trainer", "experiment"):
        assert f"\n{group}: " in result.out
    assert "bakeoff -m optimizer=sgd,rmsprop,adam" in result.out


def test_one_run(bakeoff, tmp_path):
    result = bakeoff("optimizer=adam", "loss=mse", "batch_size=64", "seed=0", *FAST)
    assert result.status == 0, result.err
    assert "completed: 10 steps, 640 samples" in result.out
    assert "tensorboard --logdir outputs/main" in result.out
    (folder, record), *_ = outcomes(tmp_path / "outputs" / "main").items()
    assert folder.startswith("optimizer=adam,loss=mse,batch_size=64,")
    assert folder.endswith("/seed=0")
    assert record["arm"] == {
        "optimizer": "adam", "loss": "mse", "batch_size": 64,
        "trainer": "cpu", "trainer.threads": 1, "budget.steps": 10, "budget.validations": 2,
    }  # fmt: skip
    assert record["overrides"][:4] == ["optimizer=adam", "loss=mse", "batch_size=64", "seed=0"]
    run = tmp_path / "outputs" / "main" / folder
    assert (run / ".hydra" / "config.yaml").exists()
    assert len(list(run.glob("events.out.tfevents.*"))) == 1


def test_a_sweep_prints_its_leaderboard_and_one_bar(bakeoff, tmp_path):
    result = bakeoff("-m", "optimizer=sgd,adam", "batch_size=16,full", "seed=0,1", "sweep=mine", "root=here", *FAST)
    assert result.status == 0, result.err
    records = outcomes(tmp_path / "here" / "mine")
    assert len(records) == 8
    assert {r["status"] for r in records.values()} == {"completed"}
    assert "rank  optimizer  batch_size" in result.out
    assert "runs: 8: 8 completed, 0 diverged, 0 failed" in result.out
    assert "tensorboard --logdir here/mine" in result.out
    assert "Epoch" not in result.err
    assert "8/8" in result.err


def test_a_failed_and_a_diverged_run_do_not_stop_the_sweep(bakeoff, tmp_path):
    (tmp_path / "brittle.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Sequential):\n"
        "    def __init__(self, *, n_in, n_out, fail):\n"
        "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
        "        self.fail, self.passes = fail, 0\n"
        "    def forward(self, x):\n"
        "        self.passes += self.training\n"
        "        if self.fail and self.passes > 1:\n"  # the first is tried before
        "            raise RuntimeError('broken on purpose')\n"
        "        return super().forward(x)\n"
    )
    command = ["model._target_=brittle.Net", "+model.fail=true,false", "loss=mse", "optimizer.lr=0.01,1e30", *FAST]
    result = bakeoff("-m", *command)
    assert result.status == 1
    statuses = sorted(r["status"] for r in outcomes(tmp_path).values())
    assert statuses == ["completed", "diverged", "failed", "failed"]
    assert "runs: 4: 1 completed, 1 diverged, 2 failed" in result.out
    sys.modules.pop("brittle", None)


@pytest.mark.long
def test_own_conf_adds_options_and_wins_on_equal_names(bakeoff, tmp_path):
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "adam.yaml").write_text("_target_: torch.optim.Adam\nlr: 0.0123\n")
    (tmp_path / "conf" / "optimizer" / "adagrad.yaml").write_text("_target_: torch.optim.Adagrad\nlr: 0.05\n")
    (tmp_path / "conf" / "config.yaml").write_text("this: is not ours\n")
    assert "lr: 0.0123" in bakeoff("optimizer=adam", "--cfg", "job").out
    assert "adagrad" in bakeoff("--help").out
    result = bakeoff("-m", "optimizer=adam,adagrad,sgd", *FAST)
    assert result.status == 0, result.err
    assert len(outcomes(tmp_path / "outputs")) == 3


def test_config_dir_wins_over_conf(bakeoff, tmp_path):
    for folder, rate in (("conf", 0.5), ("other", 0.25)):
        (tmp_path / folder / "optimizer").mkdir(parents=True)
        (tmp_path / folder / "optimizer" / "adam.yaml").write_text(f"_target_: torch.optim.Adam\nlr: {rate}\n")
    assert "lr: 0.25" in bakeoff("optimizer=adam", "--config-dir", "other", "--cfg", "job").out
    assert "lr: 0.5" in bakeoff("optimizer=adam", "--cfg", "job").out


def test_a_users_own_parts_join_a_sweep(bakeoff, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Sequential):\n"
        "    def __init__(self, in_shape, n_out, width=8):\n"
        "        n = in_shape[0] * in_shape[1] * in_shape[2]\n"
        "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n, width), torch.nn.Linear(width, n_out))\n"
        "class Focal:\n"
        "    task = 'classification'\n"
        "    def __init__(self, gamma=2.0):\n"
        "        self.gamma = gamma\n"
        "    def __call__(self, output, target):\n"
        "        nll = torch.nn.functional.cross_entropy(output, target, reduction='none')\n"
        "        return (1 - torch.exp(-nll)) ** self.gamma * nll\n"
    )
    for group, name, text in (
        ("model", "mine", "_target_: mine.Net\nwidth: 16\n"),
        ("loss", "focal", "_target_: mine.Focal\ngamma: 1.5\n"),
        ("optimizer", "nadam", "_target_: torch.optim.NAdam\nlr: 0.002\n"),
    ):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / f"{name}.yaml").write_text(text)
    result = bakeoff("-m", "model=mlp,mine", "loss=focal,cross_entropy", "optimizer=nadam", *FAST)
    assert result.status == 0, result.err
    records = outcomes(tmp_path / "outputs")
    assert len(records) == 4
    assert all(r["metrics"]["val/accuracy"]["final"] is not None for r in records.values())
    sys.modules.pop("mine", None)


def test_a_target_on_the_command_line_brings_its_own_defaults(bakeoff, tmp_path):
    result = bakeoff("optimizer._target_=torch.optim.Adagrad", "optimizer.lr=0.05", *FAST)
    assert result.status == 0, result.err
    result = bakeoff("optimizer._target_=torch.optim.ASGD", *FAST)
    assert result.status == 0, result.err


@pytest.mark.parametrize(
    ("budget", "steps"), [("steps=7", 7), ("epochs=1", 9), ("samples=300", 3)], ids=["steps", "epochs", "samples"]
)
def test_a_budget_given_clears_the_default(bakeoff, tmp_path, budget, steps):
    assert bakeoff(f"budget.{budget}", "trainer=cpu").status == 0
    (record,) = outcomes(tmp_path).values()
    assert record["steps"] == steps


def test_a_budget_on_the_command_line_clears_that_of_an_experiment(bakeoff, tmp_path):
    assert bakeoff("experiment=demo", "budget.samples=300").status == 0
    (record,) = outcomes(tmp_path).values()
    assert record["steps"] == 3
    assert bakeoff("experiment=demo", "budget=steps", "budget.steps=4").status == 0


def test_a_budget_in_seconds(bakeoff, tmp_path):
    assert bakeoff("budget.seconds=0.5", "trainer=cpu", "schedule=cosine").status == 0
    (record,) = outcomes(tmp_path).values()
    assert record["status"] == "completed"
    assert record["seconds"] > 0.4


def test_a_changed_default_gets_a_folder_of_its_own(bakeoff, tmp_path):
    assert bakeoff("optimizer=adam", *FAST).status == 0
    (tmp_path / "conf" / "optimizer").mkdir(parents=True)
    (tmp_path / "conf" / "optimizer" / "adam.yaml").write_text("_target_: bakeoff.optim.Adam\nlr: 0.5\n")
    assert bakeoff("optimizer=adam", *FAST).status == 0
    names = sorted(p.name for p in (tmp_path / "outputs" / "main").iterdir() if p.is_dir())
    assert len(names) == 2
    assert names[1].startswith(names[0] + "~")


@pytest.mark.parametrize("launcher", ["basic", "bakeoff"])
def test_hydras_own_launcher_works_too(bakeoff, tmp_path, launcher):
    result = bakeoff("-m", f"hydra/launcher={launcher}", "seed=0,1", *FAST)
    assert result.status == 0, result.err
    assert len(outcomes(tmp_path)) == 2
    assert "runs: 2: 2 completed" in result.out


def test_the_tuning_note_is_kept_beside_the_runs(bakeoff, tmp_path):
    result = bakeoff("-m", "tuning_note='rates were guessed'", "seed=0,1", *FAST)
    assert "tuning note: rates were guessed" in result.out
    assert (tmp_path / "outputs" / "main" / "tuning_note.txt").read_text() == "rates were guessed\n"


def test_the_flag_may_stand_anywhere(bakeoff, tmp_path):
    assert bakeoff("trainer=cpu", "-m", "budget.steps=2", "seed=0,1").status == 0
    assert len(outcomes(tmp_path)) == 2


@pytest.mark.long
def test_threads_of_one_run_do_not_reach_the_next(bakeoff, tmp_path):
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    for steps, threads in ((2, 2), (3, 1), (4, "null")):  # steps too: what differs in threads alone is one run
        text = f"# @package _global_\nbudget: {{epochs: null, steps: {steps}}}\ntrainer: {{threads: {threads}}}\n"
        (tmp_path / "conf" / "experiment" / f"steps{steps}.yaml").write_text(text)
    result = bakeoff("-m", "trainer=cpu", "experiment=steps2,steps3,steps4")
    assert result.status == 0, result.err
    found = {r["steps"]: r["threads"] for r in outcomes(tmp_path).values()}
    cores = joblib.cpu_count()
    assert found == {2: 2, 3: 1, 4: max(1, cores // min(cores, 3))}  # shared out among the workers


@pytest.mark.long
def test_a_run_goes_to_its_arm_whatever_command_asks_for_it(bakeoff, tmp_path):
    small = ["trainer=cpu", "trainer.threads=1", "budget.steps=4", "loss=mse"]
    assert bakeoff("-m", "optimizer=sgd,adam", "seed=0,1", *small).status == 0
    assert bakeoff("-m", "optimizer=adam", "batch_size=128,64", "seed=0", *small).status == 0  # 128 is the default
    assert bakeoff("optimizer=sgd", "seed=2", *small).status == 0
    runs = {f"{p.parts[-3]}/{p.parts[-2]}" for p in (tmp_path / "outputs" / "main").rglob("outcome.json")}
    sgd = {f"optimizer=sgd/seed={seed}" for seed in (0, 1, 2)}
    adam = {f"optimizer=adam/seed={seed}" for seed in (0, 1)}
    assert runs == sgd | adam | {"batch_size=64/seed=0"}


@pytest.mark.long
def test_a_sweep_without_a_tuning_note_prints_none(bakeoff, tmp_path):
    bakeoff("-m", "tuning_note='rates were guessed'", "seed=0,1", *FAST)
    assert "guessed" not in bakeoff("-m", "seed=0,1", *FAST).out


def test_a_refused_run_removes_nothing_that_was_there(bakeoff, tmp_path):
    (tmp_path / "mine").mkdir()
    assert bakeoff("root=mine", "optimizer.lr=-1").status == 2
    assert (tmp_path / "mine").is_dir()


def test_data_that_draws_at_random_is_the_same_each_time(bakeoff, tmp_path):
    (tmp_path / "drawn.py").write_text(
        "import torch\nfrom torch.utils.data import TensorDataset\n"
        "def make():\n"
        "    x = torch.randn(200, 4)\n"
        "    return TensorDataset(x, (x[:, 0] > 0).long())\n"
    )
    for root in ("a", "b"):
        assert bakeoff("data._target_=drawn.make", f"root={root}", *FAST).status == 0
    one, two = outcomes(tmp_path).values()
    assert (one["identity"], one["metrics"]) == (two["identity"], two["metrics"])
    sys.modules.pop("drawn", None)
