"""Every choice and hyperparameter of a run as one flat mapping, for TensorBoard's table of runs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bakeoff.train.settings import Settings

TRAINED = ("data", "model", "loss", "optimizer", "schedule")  # by our module
GROUPS = ("budget", "clip", "early_stopping", "ema", "task", "trainer")
# Where data lies and how progress is shown: nothing that is compared.
LEFT_OUT = frozenset({"data.root", "data.download", "trainer.log_every_n_steps", "trainer.sample_every_n_steps"})
ALWAYS_TEXT = frozenset({"trainer.precision"})  # 32 and bf16-mixed share a column
CLASS_KEYS = ("_target_", "_partial_", "_args_", "_convert_", "_recursive_")


def hyperparameters(
    settings: Settings, choices: Mapping[str, str | None], n_train: int | None = None, parts: Iterable[str] = TRAINED
) -> dict[str, float | bool | str]:
    """Name -> value: `optimizer: adam`, `optimizer.lr: 0.01`, `batch_size: full`, `samples_per_step: 1077`.

    Args:
        settings: the run's.
        choices: group -> option chosen; a part that is not among them goes by the name of its class.
        n_train: training examples in an epoch, where that is known.
        parts: those that the run is made of.

    Numbers stay numbers and text stays text, so that no name is both; a list is text, as a number is that is not
    finite; what is null is left out.

    """
    found: dict[str, Any] = {part: choices.get(part) or _class_name(settings.part(part)) for part in parts}
    found["batch_size"] = str(settings.batch_size)
    found["samples_per_step"] = _samples_per_step(settings.samples_per_step, n_train)
    found["init_seed"], found["data_seed"] = settings.init_seed, settings.data_seed
    plain = settings.as_dict()
    for group in (*parts, *GROUPS):
        found.update(_leaves(group, plain[group]))
    found.update(_leaves("schedules", settings.scheduled_options))
    if settings.trainer.devices == 1:
        del found["trainer.devices"], found["trainer.strategy"]
    found["param_groups"] = _groups_of_parameters(settings, choices.get("param_groups"))
    found.update(_leaves("param_groups", plain["param_groups"]))
    found["callbacks"] = ", ".join(settings.callbacks) or None  # their names: what is inside them is theirs
    return {name: value for name, value in found.items() if value is not None and name not in LEFT_OUT}


def _groups_of_parameters(settings: Settings, choice: str | None) -> str | None:
    """The option chosen; the names of the groups, where there are some and none of ours was chosen."""
    return choice if choice != "all" and choice is not None else ", ".join(settings.param_groups) or choice


def _samples_per_step(asked: int | str, n_train: int | None) -> int | None:
    if asked == "full":
        return n_train
    return int(asked) if n_train is None else min(int(asked), n_train)


def _leaves(prefix: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        name = f"{prefix}.{key}"
        if key in CLASS_KEYS:
            continue
        if isinstance(value, Mapping):
            if value.get("_target_"):
                yield name, _class_name(value)
            yield from _leaves(name, value)
        else:
            yield name, str(value) if name in ALWAYS_TEXT and value is not None else _to_hparam(value)


def _to_hparam(value: Any) -> float | bool | str | None:
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) <= sys.float_info.max else str(value)  # TensorBoard's page is JSON, which has no inf
    return json.dumps(value, default=str) if isinstance(value, (list, tuple)) else str(value)


def _class_name(node: Mapping[str, Any]) -> str | None:
    target = node.get("_target_")
    return str(target).rsplit(".", 1)[-1] if target else None
