"""What Hydra must know in every process that composes configurations of ours. Imports no torch.

Two things that a configuration can compute, a default budget and the name of the arm's folder; and the groups whose
keys are a user's own classes to name, so that `module.lr=0.1` needs no `+`.
"""

from __future__ import annotations

from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import Container, DictConfig, OmegaConf

from bakeoff.runs import arm_of, default_folder_name

OPEN_GROUPS = ("module", "callbacks", "metrics", "param_groups", "schedules")


def register_with_hydra() -> None:
    """Makes `${bakeoff.unless_given:...}`, `${bakeoff.arm:}` and the node `open_groups` known."""
    OmegaConf.register_new_resolver("bakeoff.unless_given", _unless_given, replace=True)
    OmegaConf.register_new_resolver("bakeoff.arm", _arm, replace=True)
    ConfigStore.instance().store("open_groups", _open_groups())


def _open_groups() -> DictConfig:
    """First in the defaults of `bakeoff.yaml`: what is merged into such a node may have any keys."""
    node = OmegaConf.create({group: {} for group in OPEN_GROUPS})
    for group in OPEN_GROUPS:
        OmegaConf.set_struct(node[group], False)
    return node


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
