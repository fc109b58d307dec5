"""What a single run says on the terminal at its end."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from bakeoff.runs import ENDED, Outcome, claim


def tell(outcome: Outcome, metric: str, folder: Path, *, before: bool = False) -> None:
    """How it ended, and where it is; `before` says that an earlier command trained it.

    Raises:
        SystemExit: it failed, or something stopped it.

    """
    place = shown(folder)
    spent = f"{outcome.steps} steps, {outcome.samples} samples, {outcome.seconds:.1f} s"
    again = "; done before, not trained again" if before else ""
    print(f"{outcome.status}: {spent}{again}")
    if outcome.error:
        print(outcome.error["traceback"] or outcome.error["message"], file=sys.stderr)
    for name in (metric, metric.replace("val/", "test/")):
        entry = outcome.metrics.get(name, {})
        if entry.get("final") is not None:
            best = f"  (best {entry['best']:.4f} at step {entry['best_step']})" if entry.get("best") is not None else ""
            print(f"{name} {entry['final']:.4f}{best}")
    print(f"written to {place}\ncurves: tensorboard --logdir {shlex.quote(str(place.parent.parent))}")
    if outcome.status == "failed" and before:
        print("it failed before; retry=failed trains it again", file=sys.stderr)
    if outcome.status in ("failed", "interrupted"):
        raise SystemExit(1)


def tell_elsewhere(folder: Path) -> None:
    """Another process is at this run, and is waited for."""
    owner = claim.owner_of(folder)
    by = f"process {owner.process} on {owner.host}" if owner else "another process"
    sys.stderr.write(f"bakeoff: {by} is training {shown(folder)}; waiting for it\n")


def tell_stopped(folder: Path) -> None:
    """It was stopped from outside."""
    sys.stderr.write(f"\nbakeoff: stopped; recorded as interrupted in {shown(folder)}; the same command goes on\n")


def tell_what_would_be_done(identity: str, retry: str | None, folder: Path) -> None:
    """In a dry run: what the command would do with the run in `folder`."""
    found = Outcome.read(folder)
    if found is None or found.identity != identity:
        print(f"would train {shown(folder)}")
    elif claim.is_claimed(folder):
        print(f"would wait for another process, which is training {shown(folder)}")
    elif found.status in ENDED or (found.status == "failed" and retry != "failed"):
        again = "; retry=failed trains it again" if found.status == "failed" else ""
        print(f"{found.status} already: {shown(folder)}; nothing to do{again}")
    else:
        print(f"would {'train' if found.status == 'failed' else 'go on with'} {shown(folder)}")


def shown(folder: Path) -> Path:
    """The folder as a user types it."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder
