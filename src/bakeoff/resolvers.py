"""The two things that a configuration of ours can compute: a default budget, and the name of the arm's folder."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf

from bakeoff.errors import UserError
from bakeoff.runs import arm_folder, arm_of


def register_resolvers() -> None:
    """Makes `${bakeoff.unless_given:...}` and `${bakeoff.arm:}` known to OmegaConf."""
    OmegaConf.register_new_resolver("bakeoff.unless_given", _unless_given, replace=True)
    OmegaConf.register_new_resolver("bakeoff.arm", _arm, replace=True)


def _unless_given(default: Any, *, _parent_: Container) -> Any:
    """The default, unless a sibling has a value: `budget.steps=500` then clears the default of `budget.epochs`."""
    assert isinstance(_parent_, DictConfig)
    units = ("epochs", "steps", "samples", "seconds")
    given = [u for u in units if not OmegaConf.is_interpolation(_parent_, u) and _parent_.get(u) is not None]
    return None if given else default


def _arm(*, _root_: Container) -> str:
    """The folder name of the arm, told apart from older runs of another identity in the same sweep."""
    assert isinstance(_root_, DictConfig)
    overrides = list(_root_.hydra.overrides.task)

    @cache
    def by_seed() -> Callable[[int], str]:
        from bakeoff.train.identity import identity_by_seed  # imports torch: only where a run will follow
        from bakeoff.train.settings import settle

        return identity_by_seed(settle(_root_, overrides))

    def identity(seed: int) -> str:  # asked once for each arm that is there: what it needs is settled once
        return by_seed()(seed)

    sweep, arm = Path(str(_root_.root)) / str(_root_.sweep), arm_of(overrides)
    alike = list(_root_.hydra.job.config.override_dirname.exclude_keys)
    try:
        return arm_folder(sweep, arm, identity, alike)
    except UserError:  # the run itself will say the same, better
        return arm_folder(Path(), arm, identity, alike)
