"""Raw parts -> Arrays: check, split off what is missing, encode targets, standardise by the training part."""

import numpy as np
import torch
from numpy.typing import NDArray

from bakeoff.data.arrays import Arrays, Scale, Task
from bakeoff.data.checks import RawPart, check_parts
from bakeoff.data.dense_labels import IGNORED, check_shapes, is_dense, number_of_classes
from bakeoff.data.split import Sizes, split
from bakeoff.data.standardise import moments, standardise
from bakeoff.data.targets import as_columns, as_labels, check_whole, find_task, flat_labels, mean_and_std

ByPart = dict[str, NDArray]


def assemble(
    raw: dict[str, RawPart],
    *,
    where: str,
    sizes: Sizes,
    split_seed: int,
    task: Task | None = None,
    num_classes: int | None = None,
    ignore_index: int | None = None,
    scale: bool = True,
    drop_last: bool = False,
    is_users_own: bool = False,
) -> Arrays:
    """Arrays from `train` and, where the data set has its own, `val` and `test`.

    A missing part is split off the training part, by its size in `sizes`, before any statistic is computed.
    `where` names the source in messages. With `scale=False` nothing is standardised; floats become float32.
    `num_classes` and `ignore_index` are those of `array`.
    Raises UserError for data that cannot be used.
    """
    parts = check_parts(raw, where)
    xs: ByPart = {part: x for part, (x, _) in parts.items()}
    ys: ByPart = {part: y for part, (_, y) in parts.items()}
    task = find_task(xs["train"], ys["train"], task, where)
    ignored = IGNORED if ignore_index is None else ignore_index
    mean: Scale = 0.0
    std: Scale = 1.0
    kept: dict[str, torch.Tensor] = {}  # what undoes the encoding of inputs and labels
    if task == "classification":
        has_one = not is_dense(ys["train"])
        labels, classes = (
            flat_labels(ys, num_classes, where) if has_one else _dense_labels(xs, ys, num_classes, ignored, where)
        )
        xs, labels = _split_missing(xs, labels, sizes, split_seed, stratified=has_one)
        ys = {part: np.searchsorted(classes, y) for part, y in labels.items()} if has_one else labels
        n_out, kept["classes"] = len(classes), torch.from_numpy(classes)
    else:
        columns = as_columns(ys, where) if task == "regression" else as_labels(ys, where)
        xs, ys = _split_missing(xs, columns, sizes, split_seed, stratified=False)
        n_out = ys["train"].shape[1]
        if scale and task == "regression":
            mean, std = mean_and_std(ys["train"], where)
            ys = {part: (y - np.asarray(mean)) / np.asarray(std) for part, y in ys.items()}
    if scale:
        statistics = moments(xs["train"])
        xs = {part: standardise(x, *statistics) for part, x in xs.items()}
        kept["input_mean"], kept["input_std"] = (torch.from_numpy(value) for value in statistics)
    train, val, test = ((_tensor(xs[part]), _tensor(ys[part])) for part in ("train", "val", "test"))
    return Arrays(
        train,
        val,
        test,
        task=task,
        n_out=n_out,
        target_mean=mean,
        target_std=std,
        drop_last=drop_last,
        ignore_index=ignored if task == "classification" and ys["train"].ndim > 1 else None,
        is_users_own=is_users_own,
        **kept,
    )


def _dense_labels(xs: ByPart, ys: ByPart, num_classes: int | None, ignored: int, where: str) -> tuple[ByPart, NDArray]:
    """Labels of tokens or pixels as they are, and their classes, 0 to C - 1."""
    check_shapes(xs, ys, where)
    for y in ys.values():
        check_whole(y, where)
    labels = {part: y.astype(np.int64) for part, y in ys.items()}
    return labels, np.arange(number_of_classes(labels, num_classes, ignored, where))


def _split_missing(xs: ByPart, ys: ByPart, sizes: Sizes, split_seed: int, stratified: bool) -> tuple[ByPart, ByPart]:
    missing = {part: sizes[part] for part in ("test", "val") if part not in xs}
    x, y = xs["train"], ys["train"]
    drawn = split(len(x), missing, split_seed=split_seed, labels=y if stratified else None)
    xs = xs | {part: x[index] for part, index in drawn.items()}
    return xs, ys | {part: y[index] for part, index in drawn.items()}


def _tensor(array: NDArray) -> torch.Tensor:
    # splitting or standardising has made a copy: this is never the caller's own array
    return torch.from_numpy(array.astype(np.float32, copy=False) if array.dtype.kind == "f" else array)
