"""What is recorded of a run when it starts: what it is, what trains it, and where."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import socket

from bakeoff.runs import Outcome, arm_of
from bakeoff.train.run import Run

PACKAGES = ("bakeoff", "torch", "lightning", "hydra-core", "torchmetrics", "numpy")


def record_of(run: Run) -> Outcome:
    """A record without results."""
    outcome = Outcome(arm_of(run.overrides), run.settings.seed, run.identity, run.overrides)
    outcome.metric, outcome.metric_direction = run.metric, run.direction
    outcome.versions = {"python": platform.python_version()}
    outcome.versions |= {name: importlib.metadata.version(name) for name in PACKAGES}
    outcome.host, outcome.process, outcome.fingerprint = socket.gethostname(), os.getpid(), run.fingerprint
    outcome.launch, outcome.assumed = run.launch, run.assumed
    return outcome
