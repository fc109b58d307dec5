"""The Lightning side: a module for any `Trainer`, its metrics, callbacks that watch a step, and a lean loop."""

from bakeoff.module.build_optimizer import build_optimizer
from bakeoff.module.divergence import Divergence, StopOnDivergence
from bakeoff.module.fallback import fallback_reason
from bakeoff.module.loop import LeanEpochLoop, use_lean_loop
from bakeoff.module.loss_parameters import registered
from bakeoff.module.measured import Metrics
from bakeoff.module.metrics import metrics_for
from bakeoff.module.named_parameters import named_parameters
from bakeoff.module.probe import StepProbe, StepSample
from bakeoff.module.random_states import RandomState, random_state, set_random_state
from bakeoff.module.resume import Resumable
from bakeoff.module.supervised import SupervisedModule
from bakeoff.module.trained import check_optimizer, trained_parameters

__all__ = [
    "Divergence",
    "LeanEpochLoop",
    "Metrics",
    "RandomState",
    "Resumable",
    "StepProbe",
    "StepSample",
    "StopOnDivergence",
    "SupervisedModule",
    "build_optimizer",
    "check_optimizer",
    "fallback_reason",
    "metrics_for",
    "named_parameters",
    "random_state",
    "registered",
    "set_random_state",
    "trained_parameters",
    "use_lean_loop",
]
