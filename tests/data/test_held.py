"""What a user's data says of its content, or holds of it."""

import types
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from torchvision.datasets import ImageFolder

from bakeoff.data.held import held_by

X = np.arange(12, dtype="float32").reshape(6, 2)
Y = np.arange(6) % 2


class Holds(Dataset):
    """Has the attributes that it is given, and six samples."""

    def __init__(self, **attributes):
        vars(self).update(attributes)

    def __len__(self):
        return 6

    def __getitem__(self, index):
        raise AssertionError("no sample is read")


def changed(array):
    other = array.copy()
    other[3] = other[2]
    return other


CONTENT = {
    "array": lambda x: Holds(x=x),
    "array of doubles": lambda x: Holds(x=x.astype("float64")),
    "not contiguous": lambda x: Holds(x=np.asfortranarray(x)),
    "tensor": lambda x: Holds(x=torch.from_numpy(x)),
    "bfloat16": lambda x: Holds(x=torch.from_numpy(x).bfloat16()),
    "list of pairs": lambda x: Holds(pairs=[(torch.from_numpy(row), 1) for row in x]),
    "list of lists": lambda x: Holds(rows=x.tolist()),
    "table": lambda x: Holds(table=pd.DataFrame(x, columns=["a", "b"])),
    "table of texts": lambda x: Holds(table=pd.DataFrame({"a": [f"word {value}" for value in x[:, 0]]})),
    "objects": lambda x: Holds(x=np.array([[str(value)] for value in x[:, 0]], dtype=object)),
    "TensorDataset": lambda x: TensorDataset(torch.from_numpy(x), torch.from_numpy(Y), torch.zeros(6)),
    "Subset": lambda x: Subset(Holds(x=x), [0, 1, 3]),
    "random_split": lambda x: random_split(Holds(x=x), [4, 2], torch.Generator().manual_seed(0))[0],
    "ConcatDataset": lambda x: ConcatDataset([Holds(x=X), Holds(x=x)]),
    "nested": lambda x: Holds(inner=Holds(x=x), augment=torch.nn.Identity()),
}


@pytest.mark.parametrize("make", CONTENT.values(), ids=CONTENT)
def test_what_is_held_in_memory_is_known(make):
    first, again, other = held_by(make(X)), held_by(make(X.copy())), held_by(make(changed(X)))
    assert first == again
    assert first.is_known
    assert not first.is_declared
    assert first.digest != other.digest


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"n": 6, "seed": 0},
        {"y": Y, "targets": Y.tolist()},  # labels alone: the inputs are elsewhere
        {"x": X, "file": types.SimpleNamespace(handle=1)},  # such as an open file
        {"names": [f"{i}.png" for i in range(6)], "x": X},  # in a folder that no attribute names
        {"x": X[:3]},
        {"x": torch.eye(6).to_sparse()},
    ],
)
def test_what_is_not_known(attributes):
    assert not held_by(Holds(**attributes)).is_known


def test_settings_and_code_are_not_content():
    """They are known by the settings and the source; a time that is kept is no content."""
    plain = held_by(Holds(x=X))
    assert held_by(Holds(x=X, started=12.5, name="a", transform=lambda x: x)).digest != plain.digest  # names count
    one = held_by(Holds(x=X, started=12.5, flag=True, transform=lambda x: x))
    assert held_by(Holds(x=X, started=13.5, flag=False, transform=lambda x: x + 1)) == one


def test_order_type_and_shape_count():
    found = [Holds(x=X), Holds(x=X.astype("float64")), Holds(x=X.reshape(6, 2, 1)), Holds(z=X), Holds(x=X[::-1])]
    assert len({held_by(data).digest for data in found}) == len(found)


def test_what_holds_itself():
    data: Any = Holds(x=X)
    data.parent = data
    assert held_by(data).digest == held_by(data).digest
    values: list[Any] = [1.0]
    values.append(values)
    assert not held_by(Holds(x=X, values=values)).is_known


@pytest.mark.parametrize("fingerprint", ["v1", b"v1", 1])
@pytest.mark.parametrize("kind", [Holds, None])
def test_a_fingerprint(fingerprint, kind):
    def make(value):
        if kind is Holds:
            return Holds(x=X, fingerprint=value)
        module: Any = L.LightningDataModule()
        module.fingerprint = value
        return module

    first = held_by(make(fingerprint))
    assert first.is_declared
    assert first.is_known
    assert held_by(make(fingerprint)) == first
    assert held_by(make(fingerprint * 2)) != first


@pytest.mark.parametrize("value", [None, 1.5, X, lambda: "v1", True])
def test_what_is_no_fingerprint(value):
    assert not held_by(Holds(x=X, fingerprint=value)).is_declared


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("1")
    Path("b.csv").write_text("2")
    files: Any
    for files in (["a.csv", Path("b.csv")], ("a.csv", "b.csv"), {"b.csv", "a.csv"}):
        assert held_by(Holds(files=files)).files == ("a.csv", "b.csv")
    assert held_by(Holds(files="a.csv")) == held_by(Holds(files=Path("a.csv")))
    assert held_by(Holds(files="a.csv")).is_declared
    for files in (["a.csv", "nowhere.csv"], [], 3, [1], lambda: ["a.csv"]):  # an attribute for another purpose
        assert not held_by(Holds(x=X, files=files)).is_declared
    nested = held_by(Subset(Holds(files="a.csv"), [0]))
    assert (nested.files, nested.is_known) == (("a.csv",), True)


def test_files_that_attributes_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("1")
    Path("img").mkdir()
    held = held_by(Holds(path="a.csv", root=Path("img"), name="none", x=X))
    assert (held.files, held.is_known) == (("a.csv", "img"), True)
    assert held_by(Holds(paths=["a.csv"] * 6, text="/", words=["img", "/"])).files == ("a.csv", "/")


def test_an_image_folder_is_known_by_its_files(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (2, 2)).save(tmp_path / name / "1.png")
    held = held_by(ImageFolder(str(tmp_path)))
    assert (held.files, held.is_known) == ((str(tmp_path),), True)


def test_a_stream_is_not_known():
    class Stream(IterableDataset):
        def __iter__(self):
            yield from zip(X, Y, strict=True)

    assert held_by(Stream()) == type(held_by(Stream()))(None, (), is_declared=False, is_known=False)


def test_a_data_module_is_not_known_but_what_it_holds_counts():
    def make(x):
        module: Any = L.LightningDataModule()
        module.train, module.batch_size, module.other = Holds(x=x), 3, object()
        return module

    assert not held_by(make(X)).is_known
    assert held_by(make(X)) == held_by(make(X.copy())) != held_by(make(changed(X)))
