"""The keys of a command that change no result, and what the execution keys among them may be.

Neither kind stands in an arm or in a run's identity. Read by the launcher too, which imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.errors import UserError, did_you_mean, require

# How runs are executed.
EXECUTION_KEYS = frozenset(
    {
        "workers",
        "retry",
        "fail_fast",
        "dry_run",
        "lanes",
        "checkpoints",
        "checkpoint_every",
        "log",
        "reuse",
        "tuning_note",
    }
)
# Read by the launcher, and by no run.
LAUNCH_KEYS = frozenset({"workers", "fail_fast", "tuning_note"})
REUSE = ("always", "known", "never")  # what may be taken for a run that is asked for again
# How arms are compared: which seeds and trials a sweep is made of.
COMPARISON_KEYS = frozenset({"seeds", "max_seeds", "tune", "search", "grid", "margin"})
# What is measured, and what arms are ranked by. With early stopping it decides a result, and then it is part of the
# identity.
METRIC_KEYS = frozenset({"metric", "metric_direction"})
METRIC_GROUP = "metrics"
# Where a run is written, and the seed, which every arm is trained with.
LOCATION_KEYS = frozenset({"seed", "sweep", "root"})


def is_arm_key(key: str) -> bool:
    """Whether an override of this key makes another arm: it may decide a result, and is neither seed nor location."""
    top = key.split(".")[0].split("/")[0]
    return not (key in LOCATION_KEYS | METRIC_KEYS or top in EXECUTION_KEYS | COMPARISON_KEYS | {METRIC_GROUP, "hydra"})


def check_execution(settings: Mapping[str, Any]) -> None:
    """Refuses bad values of the keys that say how runs are executed.

    Raises:
        UserError: names the key, the bound and the value given.

    """
    for key in ("fail_fast", "dry_run", "workers", "retry", "reuse"):
        if key not in settings:
            raise UserError(f"{key} is missing; give {key}=...")
    fail_fast, dry_run = settings["fail_fast"], settings["dry_run"]
    require(isinstance(fail_fast, bool), "fail_fast", "true or false", fail_fast)
    require(isinstance(dry_run, bool) or dry_run == "memory", "dry_run", "true, false or memory", dry_run)
    workers, retry = settings["workers"], settings["retry"]
    require(workers == "auto" or is_whole(workers, 1), "workers", "a whole number >= 1 or auto", workers)
    hint = did_you_mean(str(retry), ["failed"])
    require(retry in (None, "failed"), "retry", "failed or null", f"{retry}{hint}")
    reuse = settings["reuse"]
    hint = did_you_mean(str(reuse), REUSE)
    require(reuse in REUSE, "reuse", "always, known or never", f"{reuse}{hint}")
    trainer = settings.get("trainer")
    threads = trainer.get("threads") if isinstance(trainer, Mapping) else None  # else no run can be built anyway
    require(threads is None or is_whole(threads, 1), "trainer.threads", "a whole number >= 1 or null", threads)


def check_locations(settings: Mapping[str, Any], overrides: Iterable[str]) -> None:
    """Refuses a name of a folder that was read as something else: `sweep=2026_11_25` is the number 20261125.

    Raises:
        UserError: says how to quote it.

    """
    for key in ("root", "sweep"):
        value, typed = settings[key], _typed_value(key, overrides)
        if not isinstance(value, str) and (isinstance(value, bool) or str(value) != typed):
            quoted = f"{key}=\"'{typed or value}'\""
            raise UserError(f"{key} must be text, got {value} ({type(value).__name__}); quote it twice: {quoted}")


def _typed_value(key: str, overrides: Iterable[str]) -> str | None:
    """What was typed behind the key, as it was typed."""
    typed = [value for name, _, value in (override.partition("=") for override in overrides) if name == key]
    return typed[-1] if typed else None


def is_whole(value: Any, minimum: int) -> bool:
    """Whether it is a whole number, not below `minimum`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= minimum


def is_positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
