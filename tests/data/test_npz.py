"""A user's own arrays, in an .npz file or given directly."""

import io
import pickle
import warnings
import zipfile

import numpy as np
import pytest
import torch

from bakeoff.data import array
from bakeoff.errors import UserError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(60, 3)), np.arange(60) % 3


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def test_x_and_y_are_split_and_equal_to_the_same_arrays_given_directly(tmp_path):
    data = array(path=saved(tmp_path, x=X, y=Y))

    assert [len(x) for x, _ in data.parts().values()] == [36, 12, 12]
    assert (data.task, data.n_out, data.in_shape) == ("classification", 3, (3,))
    assert data.digest() == array(x=X, y=Y).digest() == array(x=torch.tensor(X), y=torch.tensor(Y)).digest()
    assert data.digest() == array(x=X.tolist(), y=Y.tolist()).digest()


def test_same_content_at_another_path_has_the_same_digest(tmp_path):
    (tmp_path / "a").mkdir()
    assert array(path=saved(tmp_path, x=X, y=Y)).digest() == array(path=saved(tmp_path / "a", x=X, y=Y)).digest()


def test_given_parts_are_kept(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y, x_val=X[:6], y_val=Y[:6], x_test=X[:9], y_test=Y[:9])
    assert [len(x) for x, _ in array(path=path).parts().values()] == [60, 6, 9]


def test_other_keys_are_ignored(tmp_path):
    assert array(path=saved(tmp_path, x=X, y=Y, names=np.array(["a", "b"]))).n_out == 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"set data.path=FILE.npz, or pass x and y"),
        ({"x": X}, "must hold x and y, .* got x$"),
        ({"x_val": X, "y_val": Y}, "must hold x and y, or x_train and y_train"),
        ({"x_train": X, "y_train": Y, "x_val": X}, "got x_train, y_train, x_val$"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "got x, y, x_test, y_test$"),
        ({"x": X, "y": Y, "path": "also.npz"}, "takes a file or arrays"),
    ],
)
def test_unusable_arrays_are_refused_in_one_line(arrays, message):
    with pytest.raises(UserError, match=message) as caught:
        array(**arrays)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"no file at .*gone\.npz: set data\.path=FILE\.npz"):
        array(path=tmp_path / "gone.npz")


def test_misspelt_key(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y, x_valid=X, y_valid=Y)
    with pytest.raises(UserError, match=r"mine\.npz has unknown keys x_valid, y_valid: use x, y, x_train"):
        array(path=path)


def test_objects_in_an_npz_are_refused_without_unpickling_them(tmp_path):
    path = saved(tmp_path, x=np.array([{"a": 1}] * 3, dtype=object), y=Y[:3])
    with pytest.raises(UserError, match=r"mine\.npz holds pickled objects, refused since"):
        array(path=path)


class Bomb:
    def __reduce__(self):
        return warnings.warn, ("unpickled",)


def test_pickle_under_the_name_of_an_npz_is_not_loaded(tmp_path):
    path = tmp_path / "bomb.npz"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(UserError, match=r"bomb\.npz is empty, truncated or not an \.npz file"):
        array(path=path)


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99], ids=["empty", "cut", "cut at its end"])
def test_truncated_npz_is_named(tmp_path, keep):
    path = saved(tmp_path, x=X, y=Y)
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(UserError, match=r"mine\.npz is empty, truncated or not an \.npz file: save it again"):
        array(path=path)


def test_damaged_npz_is_named(tmp_path):
    path = saved(tmp_path, x=X, y=Y)
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"mine\.npz is damaged: .*; save it again"):
        array(path=path)


@pytest.mark.parametrize("seed", range(40))
def test_random_damage_gives_a_clear_error_or_the_data(tmp_path, seed):
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=X, y=Y)
    content = bytearray(buffer.getvalue())
    content[rng.integers(len(content))] ^= 1 << rng.integers(8)
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    try:
        array(path=path)
    except UserError as error:
        assert str(path) in str(error)  # noqa: PT017


def test_truncated_member_is_named(tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, X)
    path = tmp_path / "member.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", buffer.getvalue()[:-100])
        file.writestr("y.npy", b"")
    with pytest.raises(UserError, match=r"member\.npz is damaged"):
        array(path=path)
