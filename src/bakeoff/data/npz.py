"""A user's own arrays: a NumPy `.npz` file, or arrays and tensors given directly."""

import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from bakeoff.data.arrays import Arrays, Task
from bakeoff.data.assemble import assemble
from bakeoff.data.checks import RawPart, as_numpy
from bakeoff.errors import UserError, require

Values = Tensor | ArrayLike
KEYS = ("x", "y", "x_train", "y_train", "x_val", "y_val", "x_test", "y_test")


def array(
    *,
    path: str | Path | None = None,
    x: Values | None = None,
    y: Values | None = None,
    x_train: Values | None = None,
    y_train: Values | None = None,
    x_val: Values | None = None,
    y_val: Values | None = None,
    x_test: Values | None = None,
    y_test: Values | None = None,
    task: Task | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    standardise: bool = True,
    val_size: float = 0.2,
    test_size: float = 0.2,
    split_seed: int = 0,
    drop_last: bool = False,
) -> Arrays:
    """Arrays from the `.npz` file at `path`, whose keys are the names of the arguments here, or from values.

    Either `x` and `y`, which are split, or `x_train` and `y_train` with, optionally, `x_val`, `y_val`, `x_test`,
    `y_test`; a missing part is split off the training part. A size below 1 is a fraction of what is split.

    `x` is `(N, ...)`; four axes mean images `(N, C, H, W)`, standardised per channel. `y` of whole numbers or
    booleans is `(N,)` labels; if they are not 0..C-1 they are mapped to that, in increasing order. `y` of
    floats is `(N,)` or `(N, width)` regression targets. `task` overrides what the dtype of `y` says. Whole numbers
    `(N, T)` or `(N, H, W)` are labels 0..C-1 of tokens or pixels, C being `num_classes` or one more than the largest;
    those that are `ignore_index`, by default -100, are not counted. With `standardise=False` inputs and targets are
    taken as they are, and whole numbers stay such: they may be tokens. Raises
    UserError for data that cannot be used: no or unpaired arrays, pickled objects, unequal lengths, NaN, infinity,
    no samples, one class.
    """
    has_number = num_classes is None or (type(num_classes) is int and num_classes >= 2)
    require(has_number, "data.num_classes", "a whole number >= 2", num_classes)
    require(ignore_index is None or type(ignore_index) is int, "data.ignore_index", "a whole number", ignore_index)
    require(isinstance(standardise, bool), "data.standardise", "true or false", standardise)
    values = (x, y, x_train, y_train, x_val, y_val, x_test, y_test)
    given = {key: value for key, value in zip(KEYS, values, strict=True) if value is not None}
    if (path is None) == (not given):
        raise UserError("data=array takes a file or arrays: set data.path=FILE.npz, or pass x and y (not both)")
    if path is None:
        where = "the arrays given"
        arrays = {key: as_numpy(value, key, where) for key, value in given.items()}
    else:
        where = str(Path(path).expanduser().absolute())
        arrays = read_npz(where)
    sizes = {"val": val_size, "test": test_size}
    raw = _as_parts(arrays, where)
    if not standardise:
        raw = {part: (_as_indices(x), y) for part, (x, y) in raw.items()}
    made = assemble(
        raw,
        where=where,
        sizes=sizes,
        split_seed=split_seed,
        task=task,
        num_classes=num_classes,
        ignore_index=ignore_index,
        scale=standardise,
        drop_last=drop_last,
        is_users_own=True,
    )
    if num_classes is not None and made.task != "classification":
        raise UserError(f"data.num_classes={num_classes}: a task of {made.task} has no classes; leave it out")
    return made


def _as_indices(x: NDArray) -> NDArray:
    """Whole numbers in the one dtype by which every layer looks up."""
    return x.astype(np.int64) if x.dtype.kind in "iu" else x


def read_npz(path: str) -> dict[str, NDArray]:
    """The arrays of `KEYS` in a `.npz` file. Raises UserError if it is damaged or holds pickled objects."""
    if not Path(path).is_file():
        raise UserError(f"no file at {path}: set data.path=FILE.npz")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is empty, truncated or not an .npz file: save it again with numpy.savez")
    try:
        with np.load(path, allow_pickle=False) as file:
            _check_keys(list(file), path)
            return {key: as_numpy(file[key], key, path) for key in KEYS if key in file}
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path} holds pickled objects, refused since reading them can run code: save numeric arrays"
            ) from error
        raise UserError(f"{path} is damaged: {error}; save it again with numpy.savez") from error


def _check_keys(keys: list[str], path: str) -> None:
    # a misspelt x_valid would otherwise be ignored, and validation data split off the training data
    unknown = [key for key in keys if key.startswith(("x_", "y_")) and key not in KEYS]
    if unknown:
        raise UserError(f"{path} has unknown keys {', '.join(unknown)}: use {', '.join(KEYS)}")


def _as_parts(arrays: dict[str, NDArray], where: str) -> dict[str, RawPart]:
    whole = {"x", "y"} & set(arrays)
    named = set(arrays) - whole
    needed = {"x", "y"} if whole else {"x_train", "y_train"}
    pairs = {f"{axis}_{key.split('_')[1]}" for key in named for axis in "xy"}
    if (whole and named) or set(arrays) != needed | pairs:
        raise UserError(
            f"{where} must hold x and y, or x_train and y_train with the pairs x_val and y_val or x_test "
            f"and y_test, or neither; got {', '.join(arrays) or 'none of them'}"
        )
    if whole:
        return {"train": (arrays["x"], arrays["y"])}
    present = [part for part in ("train", "val", "test") if f"x_{part}" in arrays]
    return {part: (arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in present}
