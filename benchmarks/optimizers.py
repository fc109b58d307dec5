"""A step of our optimizers against torch's: as loop, foreach, fused and compiled.

    python benchmarks/optimizers.py                                    # on the GPU if there is one
    python benchmarks/optimizers.py --device cpu --threads 1 --memory  # and the memory that a step takes
    python benchmarks/optimizers.py --sizes --replicas 64              # only: many small runs in one optimizer
    python benchmarks/optimizers.py --control                          # torch's foreach in place of ours
    python benchmarks/optimizers.py --device cpu --threads 1 --sizes --rmsprop-implementations  # only: those of RMSprop
    CC=none python benchmarks/optimizers.py --device cpu --threads 1 --sizes --rmsprop-implementations  # no C compiler

Ours has its default arguments. Compiled is `torch.compile(optimizer.step)` of torch's loop on the CPU, of its foreach
on CUDA. All candidates start from the same float32 parameters and fixed gradients, and must agree first.
GB/s counts the bytes that a step cannot do without (read gradient, read and write parameter and state); `of copy` is
its fraction of what `Tensor.copy_` of a large tensor moves in the same rounds. Sizes that fit in a cache can exceed 1.
On the CPU the addresses of tensors make the same step up to a fifth slower, for hundreds of rounds: a row's rounds are
divided among several builds, each of all candidates in a new order.
"""

import argparse
import inspect
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import hardware
import torch
from interleave import Times, interleave, kernels, peak_memory, tidy, warm
from torch import Tensor
from torchvision.models import resnet18

import bakeoff.optim
from bakeoff.optim import _dispatch, _native


@dataclass(frozen=True)
class Algorithm:
    name: str
    arguments: dict[str, Any]
    floor: int  # bytes a float32 parameter, a step

    @property
    def ours(self) -> Callable[..., torch.optim.Optimizer]:
        return partial(getattr(bakeoff.optim, self.name), **self.arguments)

    @property
    def theirs(self) -> Callable[..., torch.optim.Optimizer]:
        return partial(getattr(torch.optim, self.name), **self.arguments)

    @property
    def fused(self) -> dict[str, bool]:
        """The argument that asks torch for its fused kernel, if it has one."""
        has = "fused" in inspect.signature(getattr(torch.optim, self.name)).parameters
        return {"fused": True} if has else {}


ALGORITHMS = {
    "sgd": Algorithm("SGD", {}, 12),
    "sgd-momentum": Algorithm("SGD", {"momentum": 0.9}, 20),
    "rmsprop": Algorithm("RMSprop", {}, 20),
    "rmsprop-momentum": Algorithm("RMSprop", {"momentum": 0.9}, 28),
    "rmsprop-centered": Algorithm("RMSprop", {"centered": True}, 28),
    "adam": Algorithm("Adam", {}, 28),
    "adamw": Algorithm("AdamW", {}, 28),
}
Shapes = list[tuple[int, ...]]
with torch.device("meta"):
    RESNET18 = [tuple(param.shape) for param in resnet18().parameters()]
SIZES: dict[str, Shapes] = {
    "100x10k": [(10_000,)] * 100,
    "1x20M": [(20_000_000,)],
    "resnet18": RESNET18,
}
CUDA_SIZES: dict[str, Shapes] = {"1x500M": [(500_000_000,)], "1000x10k": [(10_000,)] * 1000}
MLP: Shapes = [(64, 64), (64,), (32, 64), (32,), (10, 32), (10,)]
EAGER = ("loop", "foreach", "fused")
SMALL_TURN_CALLS = 20  # steps a turn for sizes that take some microseconds


@dataclass(frozen=True)
class Setting:
    device: str
    rounds: int
    builds: int
    compiled: bool
    control: bool


@dataclass(frozen=True)
class Candidate:
    params: list[Tensor]
    step: Callable[[], object]


def parameters(shapes: Shapes, device: str) -> list[Tensor]:
    """The same each time, with gradients."""
    generator = torch.Generator(device).manual_seed(0)
    params = [torch.randn(shape, generator=generator, device=device) for shape in shapes]
    for param in params:
        param.requires_grad_().grad = torch.randn(param.shape, generator=generator, device=device)
    return params


def factories(algorithm: Algorithm, shapes: Shapes, setting: Setting) -> dict[str, Callable[[], Candidate]]:
    """Each candidate with its own parameters, gradients and state, made when called."""
    theirs = algorithm.theirs
    on_cpu = setting.device == "cpu"

    def candidate(make: Callable[[list[Tensor]], torch.optim.Optimizer], compiled: bool = False) -> Candidate:
        params = parameters(shapes, setting.device)
        step = make(params).step
        return Candidate(params, torch.compile(step) if compiled else step)

    made: dict[str, Callable[[], Candidate]] = {
        "ours": partial(candidate, partial(theirs, foreach=True) if setting.control else algorithm.ours),
        "loop": partial(candidate, partial(theirs, foreach=False)),
        "foreach": partial(candidate, partial(theirs, foreach=True)),
    }
    if algorithm.fused:
        made["fused"] = partial(candidate, partial(theirs, fused=True))
    if setting.compiled:
        made["compiled"] = partial(candidate, partial(theirs, foreach=not on_cpu), compiled=True)
    return made


def speed_row(algorithm: Algorithm, shapes: Shapes, setting: Setting, copy: Callable[[], object]) -> Times:
    times, builds, shuffler = Times({}), min(setting.builds, setting.rounds), random.Random(0)
    for build in range(builds):
        made = list(factories(algorithm, shapes, setting).items())
        shuffler.shuffle(made)
        built = {name: candidate for name, factory in made if warm((candidate := factory()).step)}
        for name, candidate in built.items():
            for param, reference in zip(candidate.params, built["loop"].params, strict=True):
                torch.testing.assert_close(param, reference, rtol=1e-4, atol=1e-5, msg=partial("{}: {}".format, name))
        calls = {name: candidate.step for name, candidate in built.items()} | {"copy": copy}
        rounds = len(range(build, setting.rounds, builds))
        times = times.joined(interleave(calls, rounds=rounds, device=setting.device))
        del candidate, built, calls
        tidy()
    return times


def speed(algorithms: list[str], sizes: list[str], setting: Setting) -> None:
    elements = 500_000_000 if setting.device == "cuda" else 20_000_000
    source, target = torch.ones(2, elements, device=setting.device)  # ones, since pages of zeros may not be there
    print(f"\nStep, float32, {setting.rounds} rounds: ms are medians (minima), ratios of ours medians (quartiles).\n")
    print("| algorithm | size | ours ms | loop | foreach | fused | compiled | ours GB/s | of copy ", end="")
    print("| ours / best eager | / compiled | / fused | / foreach |\n" + "|---" * 13 + "|")
    for size in sizes:
        for name in algorithms:
            algorithm, shapes = ALGORITHMS[name], (SIZES | CUDA_SIZES)[size]
            times = speed_row(algorithm, shapes, setting, partial(target.copy_, source))
            floor = algorithm.floor * sum(math.prod(shape) for shape in shapes)
            best = min((name for name in EAGER if name in times), key=times.median)
            cells = [times.milliseconds(column) for column in ("ours", *EAGER, "compiled")]
            cells.append(f"{floor / times.median('ours') / 1e9:.1f}")
            cells.append(f"{median(times.ratios('copy', 'ours')) * floor / (8 * elements):.2f}")
            cells.append(f"{best} {times.ratio('ours', best)}")
            cells += [times.ratio("ours", column) for column in ("compiled", "fused", "foreach")]
            print(f"| {name} | {size} | {' | '.join(cells)} |", flush=True)


def memory(algorithms: list[str], setting: Setting) -> None:
    print("\nPeak extra memory of one step, 1x20M, after the steps that make the state; times the parameter's bytes.\n")
    print("| algorithm | ours | loop | foreach | fused | compiled |\n" + "|---" * 6 + "|")
    for name in algorithms:
        peaks = {}
        for column, factory in factories(ALGORITHMS[name], SIZES["1x20M"], setting).items():
            candidate = factory()
            if warm(candidate.step):
                bytes_at_peak = peak_memory(candidate.step, setting.device)
                peaks[column] = f"{bytes_at_peak / candidate.params[0].nbytes:.2f}"
            del candidate
            tidy()
        print(
            f"| {name} | {' | '.join(peaks.get(column, '-') for column in ('ours', *EAGER, 'compiled'))} |", flush=True
        )


def replicas(algorithms: list[str], count: int, setting: Setting) -> None:
    print(f"\n{count} replicas of the MLP 64-64-32-10, each with its learning rate, {setting.rounds} rounds:")
    print("ours on the stacked parameters, torch as one optimizer a replica, fused where there.\n")
    print("| algorithm | ours ms | torch ms | ours / torch | ours: kernels a step | torch |\n" + "|---" * 6 + "|")
    rates = [1e-4 * 100 ** (k / count) for k in range(count)]
    for name in algorithms:
        steps = replica_steps(ALGORITHMS[name], rates, setting.device)
        times = interleave(steps, rounds=setting.rounds, device=setting.device)
        launched = [str(kernels(step)) if setting.device == "cuda" else "-" for step in steps.values()]
        cells = [times.milliseconds("ours"), times.milliseconds("torch"), times.ratio("ours", "torch"), *launched]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
        tidy()


def replica_steps(algorithm: Algorithm, rates: list[float], device: str) -> dict[str, Callable[[], object]]:
    """Both steps, warm and found to agree."""
    stacked = parameters([(len(rates), *shape) for shape in MLP], device)
    solos = [[param.detach()[k].clone().requires_grad_() for param in stacked] for k in range(len(rates))]
    for k, params in enumerate(solos):
        for param, stack in zip(params, stacked, strict=True):
            assert stack.grad is not None
            param.grad = stack.grad[k].clone()
    made = partial(algorithm.theirs, **algorithm.fused)
    optimizers = [made(params, lr=rate) for params, rate in zip(solos, rates, strict=True)]

    def one_after_another() -> None:
        for optimizer in optimizers:
            optimizer.step()

    ours = algorithm.ours(stacked, replicas={"lr": rates}).step
    for step in (ours, one_after_another):
        warm(step)
    for k, params in enumerate(solos):
        torch.testing.assert_close([stack[k] for stack in stacked], params, rtol=1e-4, atol=1e-5)
    return {"ours": ours, "torch": one_after_another}


def rmsprop_implementations(setting: Setting) -> None:
    """Each implementation of RMSprop's step on the CPU, and torch's, in turns."""
    print(f"\nRMSprop by implementation, float32, {setting.rounds} rounds: ms are medians (minima), `torch / default`")
    print("is torch's best eager implementation over our default one, median (quartiles) of the rounds' ratios.\n")
    names = ["default", "definition", "foreach", "C", "torch loop", "torch foreach"]
    print(f"| options | size | {' | '.join(names)} | torch / default |\n" + "|---" * (len(names) + 3) + "|")
    for size, shapes in {"mlp": MLP, "resnet18": RESNET18, "1x20M": SIZES["1x20M"]}.items():
        for name in ("rmsprop", "rmsprop-momentum", "rmsprop-centered"):
            times = rmsprop_times(ALGORITHMS[name].arguments, shapes, setting)
            best = min(("torch loop", "torch foreach"), key=times.median)
            cells = [times.milliseconds(candidate) for candidate in names]
            print(f"| {name} | {size} | {' | '.join(cells)} | {times.ratio(best, 'default')} |", flush=True)


def rmsprop_times(arguments: dict[str, Any], shapes: Shapes, setting: Setting) -> Times:
    calls = SMALL_TURN_CALLS if shapes is MLP else 1
    times, builds, shuffler = Times({}), min(setting.builds, setting.rounds), random.Random(0)
    for build in range(builds):
        made = list(rmsprop_optimizers(arguments).items())
        shuffler.shuffle(made)
        params = {name: parameters(shapes, "cpu") for name, _ in made}
        steps = {name: make(params[name]).step for name, make in made}
        for name, step in steps.items():
            warm(step)
            torch.testing.assert_close(params[name], params[made[0][0]], rtol=1e-4, atol=1e-5, msg=f"{name} differs")
        rounds = len(range(build, setting.rounds, builds))
        of_build = interleave({n: partial(repeat, s, calls) for n, s in steps.items()}, rounds=rounds, device="cpu")
        times = times.joined(Times({n: [s / calls for s in seconds] for n, seconds in of_build.seconds.items()}))
        del params, steps
        tidy()
    return times


def rmsprop_optimizers(arguments: dict[str, Any]) -> dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]]:
    ours, theirs = partial(bakeoff.optim.RMSprop, **arguments), partial(torch.optim.RMSprop, **arguments)
    made: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
        "default": ours,
        "definition": partial(ours, foreach=False),
        "foreach": partial(ours, foreach=True),
        "torch loop": partial(theirs, foreach=False),
        "torch foreach": partial(theirs, foreach=True),
    }
    if has_c_kernel():
        made["C"] = partial(ours, fused=True)
    return made


def has_c_kernel() -> bool:
    """Whether `fused=True` uses the kernel in C, that is, whether there is a C compiler."""
    bakeoff.optim.RMSprop(parameters([(1,)], "cpu"), fused=True).step()
    return any(kernel is _native.rmsprop and matches for (kernel, _), matches in _dispatch._verified.items())


def repeat(step: Callable[[], object], calls: int) -> None:
    for _ in range(calls):
        step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    add = parser.add_argument
    add("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    add("--threads", type=int, help="of torch, on the CPU")
    add("--sizes", nargs="*", choices=[*SIZES, *CUDA_SIZES], help="of the first table; none to leave it out")
    add("--algorithms", nargs="+", choices=list(ALGORITHMS), default=list(ALGORITHMS))
    add("--rounds", type=int, default=30)
    add("--builds", type=int, default=3, help="the rounds are divided among so many, on the CPU")
    add("--no-compiled", action="store_true", help="leave out the compiled step: compiling takes long")
    add("--memory", action="store_true", help="also the peak memory of a step")
    add("--replicas", type=int, nargs="?", const=64, metavar="K", help="also K runs in one optimizer; 64 if not given")
    add("--rmsprop-implementations", action="store_true", help="also each implementation of RMSprop's step, on the CPU")
    add("--control", action="store_true", help="torch's foreach in place of ours: `/ foreach` should be 1")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch._dynamo.config.fail_on_recompile_limit_hit = True  # otherwise what is timed as compiled may not be
    builds, everything = (1, [*SIZES, *CUDA_SIZES]) if arguments.device == "cuda" else (arguments.builds, list(SIZES))
    setting = Setting(arguments.device, arguments.rounds, builds, not arguments.no_compiled, arguments.control)
    print(hardware.describe())
    if arguments.sizes != []:
        speed(arguments.algorithms, arguments.sizes or everything, setting)
    if arguments.memory:
        memory(arguments.algorithms, setting)
    if arguments.replicas:
        replicas(arguments.algorithms, arguments.replicas, setting)
    if arguments.rmsprop_implementations:
        rmsprop_implementations(setting)


if __name__ == "__main__":
    main()
