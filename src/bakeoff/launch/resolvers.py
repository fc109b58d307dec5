"""The two things that a configuration of ours can compute: a default budget, and the name of the arm's folder.

Registered by the application in every process that composes configurations; imports no torch.
"""

from __future__ import annotations

from typing import Any

from omegaconf import Container, DictConfig, OmegaConf

from bakeoff.runs import arm_of, default_folder_name


def register_resolvers() -> None:
    """Makes `${bakeoff.unless_given:...}` and `${bakeoff.arm:}` known to OmegaConf."""
    OmegaConf.register_new_resolver("bakeoff.unless_given", _unless_given, replace=True)
    OmegaConf.register_new_resolver("bakeoff.arm", _arm, replace=True)


def _unless_given(default: Any, *siblings: str, _parent_: Container) -> Any:
    """The default, unless a sibling has a value: `budget.steps=500` then clears the default of `budget.epochs`."""
    assert isinstance(_parent_, DictConfig)
    return None if any(_parent_.get(sibling) is not None for sibling in siblings) else default


def _arm(*, _root_: Container) -> str:
    """The name of the arm's folder, from the overrides alone; `train.run_folder` knows which folders there are."""
    assert isinstance(_root_, DictConfig)
    arm = arm_of(list(_root_.hydra.overrides.task))
    constant = _root_.hydra.job.config.override_dirname.exclude_keys
    return default_folder_name(arm, constant)
