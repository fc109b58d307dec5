"""What decides the result of a run, taken out of its settings."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import hydra.utils

from bakeoff.runs import find_metric, identity_of
from bakeoff.train.settings import PARTS, Settings

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


def identity_by_seed(settings: Settings, data_digest: str | None = None) -> Callable[[int], str]:
    """Seed -> identity of the run with these settings and that seed. The content of the data decides, not its path.

    Args:
        settings: the run's.
        data_digest: a hash of the content of the data; for a user's own data set, where there is none, its settings
            must do.

    """
    plain = settings.as_dict()
    decisive = {key: plain[key] for key in DECISIVE}
    decisive["precision"] = settings.trainer.precision
    decisive["compile"] = settings.trainer.compile
    if settings.early_stopping.patience is not None:
        decisive["metric"] = settings.metric  # its best value decides when a run ends
        if settings.metric_direction is not None and find_metric(settings.metric) is None:
            decisive["metric_direction"] = settings.metric_direction
    decisive["data"] = data_digest or plain["data"]
    decisive["sources"] = {target: _hash_of_source(target) for target in _own_targets(settings)}
    return cache(lambda seed: identity_of(decisive, seed))


def own_sources(settings: Settings) -> list[str]:
    """The files that define the user's own classes: they decide the result as settings do."""
    return sorted({file for target in _own_targets(settings) if (file := _source_file(target))})


def _own_targets(settings: Settings) -> list[str]:
    """Every `_target_` of a package whose version nothing states."""
    targets = set(_targets([settings.part(part) for part in PARTS] + list(settings.callbacks.values())))
    return sorted(target for target in targets if target.split(".")[0] not in PACKAGES_BY_VERSION)


def _targets(node: Any) -> Iterator[str]:
    """Those in a configuration, however deep."""
    if isinstance(node, Mapping):
        if node.get("_target_"):
            yield str(node["_target_"])
        yield from _targets(list(node.values()))
    elif isinstance(node, list):
        for item in node:
            yield from _targets(item)


def _hash_of_source(target: str) -> str:
    file = _source_file(target)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""


def _source_file(target: str) -> str | None:
    module = inspect.getmodule(hydra.utils.get_object(target))
    file: str | None = getattr(sys.modules.get(module.__name__), "__file__", None) if module else None
    return file
