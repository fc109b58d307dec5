"""What decides the result of a run, taken out of its settings."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import hydra.utils

from bakeoff.data import adopt
from bakeoff.runs import identity_of
from bakeoff.train.parts import load
from bakeoff.train.settings import PARTS

DECISIVE = (
    "model",
    "loss",
    "optimizer",
    "schedule",
    "batch_size",
    "budget",
    "clip",
    "early_stopping",
    "callbacks",
)
PACKAGES_BY_VERSION = ("bakeoff", "torch", "torchvision", "lightning", "sklearn")


def identity_by_seed(settings: Mapping[str, Any]) -> Callable[[int], str]:
    """Seed -> identity of the run with these settings and that seed. Reads the data: content decides, not its path.

    Raises:
        UserError: the data cannot be read.

    """
    decisive = {key: settings[key] for key in DECISIVE}
    decisive["precision"] = settings["trainer"]["precision"]
    decisive["compile"] = settings["trainer"]["compile"]
    decisive["data"] = _data_digest(settings)
    decisive["sources"] = _sources([settings[part] for part in PARTS] + list(settings["callbacks"].values()))
    return lambda seed: identity_of(decisive, seed)


def _data_digest(settings: Mapping[str, Any]) -> Any:
    """The content where it can be hashed; for a user's own data set its settings must do."""
    _, spec = adopt(load(settings["data"]), batch_size=settings["batch_size"], seed=settings["seed"])
    return spec.digest or settings["data"]


def _sources(parts: list[Mapping[str, Any]]) -> dict[str, str]:
    """Target -> hash of the file that defines it, for classes whose version no package states."""
    targets = {str(part["_target_"]) for part in parts if part.get("_target_")}
    own = sorted(target for target in targets if target.split(".")[0] not in PACKAGES_BY_VERSION)
    return {target: _hash_of_source(target) for target in own}


def _hash_of_source(target: str) -> str:
    module = inspect.getmodule(hydra.utils.get_object(target))
    file = getattr(sys.modules.get(module.__name__), "__file__", None) if module else None
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
