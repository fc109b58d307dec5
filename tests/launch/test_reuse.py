"""What is taken for the same run when a command is given again: code and data of the user's own; `reuse`."""

import os

import numpy as np
import pytest

FAST = ("trainer=cpu", "trainer.threads=1", "budget.steps=6", "budget.validations=1", "workers=1")
NET = (
    "import helper\n"
    "from base import Base\n"
    "class Net(Base):\n"
    "    def __init__(self, n_in, n_out):\n"
    "        super().__init__(n_in, n_out)\n"
    "    def forward(self, x):\n"
    "        return super().forward(x) * helper.SCALE\n"
)
BASE = (
    "import torch\n"
    "class Base(torch.nn.Sequential):\n"
    "    def __init__(self, n_in, n_out):\n"
    "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
)
DATA = (
    "import numpy as np\n"
    "from torch.utils.data import Dataset\n"
    "class Own(Dataset):\n"
    "    num_classes = 2\n"
    "    def __init__(self, path='z.npz'):\n"
    "        file = np.load(path)\n"
    "        self.x, self.y = file['x'], file['y']\n"
    "    def __len__(self):\n"
    "        return len(self.x)\n"
    "    def __getitem__(self, i):\n"
    "        return self.x[i], int(self.y[i])\n"
    "class Hidden(Dataset):\n"
    "    num_classes = 2\n"
    "    def __len__(self):\n"
    "        return 80\n"
    "    def __getitem__(self, i):\n"
    "        return Own()[i]\n"
)
ASSUMED = (
    "assumed unchanged: the data that own.Hidden reads; reuse=never trains again, or make it known: name the file in a "
    "setting, or give your data class a fingerprint or files\n"
)


def save(folder, column):
    x = np.random.default_rng(0).normal(size=(80, 4)).astype("float32")
    np.savez(folder / "z.npz", x=x, y=(x[:, column] > 0).astype(int))
    os.utime(folder / "z.npz", (1, 1))  # the size is the same, and so is the time


@pytest.mark.long
def test_what_a_class_is_made_of(trained, tmp_path):
    for name, text in (("mine", NET), ("base", BASE), ("helper", "SCALE = 1.0\n")):
        (tmp_path / f"{name}.py").write_text(text)
    sweep = ("-m", "model._target_=mine.Net", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    (tmp_path / "helper.py").write_text("SCALE = 0.0\n")
    assert len(trained(*sweep).runs) == 2
    (tmp_path / "base.py").write_text(BASE.replace("Flatten(), ", "Flatten(), torch.nn.ReLU(), "))
    assert len(trained(*sweep).runs) == 2
    (tmp_path / "mine.py").write_text(f'"""A net."""\n\n{NET}# a comment\n')
    assert trained(*sweep).runs == set()
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "helper.py").write_text("SCALE = 1.0")
    assert trained(*sweep).runs == set()  # the first ones


@pytest.mark.long
def test_what_a_data_set_reads(trained, tmp_path):
    (tmp_path / "own.py").write_text(DATA)
    save(tmp_path, 0)
    sweep = ("-m", "data._target_=own.Own", "model=linear", "seed=0,1", *FAST)
    assert len(trained(*sweep).runs) == 2
    again = trained(*sweep)
    assert again.runs == set()
    assert "assumed" not in again.out
    save(tmp_path, 1)
    assert len(trained(*sweep).runs) == 2
    named = (*sweep, "+data.path=z.npz", "sweep=named")
    assert len(trained(*named).runs) == 2
    save(tmp_path, 2)
    assert len(trained(*named).runs) == 2


@pytest.mark.long
def test_what_is_not_known_is_said_and_can_be_trained_again(trained, tmp_path):
    (tmp_path / "own.py").write_text(DATA)
    save(tmp_path, 0)
    sweep = ("-m", "data._target_=own.Hidden", "model=linear", "seed=0,1", *FAST)
    first = trained(*sweep)
    assert (len(first.runs), "assumed" in first.out) == (2, False)
    again = trained(*sweep)
    assert again.runs == set()
    assert again.out.startswith(f"{ASSUMED}already finished: 2 completed\n")
    assert trained(*sweep, "dry_run=true").out.startswith(ASSUMED)
    planned = trained(*sweep, "dry_run=true", "reuse=known").out
    assert "2 runs asked for: 2 to train" in planned
    for reuse in ("known", "never"):
        more = trained(*sweep, f"reuse={reuse}")
        assert (more.status, len(more.runs), "assumed" in more.out) == (0, 2, False)
    single = ("data._target_=own.Hidden", "model=linear", "sweep=single", *FAST)
    assert len(trained(*single).runs) == 1
    assert trained(*single).out.startswith(ASSUMED)
    assert len(trained(*single, "reuse=known").runs) == 1


def test_known_runs_are_trained_again_only_where_that_is_asked_for(trained):
    run = ("seed=0", *FAST)
    assert len(trained(*run).runs) == 1
    assert trained(*run, "reuse=known").runs == set()
    assert len(trained(*run, "reuse=never").runs) == 1
    refused = trained(*run, "reuse=nevr")
    assert (refused.status, refused.err) == (
        2,
        "bakeoff: reuse must be always, known or never, got nevr (did you mean never?)\n",
    )


DYING = (
    "import os, torch\n"
    "class Net(torch.nn.Sequential):\n"
    "    def __init__(self, n_in, n_out):\n"
    "        super().__init__(torch.nn.Flatten(), torch.nn.Linear(n_in, n_out))\n"
    "        self.steps = 0\n"
    "    def forward(self, x):\n"
    "        self.steps += self.training\n"
    "        if self.steps == 4 and not os.path.exists('died'):\n"
    "            open('died', 'w').close()\n"
    "            os._exit(1)\n"
    "        if self.training and self.steps > 1:\n"  # the first is tried before
    "            with open('steps', 'a') as file:\n"
    "                file.write('1')\n"
    "        return super().forward(x)\n"
)


@pytest.mark.long
def test_trained_again_once_though_a_worker_dies(trained, tmp_path):
    (tmp_path / "dying.py").write_text(DYING)
    sweep = ("-m", "model._target_=dying.Net", "seed=0,1", "checkpoint_every=0", *FAST)
    (tmp_path / "died").touch()
    assert len(trained(*sweep).runs) == 2
    for name in ("died", "steps"):
        (tmp_path / name).unlink()
    again = trained(*sweep, "reuse=never")
    assert (again.status, len(again.runs)) == (0, 2)
    assert len((tmp_path / "steps").read_text()) < 12  # the run whose worker died was resumed, not begun again


@pytest.mark.long
def test_a_worker_that_imported_something_else_is_refused(trained, tmp_path):
    (tmp_path / "helper.py").write_text("SCALE = 1.0\n")
    edit = "            open('helper.py', 'w').write('SCALE = 2.0')\n            os._exit"
    (tmp_path / "dying.py").write_text("import helper\n" + DYING.replace("            os._exit", edit))
    result = trained("-m", "model._target_=dying.Net", "seed=0,1", *FAST)
    assert result.status == 1
    assert "module helper changed after the sweep was begun; run the command again" in result.out + result.err
    again = trained("-m", "model._target_=dying.Net", "seed=0,1", *FAST)
    assert (again.status, len(again.runs)) == (0, 2)
