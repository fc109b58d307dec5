"""The Lightning side: a module that any `Trainer` can run, its metrics, what watches a step, and a lean loop."""

from bakeoff.module.divergence import Divergence, StopOnDivergence
from bakeoff.module.loop import LeanEpochLoop, use_lean_loop, why_not_lean
from bakeoff.module.metrics import metrics_for
from bakeoff.module.probe import StepProbe
from bakeoff.module.supervised import SupervisedModule

__all__ = [
    "Divergence",
    "LeanEpochLoop",
    "StepProbe",
    "StopOnDivergence",
    "SupervisedModule",
    "metrics_for",
    "use_lean_loop",
    "why_not_lean",
]
