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


@pytest.mark.parametrize(
    ("given", "lengths"),
    [((), [36, 12, 12]), (("val",), [48, 9, 12]), (("test",), [48, 12, 9])],
    ids=["train", "train+val", "train+test"],
)
def test_missing_parts_are_split_off_the_training_part(tmp_path, given, lengths):
    parts = {f"x_{part}": X[:9] for part in given} | {f"y_{part}": Y[:9] for part in given}
    data = array(path=saved(tmp_path, x_train=X, y_train=Y, **parts))
    assert [len(x) for x, _ in data.parts().values()] == lengths


def test_other_keys_are_ignored(tmp_path):
    assert array(path=saved(tmp_path, x=X, y=Y, names=np.array(["a", "b"]))).n_out == 3


@pytest.mark.parametrize("labels", [[3, 7, 9], [-1, 0, 1], [0, 1, 3]])
def test_labels_are_mapped_in_increasing_order(labels):
    data = array(x=X, y=np.array(labels)[Y])
    assert data.digest() == array(x=X, y=Y).digest()


def test_contiguous_labels_stay_what_they_are():
    data = array(x_train=X, y_train=Y, x_val=X[::-1], y_val=Y[::-1], x_test=X, y_test=Y)
    np.testing.assert_array_equal(data.val[1], Y[::-1])


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (Y.astype(np.uint8), "classification"),
        (Y.astype(">i4"), "classification"),
        (Y == 1, "classification"),
        (Y[:, None], "classification"),
        (Y.astype(np.float32), "regression"),
        (X, "regression"),
    ],
    ids=["uint8", "big-endian", "bool", "column", "float", "matrix"],
)
def test_task_follows_the_dtype(y, task):
    data = array(x=X, y=y)
    assert data.task == task
    assert data.train[1].shape[1:] == (() if task == "classification" else (data.n_out,))


def test_task_can_be_overridden():
    assert array(x=X, y=Y, task="regression").train[1].dtype == torch.float32
    assert array(x=X, y=Y.astype(float), task="classification").digest() == array(x=X, y=Y).digest()


def test_targets_of_several_columns_share_one_scale():
    data = array(x_train=X, y_train=X * [1, 2, 3], x_val=X, y_val=X * [1, 2, 3])
    assert data.n_out == 3
    assert data.target_std == pytest.approx((X[data_rows(data)] * [1, 2, 3]).std(), rel=1e-5)


def data_rows(data):
    y = data.train[1].numpy()[:, 0] * data.target_std + data.target_mean
    return [int(np.abs(X[:, 0] - value).argmin()) for value in y]


def test_callers_own_arrays_are_left_alone():
    x, y = X.astype(np.float32), Y.astype(np.float32)
    x_copy, y_copy = x.copy(), y.copy()
    x.flags.writeable = False
    data = array(x_train=x, y_train=y, x_val=x, y_val=y, x_test=x, y_test=y)
    data.train[0].zero_()
    np.testing.assert_array_equal(x, x_copy)
    np.testing.assert_array_equal(y, y_copy)


def test_tensors_that_require_grad_and_odd_dtypes_are_taken():
    x = torch.tensor(X, dtype=torch.bfloat16, requires_grad=True)
    assert array(x=x, y=torch.tensor(Y)).train[0].dtype == torch.float32
    assert array(x=X.astype(">f8")[::-1], y=Y.astype(np.uint16)).n_out == 3


def spoilt(value):
    x = X.copy()
    x[4, 1] = value
    return x


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, r"set data.path=FILE.npz, or pass x and y"),
        ({"x": X}, "must hold x and y, .* got x$"),
        ({"x_val": X, "y_val": Y}, "must hold x and y, or x_train and y_train"),
        ({"x_train": X, "y_train": Y, "x_val": X}, "got x_train, y_train, x_val$"),
        ({"x": X, "y": Y, "x_test": X, "y_test": Y}, "got x, y, x_test, y_test$"),
        ({"x": X, "y": Y[:-1]}, "x and y must be equally long in the arrays given, got 60 and 59 samples"),
        ({"x_train": X, "y_train": Y, "x_val": X, "y_val": Y[:1]}, "x_val and y_val must be equally long"),
        ({"x_train": X, "y_train": Y, "x_val": X[:, :1], "y_val": Y}, r"one shape in all parts .*\(3,\).*\(1,\)"),
        ({"x": spoilt(np.nan), "y": Y}, "x must hold no NaN"),
        ({"x": spoilt(np.inf), "y": Y}, "x must hold no NaN, infinity"),
        ({"x": spoilt(1e300), "y": Y}, "over 3e38"),
        ({"x": X, "y": spoilt(-np.inf)[:, 1]}, "y must hold no NaN"),
        ({"x": X[:0], "y": Y[:0]}, r"x must not be empty in the arrays given, got shape \(0, 3\)"),
        ({"x": X[:, :0], "y": Y}, r"x must not be empty"),
        ({"x": 3.0, "y": Y}, "x and y must have a samples axis"),
        ({"x": X, "y": np.zeros(60, int)}, "y must hold at least 2 classes in the arrays given, got only 0"),
        ({"x": X, "y": np.ones(60)}, r"y must vary .* every training target is 1\.0"),
        ({"x": X, "y": X, "task": "classification"}, "one label a sample"),
        ({"x": X, "y": X[:, 0], "task": "classification"}, "whole numbers for classification .* set task=regression"),
        ({"x": X, "y": RNG.normal(size=(60, 2, 2))}, r"must be \(N,\) or \(N, 4\)"),
        ({"x_train": X, "y_train": X, "x_val": X, "y_val": X[:, 0]}, r"y of val must be .* got \(60,\)"),
        ({"x": X, "y": Y, "task": "ranking"}, "task must be classification or regression .* got 'ranking'"),
        ({"x": X, "y": np.array(["cat", "dog", "owl"])[Y]}, "y must hold real numbers .* got dtype <U3"),
        ({"x": X.astype(complex), "y": Y}, "x must hold real numbers"),
        ({"x": [[1, 2], [3]], "y": [0, 1]}, "x must be an array of numbers"),
        ({"x": X, "y": np.arange(60)}, "class 0 has 1 samples, too few for 3 parts: .* make y floating-point"),
        ({"x": X, "y": Y, "path": "also.npz"}, "takes a file or arrays"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(arrays, message):
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
