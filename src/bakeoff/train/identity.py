"""What decides the result of a run, taken out of its settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from bakeoff.runs import find_metric, identity_of
from bakeoff.runs.metrics import EMA
from bakeoff.runs.module_specs import STATED_PACKAGES
from bakeoff.runs.modules import own_modules
from bakeoff.train.settings import FSDP, PARTS, Settings

DECISIVE = (  # beside the parts that are trained
    "batch_size",
    "budget",
    "clip",
    "early_stopping",
    "callbacks",
)
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def identity_by_seed(
    settings: Settings,
    data: Any = None,
    modules: Mapping[str, str] | None = None,
    *,
    parts: Iterable[str] = ("model", "loss", "optimizer", "schedule"),
    drops_samples: bool = False,
    reads_in_workers: bool = False,
    files: Mapping[str, str] | None = None,
) -> Callable[[int], str]:
    """Seed -> identity of the run with these settings and that seed. The content of the data decides, not its path.

    Args:
        settings: the run's.
        data: what identifies the data (`bakeoff.train.data_source.DataIdentity`); None for its settings.
        modules: `own_modules` of the names in the settings; None to look now.
        parts: those that are trained, beside the data.
        drops_samples: whether an epoch leaves out the samples of an incomplete last batch.
        reads_in_workers: whether processes read the samples; however many they are, a sample draws the same.
        files: the content of files that other settings name, by key.

    """
    plain = settings.as_dict()
    decisive = {key: plain[key] for key in (*parts, *DECISIVE)}
    decisive["precision"] = settings.trainer.precision
    decisive["compile"] = settings.trainer.compile
    if settings.trainer.accumulate_grad_batches != 1:  # else it has the identity of before there was this
        decisive["accumulate_grad_batches"] = settings.trainer.accumulate_grad_batches
    if settings.param_groups:
        decisive["param_groups"] = plain["param_groups"]
    if settings.scheduled_options:
        decisive["schedules"] = settings.scheduled_options
    if settings.early_stopping.patience is not None:
        decisive["metric"] = settings.metric  # its best value decides when a run ends
        named = settings.metric.removeprefix("val/").removeprefix(f"{EMA}/")
        if named in settings.metrics:
            decisive["metrics"] = settings.metrics[named]
        if settings.metric_direction is not None and find_metric(settings.metric) is None:
            decisive["metric_direction"] = settings.metric_direction
    if settings.ema.decay is not None:
        decisive["ema"] = settings.ema.decay  # it is measured, and may be what ends the run
    if settings.task.class_axis is not None:
        decisive["class_axis"] = settings.task.class_axis
    if settings.callbacks and settings.metrics:  # one of them may end the run
        decisive["metrics"] = settings.metrics
    seeds = {"init_seed": settings.init_seed, "data_seed": settings.data_seed}
    decisive |= {key: seed for key, seed in seeds.items() if seed is not None}
    decisive["data"] = data or plain["data"]
    if settings.trainer.devices > 1:
        decisive["devices"] = settings.trainer.devices
        if settings.trainer.strategy == FSDP:  # its sums are in another order than those of ddp
            decisive["strategy"] = FSDP
    if drops_samples:
        decisive["drop_last"] = True
    if reads_in_workers:
        decisive["reads_in_workers"] = True
    if files:
        decisive["files"] = dict(files)
    decisive["sources"] = dict(own_modules(own_names(settings)) if modules is None else modules)
    return cache(lambda seed: identity_of(decisive, seed))


def own_names(settings: Settings) -> list[str]:
    """Every dotted text in parts and callbacks that may name a class, function or module of a user's.

    `_target_` is one of them; `path` of `hydra.utils.get_class` and the name of a class that a net imports are others.
    """
    nodes = [settings.part(part) for part in PARTS] + list(settings.callbacks.values())
    nodes += list(settings.metrics.values()) + list(settings.scheduled_options.values())
    found = {text for text in _texts(nodes) if _DOTTED.fullmatch(text) and not os.path.exists(text)}
    return sorted(text for text in found if text.partition(".")[0] not in STATED_PACKAGES)


def _texts(node: Any) -> Iterator[str]:
    """Those in a configuration, however deep."""
    if isinstance(node, Mapping):
        yield from _texts(list(node.values()))
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)
    elif isinstance(node, str):
        yield node
