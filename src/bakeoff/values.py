"""What a setting may be: one sentence for every refusal; and the keys that a launcher reads, too, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakeoff.errors import UserError
from bakeoff.words import did_you_mean


def check_execution(settings: Mapping[str, Any]) -> None:
    """Refuses bad values of the keys that say how runs are executed, but not what comes out of them.

    Raises:
        UserError: names the key, the bound and the value given.

    """
    for key in ("fail_fast", "dry_run"):
        require(isinstance(settings[key], bool), key, "true or false", settings[key])
    workers, retry = settings["workers"], settings["retry"]
    require(workers == "auto" or whole(workers, 1), "workers", "a whole number >= 1 or auto", workers)
    hint = did_you_mean(str(retry), ["failed"])
    require(retry in (None, "failed"), "retry", "failed or null", f"{retry}{hint}")
    trainer = settings.get("trainer")
    threads = trainer.get("threads") if isinstance(trainer, Mapping) else None  # else no run can be built anyway
    require(threads is None or whole(threads, 1), "trainer.threads", "a whole number >= 1 or null", threads)


def require(holds: bool, key: str, bound: str, value: Any) -> None:
    """Raises UserError with key, bound and value, unless `holds`."""
    if not holds:
        raise UserError(f"{key} must be {bound}, got {value}")


def whole(value: Any, least: int) -> bool:
    """Whether it is a whole number, not below `least`."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def positive(value: Any) -> bool:
    """Whether it is a finite number above 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")
