"""What identifies the data of a run: content where it is known; and changes of files while a process lives."""

import os
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

from bakeoff.data import array
from bakeoff.errors import UserError
from bakeoff.train import data_source


class Csv(Dataset):
    """Reads a file that is named by a default argument."""

    num_classes = 2

    def __init__(self, path="numbers.csv", scale=1.0):
        rows = np.loadtxt(path, delimiter=",", dtype="float32")
        self.x, self.y = torch.from_numpy(rows[:, :-1]) * scale, rows[:, -1].astype("int64")

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


class Hidden(Dataset):
    """Reads a file that nothing names."""

    num_classes = 2

    def __len__(self):
        return 20

    def __getitem__(self, index):
        return Csv()[index]


class Stamped(Hidden):
    """The same, and says when it has changed."""

    @property
    def fingerprint(self):
        return Path("numbers.csv").read_text()


class Listed(Hidden):
    """The same, and says what it reads."""

    files = ("numbers.csv",)


class Module(L.LightningDataModule):
    num_classes = 2
    batch_size = 5

    def train_dataloader(self):
        return DataLoader(Hidden(), self.batch_size)

    def val_dataloader(self):
        return DataLoader(Hidden(), 20)


class ListedModule(Module):
    files = "numbers.csv"


def tensors(path="numbers.csv"):
    data = Csv(path)
    return TensorDataset(data.x, torch.from_numpy(data.y))


def write(seed=0, path="numbers.csv"):
    x = np.random.default_rng(seed).normal(size=(20, 3))
    rows = np.column_stack([x, x[:, 0] > 0]).round(3)
    np.savetxt(path, rows, delimiter=",", fmt="%+.3f")


@pytest.fixture
def built(make_run, tmp_path, monkeypatch):
    """`built("Csv", "+data.scale=2")` is a run on data of that class, in a folder with `numbers.csv`."""
    monkeypatch.chdir(tmp_path)
    write()
    return lambda name, *more: make_run(f"data._target_={__name__}.{name}", "model=linear", "batch_size=5", *more)


@pytest.mark.parametrize("name", ["Csv", "tensors", "Stamped", "Listed", "ListedModule"])
def test_content_decides_where_it_is_known(built, name):
    run = built(name)
    assert built(name).identity == run.identity
    assert run.assumed is None
    write(seed=1)
    assert built(name).identity != run.identity
    write()
    assert built(name).identity == run.identity


@pytest.mark.parametrize("name", ["Hidden", "Module"])
def test_what_is_not_known_is_said(built, name):
    run = built(name)
    assert run.assumed == f"the data that {__name__}.{name} reads"
    write(seed=1)
    assert built(name).identity == run.identity  # and so it is said


def test_settings_count(built):
    assert built("Csv", "+data.scale=2.0").identity != built("Csv").identity


def test_a_file_that_a_setting_names(built, tmp_path):
    write(path="other.csv")
    run = built("Csv", "+data.path=other.csv")
    write(seed=1)  # the one of the default argument
    assert built("Csv", "+data.path=other.csv").identity == run.identity
    write(seed=1, path="other.csv")
    assert built("Csv", "+data.path=other.csv").identity != run.identity


def test_the_working_folder_is_not_the_data(built, tmp_path):
    run = built("WithRoot", "+data.root=.", "root=results")
    (tmp_path / "new.txt").write_text("")
    assert built("WithRoot", "+data.root=.", "root=results").identity == run.identity


class WithRoot(Hidden):
    def __init__(self, root):
        self.root = root


def test_a_folder_that_holds_the_outputs_is_not_the_data(built, tmp_path):
    (tmp_path / "all" / "outputs").mkdir(parents=True)
    run = built("WithRoot", "+data.root=all", "root=all/outputs")
    (tmp_path / "all" / "outputs" / "new.txt").write_text("")
    assert built("WithRoot", "+data.root=all", "root=all/outputs").identity == run.identity
    (tmp_path / "some").mkdir()
    run = built("WithRoot", "+data.root=some")
    (tmp_path / "some" / "new.txt").write_text("")
    assert built("WithRoot", "+data.root=some").identity != run.identity


def test_arrays_are_known_by_their_digest_alone(built, make_run):
    np.savez("a.npz", x=np.eye(20, dtype="float32"), y=np.arange(20) % 2)
    run = make_run("data=array", "data.path=a.npz", "model=linear")
    assert run.parts.data_identity.decisive == array(path="a.npz").digest()
    assert list(run.modules) == []


@pytest.mark.parametrize("back", [False, True])
def test_a_file_that_changes_while_the_process_lives_is_read_again(built, make_run, tmp_path, back):
    def digest():
        return make_run("data=array", "data.path=a.npz", "model=linear").parts.spec.digest

    def save(values):
        np.savez("a.npz", x=values, y=np.arange(20) % 2)
        if back:
            os.utime("a.npz", (1, 1))

    save(np.eye(20, dtype="float32"))
    first = digest()
    save(2 * np.eye(20, dtype="float32") + np.arange(20))
    second = digest()
    assert second == array(path="a.npz").digest() != first


def test_our_arrays_are_kept_for_the_next_run(make_run, monkeypatch):
    run = make_run()
    assert make_run("optimizer=adam").parts.data.arrays is run.parts.data.arrays


def test_a_file_that_changes_while_it_is_read_is_refused(built, monkeypatch):
    real = data_source._load

    def load(*arguments):
        source = real(*arguments)
        write(seed=1)
        return source

    monkeypatch.setattr(data_source, "_load", load)
    with pytest.raises(
        UserError, match=r"^data: .*numbers.csv changed while the data was loaded; run the command again$"
    ):
        built("Csv")
