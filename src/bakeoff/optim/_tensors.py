"""The tensors of one step, as lists: what the i-th parameter needs lies at index i of every list."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

Group = dict[str, Any]
TensorList = tuple[Tensor, ...] | list[Tensor]


@dataclass(slots=True)
class Tensors:
    """Parameters, their gradients, and their state by torch's names; `step` counts, if the algorithm does."""

    params: list[Tensor]
    grads: list[Tensor]
    averages: dict[str, list[Tensor]]
    steps: list[Tensor]
    first: bool = False  # SGD's momentum buffers are new: b_1 = g_1

    def __len__(self) -> int:
        return len(self.params)

    @property
    def on_cuda(self) -> bool:
        """Whether they are, if they are all on one device."""
        return self.params[0].is_cuda

    def lists(self) -> list[list[Tensor]]:
        """The lists of parameter-sized tensors."""
        return [self.params, self.grads, *self.averages.values()]

    def with_lists(self, lists: list[list[Tensor]], **changes: Any) -> "Tensors":
        """The same, with these in place of what `lists` gives."""
        params, grads, *averages = lists
        changes["averages"] = dict(zip(self.averages, averages, strict=True))
        return replace(self, params=params, grads=grads, **changes)

    def at(self, indices: list[int]) -> "Tensors":
        """Those of some of the parameters."""
        lists = [[tensors[i] for i in indices] for tensors in self.lists()]
        return self.with_lists(lists, steps=[self.steps[i] for i in indices] if self.steps else [])

    def replica(self, k: int) -> "Tensors":
        """Slice k of tensors stacked `[K, ...]`; all slices share their steps."""
        return self.with_lists([[tensor[k] for tensor in tensors] for tensors in self.lists()])

    def real(self) -> "Tensors":
        """Complex tensors as pairs of reals: the updates act on the two parts alike, as torch's do."""
        # a gradient that is yet to be conjugated, as one of a conjugated weight is, has no such view
        grads = [grad.resolve_conj() if grad.is_complex() else grad for grad in self.grads]
        lists = [self.params, grads, *self.averages.values()]
        return self.with_lists([[torch.view_as_real(t) if t.is_complex() else t for t in ts] for ts in lists])

    def blocks(self, size: int) -> Iterator["Tensors"]:
        """Flat views of at most `size` elements in all, in order; the tensors of a parameter are equally strided."""
        waiting: list[int] = []
        elements = 0
        for i, param in enumerate(self.params):
            if elements + param.numel() > size and waiting:
                yield self.at(waiting)
                waiting, elements = [], 0
            if param.numel() > size:
                yield from self._cut(i, size)
            else:
                waiting.append(i)
                elements += param.numel()
        if waiting:
            yield self.at(waiting)

    def _cut(self, i: int, size: int) -> Iterator["Tensors"]:
        cuts = zip(*(flat(tensors[i]).split(size) for tensors in self.lists()), strict=True)
        for cut in cuts:
            yield self.with_lists([[view] for view in cut], steps=self.steps[i : i + 1])


def flat(tensor: Tensor) -> Tensor:
    """A dense tensor's elements as they lie in memory."""
    return tensor.as_strided((tensor.numel(),), (1,))


def in_single(tensor: Tensor) -> Tensor:
    """Half precision in single: updates compute there, as fused kernels do, and round once, when they store."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def before_step(tensor: Tensor, group: Group) -> Tensor:
    """What an update is given of a tensor that the step writes: autograd needs the old value, if it is to see it."""
    return tensor.clone() if group["differentiable"] else in_single(tensor)
