"""The options of a configuration group, as the running application sees them."""

from __future__ import annotations

import hydra
import hydra.utils
from hydra.core.global_hydra import GlobalHydra


def losses_for(task: str) -> list[str]:
    """Names in the group `loss` whose class fits a task; empty outside a Hydra application."""
    if not GlobalHydra.instance().is_initialized():
        return []
    names = GlobalHydra.instance().config_loader().get_group_options("loss")
    return [name for name in names if _task_of(name) in (None, task)]


def _task_of(loss: str) -> str | None:
    target = hydra.compose("bakeoff", [f"loss={loss}"]).loss._target_
    task: str | None = getattr(hydra.utils.get_object(target), "task", None)
    return task
