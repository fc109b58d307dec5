"""Inputs on which torch's `fused=True` on the CPU is wrong: torch's result and ours.

    python benchmarks/where_fused_is_wrong.py

Prints the largest error of the parameters against torch's for-loop in float64, or the error that was raised. A fixed
version of torch prints small numbers. `right` is an error within float32 rounding.
"""

from collections.abc import Callable, Iterator

import hardware
import torch
from torch import Tensor
from torch.nn import Parameter

import bakeoff.optim

OPTIONS = {"SGD": {"lr": 0.1, "momentum": 0.9}, "RMSprop": {}, "Adam": {}, "AdamW": {}}
STEPS = 5
Grads = Iterator[list[Tensor | None]]


def randoms(shape: tuple[int, ...]) -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    while True:
        yield torch.randn(shape, generator=generator)


def other_strides() -> tuple[list[Tensor], Grads]:
    draw = randoms((40, 30))
    return [next(draw)], ([next(randoms((30, 40))).T * (t + 1)] for t in range(STEPS))


def channels_last() -> tuple[list[Tensor], Grads]:
    draw = randoms((8, 4, 3, 3))
    weight = next(draw).to(memory_format=torch.channels_last)
    return [weight], ([next(draw)] for _ in range(STEPS))


def strided_slice() -> tuple[list[Tensor], Grads]:
    draw = randoms((40, 30))
    return [next(randoms((40, 60)))[:, ::2]], ([next(draw)] for _ in range(STEPS))


def late_gradient() -> tuple[list[Tensor], Grads]:
    draw = randoms((40,))
    return [next(draw), next(draw)], ([next(draw), next(draw) if t >= 2 else None] for t in range(STEPS))


def plain() -> tuple[list[Tensor], Grads]:
    draw = randoms((40,))
    return [next(draw)], ([next(draw)] for _ in range(STEPS))


Case = tuple[Callable[[], tuple[list[Tensor], Grads]], bool]
CASES: dict[str, Case] = {  # what to train on, and whether the first step overflows
    "gradient with other strides": (other_strides, False),
    "channels_last parameter, contiguous gradient": (channels_last, False),
    "parameter a strided slice": (strided_slice, False),
    "first gradient comes late": (late_gradient, False),
    "found_inf on the first step": (plain, True),
}


def train(package: object, name: str, case: Case, dtype: torch.dtype, **flags: bool) -> list[Tensor]:
    make, overflows = case
    tensors, grads = make()
    params = [Parameter(tensor.to(dtype) if dtype != tensor.dtype else tensor) for tensor in tensors]
    optimizer = getattr(package, name)(params, **OPTIONS[name], **flags)
    if overflows and "fused" in flags:
        # torch's buffer is uninitialized memory until the first step that is not skipped
        optimizer.found_inf = torch.ones(())
        for param in params:
            param.grad = torch.full_like(param, torch.inf)
        optimizer.step()
        optimizer.found_inf = torch.zeros(())
    for of_step in grads:
        for param, grad in zip(params, of_step, strict=True):
            param.grad = None if grad is None else grad.to(dtype)
        optimizer.step()
    return [param.detach().double() for param in params]


def verdict(package: object, name: str, case: Case) -> str:
    expected = train(torch.optim, name, case, torch.float64, foreach=False)
    try:
        found = train(package, name, case, torch.float32, fused=True)
    except (RuntimeError, TypeError) as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:60]}"
    largest = max(((a - b).abs() / (1 + b.abs())).max().item() for a, b in zip(found, expected, strict=True))
    return f"right ({largest:.0e})" if largest < 1e-5 else f"WRONG ({largest:.1g})"


def main() -> None:
    print(hardware.describe())
    print("\n| case | optimizer | torch's fused=True | ours |\n" + "|---" * 4 + "|")
    for label, case in CASES.items():
        for name in OPTIONS:
            theirs = verdict(torch.optim, name, case) if name != "RMSprop" else "has none"
            print(f"| {label} | {name} | {theirs} | {verdict(bakeoff.optim, name, case)} |")


if __name__ == "__main__":
    main()
