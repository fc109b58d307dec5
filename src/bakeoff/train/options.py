"""The options of a configuration group, as the running application sees them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import hydra.utils
from hydra.core.config_loader import ConfigLoader
from hydra.types import RunMode

from bakeoff.module.loss_arguments import kind_of_class


def losses_for(task: str, loader: ConfigLoader) -> list[str]:
    """Names in the group `loss` whose class fits a task."""
    return [name for name in loader.get_group_options("loss") if _task_of(name, loader) in (None, task)]


@lru_cache(maxsize=64)  # a sweep may be refused for this a hundred times
def _task_of(loss: str, loader: ConfigLoader) -> str | None:
    config = loader.load_configuration("bakeoff", [f"loss={loss}"], run_mode=RunMode.RUN)
    target: Any = hydra.utils.get_object(config.loss._target_)
    return kind_of_class(target)
