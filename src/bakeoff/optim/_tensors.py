"""The tensors of one step, as lists: what belongs to the i-th parameter is at index i of every list."""

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
    first: bool = False  # SGD's momentum buffers are new and have no old value: b_1 = g_1

    def __len__(self) -> int:
        return len(self.params)

    @property
    def on_cuda(self) -> bool:
        """Whether the first parameter is; in one part all tensors are on one device."""
        return self.params[0].is_cuda

    def lists(self) -> list[list[Tensor]]:
        """The lists of parameter-sized tensors."""
        return [self.params, self.grads, *self.averages.values()]

    def with_lists(self, lists: list[list[Tensor]], **changes: Any) -> "Tensors":
        """A copy with these lists in place of `lists()`."""
        params, grads, *averages = lists
        changes["averages"] = dict(zip(self.averages, averages, strict=True))
        return replace(self, params=params, grads=grads, **changes)

    def at(self, indices: list[int]) -> "Tensors":
        """The tensors of some of the parameters."""
        lists = [[tensors[i] for i in indices] for tensors in self.lists()]
        return self.with_lists(lists, steps=[self.steps[i] for i in indices] if self.steps else [])

    def replica(self, k: int) -> "Tensors":
        """Slice k of tensors stacked `[K, ...]`; all slices share their steps."""
        return self.with_lists([[tensor[k] for tensor in tensors] for tensors in self.lists()])

    def local(self) -> "Tensors":
        """Of parameters that are split among processes (torch's DTensor, as of FSDP) the parts of this process.

        The updates are elementwise, so that a part needs no other one, and plain tensors are a hundred times as fast.
        All stay as they are where a gradient or a state is not split like its parameter.
        """
        # asked for by name: the class takes long to import
        splits = [[getattr(t, "placements", None) for t in of_kind] for of_kind in self.lists()]
        if any(of_kind != splits[0] for of_kind in splits):
            return self
        return self.with_lists([[t.to_local() if hasattr(t, "to_local") else t for t in ts] for ts in self.lists()])

    def real(self) -> "Tensors":
        """Complex tensors as pairs of reals: the updates treat the two parts alike, as torch's do."""
        # the gradient of a conjugated weight is conjugated lazily, and then has no such view
        grads = [grad.resolve_conj() if grad.is_complex() else grad for grad in self.grads]
        lists = [self.params, grads, *self.averages.values()]
        return self.with_lists([[torch.view_as_real(t) if t.is_complex() else t for t in ts] for ts in lists])

    def blocks(self, size: int) -> Iterator["Tensors"]:
        """Parts of at most `size` elements, in order; each parameter's tensors are dense and equally strided."""
        if sum(map(Tensor.numel, self.params)) <= size:
            yield self
            return
        indices: list[int] = []
        elements = 0
        for i, param in enumerate(self.params):
            if indices and elements + param.numel() > size:
                yield self.at(indices)
                indices, elements = [], 0
            if param.numel() > size:
                flat = [of_kind[i].as_strided((param.numel(),), (1,)).split(size) for of_kind in self.lists()]
                for block in zip(*flat, strict=True):
                    yield self.with_lists([[view] for view in block], steps=self.steps[i : i + 1])
            else:
                indices.append(i)
                elements += param.numel()
        if indices:
            yield self.at(indices)


def is_half(tensor: Tensor) -> bool:
    """Whether it is of half precision, float16 or bfloat16."""
    return tensor.dtype in (torch.float16, torch.bfloat16)


def in_single(tensor: Tensor) -> Tensor:
    """Half precision as single: updates compute in single, as fused kernels do, and round once, when they store."""
    return tensor.float() if is_half(tensor) else tensor


def before_step(tensor: Tensor, group: Group) -> Tensor:
    """The value that an update is given of a tensor that the step overwrites: autograd needs a copy of it."""
    return tensor.clone() if group["differentiable"] else in_single(tensor)
