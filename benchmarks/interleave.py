"""Several ways to do the same, timed in turns so that noise hits all alike; and what one call does, from its trace.

A round calls every way in a new random order; ratios are of the two times of one round. On CUDA a way's turn is
several calls in a row, about 10 ms, so that the wait of an idle GPU for the first launch weighs little; on the CPU it
is one, so that no way finds its tensors in the cache because it was the last one to touch them.
"""

import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch

Call = Callable[[], object]
WARM_UP = 5  # calls: an optimizer makes its state in the first, and is compiled again for it in the next
CUDA_TURN = 0.01  # seconds
CUDA_TURN_CALLS = 20  # at most


@dataclass(frozen=True)
class Times:
    """Seconds a call, by way: one entry a round."""

    seconds: dict[str, list[float]]

    def __contains__(self, way: str) -> bool:
        return way in self.seconds

    def joined(self, more: "Times") -> "Times":
        """These rounds, then those of `more`."""
        return Times({way: self.seconds.get(way, []) + seconds for way, seconds in more.seconds.items()})

    def median(self, way: str) -> float:
        return median(self.seconds[way])

    def milliseconds(self, way: str) -> str:
        """Median (minimum)."""
        return f"{self.median(way) * 1e3:.3g} ({min(self.seconds[way]) * 1e3:.3g})" if way in self else "-"

    def ratios(self, way: str, base: str) -> list[float]:
        return [a / b for a, b in zip(self.seconds[way], self.seconds[base], strict=True)]

    def ratio(self, way: str, base: str) -> str:
        """Median (quartiles) of the rounds' ratios."""
        if base not in self:
            return "-"
        low, middle, high = quantiles(self.ratios(way, base), n=4, method="inclusive")
        return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def warm(way: Call) -> bool:
    """Call it a few times; False if it cannot be compiled here."""
    try:
        for _ in range(WARM_UP):
            way()
    except (torch._dynamo.exc.TorchDynamoException, torch._dynamo.exc.FailOnRecompileLimitHit) as error:
        print(f"left out, since it cannot be compiled: {error}", file=sys.stderr)
        return False
    return True


def interleave(ways: dict[str, Call], *, rounds: int, device: str) -> Times:
    """Time ways that are warm."""
    timed = cuda_seconds if device == "cuda" else cpu_seconds
    calls = dict.fromkeys(ways, 1)
    if device == "cuda":
        calls = {name: min(CUDA_TURN_CALLS, 1 + int(CUDA_TURN / timed(way, 1))) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    order, shuffler = list(ways), random.Random(0)
    for _ in range(rounds):
        shuffler.shuffle(order)
        for name in order:
            seconds[name].append(timed(ways[name], calls[name]))
    return Times(seconds)


def cpu_seconds(way: Call, calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        way()
    return (time.perf_counter() - started) / calls


def cuda_seconds(way: Call, calls: int) -> float:
    started, ended = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    started.record()
    for _ in range(calls):
        way()
    ended.record()
    ended.synchronize()
    return float(started.elapsed_time(ended)) / 1e3 / calls


def tidy() -> None:
    """Free what code compiled and held; without it the next to compile meets the limit of recompilations."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def peak_memory(way: Call, device: str) -> int:
    """Bytes that one call has allocated at most, above what was allocated when it began.

    On the CPU it is the peak of the running sum of what torch's allocator handed out and took back, in order of time.
    Compiled code allocates there too. The process's resident set would not do: it moves by pages that the C library
    keeps or returns as it likes, and misses a buffer that comes from pages kept.
    The profiler knows no size of a block from before the call, so what a step frees of its old state is not taken off.
    """
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    changes = [event for event in trace(way, profile_memory=True) if event["name"] == "[memory]"]
    held = peak = 0
    for change in sorted(changes, key=lambda event: event["ts"]):
        held += change["args"]["Bytes"]
        peak = max(peak, held)
    return peak


def kernels(way: Call) -> int:
    """The kernels that one call launches on the GPU, copies and fills apart."""
    return sum(event.get("cat") == "kernel" for event in trace(way, profile_memory=False))


def trace(way: Call, *, profile_memory: bool) -> list[dict[str, Any]]:
    """The events of one call, as torch's profiler exports them."""
    with torch.profiler.profile(profile_memory=profile_memory) as profiler:
        way()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
        return events
