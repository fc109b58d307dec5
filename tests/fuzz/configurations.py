"""Commands at random, their keys and values drawn from `conf/`: options, settings, values of a wrong kind, typos."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import yaml

GROUPS = ("data", "model", "loss", "optimizer", "schedule", "budget", "trainer", "experiment")
WEIGHTS = {
    "resnet18": 0.02,
    "gpu": 0.1,
    "cnn": 0.5,
    "mnist": 0.1,
    "fashion_mnist": 0.1,
    "cifar10": 0.1,
    "array": 0.3,
    "bce": 0.1,
    "muon": 0.3,
    "split": 0.05,
}
NOT_DRAWN = ("trainer.devices", "trainer.strategy")  # each such run starts processes
INVENTED = ("zz", "lrr", "max_epochs", "warm_up", "Momentum", "accumulate_gradients")
BY_KIND: Mapping[type, tuple[str, ...]] = {
    bool: ("true", "false", "true", "false", "1", "null", "yes", "[true]"),
    int: ("0", "1", "2", "3", "7", "64", "-1", "1.5", "null", "full", "abc", "true", "1e9", "[1]", "inf"),
    float: ("0", "0.1", "0.5", "1", "0.9", "1e-3", "0.01", "-0.1", "1.5", "1e30", "inf", "nan", "null", "abc", "true",
            "[0.1]", "{a:1}", "1e-300"),
    str: ("abc", "null", "3", "''", "true", "[a]", "{a:1}", "val/loss", "../x", "'a b'"),
    list: ("[]", "[1]", "[8,4]", "[0.9,0.99]", "[0]", "[-1]", "[1.5]", "[null]", "3", "abc", "[[1]]", "null",
           "[0.5,0.75]", "[nan,0.9]", "[0.2,0.1]", "[1,1]"),
    type(None): ("null", "1", "0.5", "0", "-1", "abc", "true", "[1]", "2.5", "3", "nan", "inf"),
}  # fmt: skip
# What a careful user types, so that enough of the commands can be trained.
SENSIBLE: Mapping[str, tuple[str, ...]] = {
    "batch_size": ("1", "16", "128", "full", "2000"),
    "seed": ("0", "1", "4294967295"),
    "init_seed": ("null", "1"),
    "data_seed": ("null", "2"),
    "reuse": ("always", "known", "never"),
    "retry": ("null", "failed"),
    "clip.norm": ("1.0", "0.5"),
    "clip.value": ("0.1", "1"),
    "budget.validations": ("1", "2", "50"),
    "early_stopping.patience": ("1", "2"),
    "early_stopping.min_delta": ("0.0", "0.1"),
    "checkpoint_every": ("0", "10"),
    "checkpoints": ("all", "best", "last", "none"),
    "log": ("default", "full"),
    "metric": ("val/loss", "val/accuracy", "val/nll", "val/rmse", "val/r2"),
    "metric_direction": ("min", "max", "null"),
    "trainer.precision": ("32-true", "64-true", "bf16-true", "bf16-mixed", "32", "64", "16-true", "16-mixed"),
    "trainer.threads": ("1", "2", "null"),
    "trainer.compile": ("false",),
    "trainer.accumulate_grad_batches": ("1", "2", "4"),
    "trainer.log_every_n_steps": ("1", "2", "10"),
    "trainer.sample_every_n_steps": ("1", "2", "50"),
    "tuning_note": ("abc",),
}


class Command(NamedTuple):
    """`invented` are the keys in it that nothing has."""

    overrides: tuple[str, ...]
    invented: tuple[str, ...]


class Generator:
    """Draws commands; the same number gives the same command."""

    def __init__(self, conf: Path) -> None:
        self._options = {
            group: {path.stem: _read(path) for path in sorted((conf / group).glob("*.yaml"))} for group in GROUPS
        }
        top = _read(conf / "bakeoff.yaml")
        nested = {f"{g}.{k}": v for g in ("clip", "early_stopping") for k, v in top[g].items()}
        left_out = ("defaults", "sweep", "root")
        flat = {k: v for k, v in top.items() if not isinstance(v, dict) and k not in left_out}
        self._top: dict[str, Any] = flat | nested

    def command(self, number: int) -> Command:
        """A few choices, a few settings, and often a mistake."""
        draw = Random(number)
        chosen = {group: self._option(group, draw) for group in GROUPS[:5] if draw.random() < 0.5}
        if chosen.get("data") == "diabetes" and draw.random() < 0.8:
            chosen["loss"] = draw.choice(("mse", "huber", "absolute_error"))
        overrides = [f"{group}={option}" for group, option in chosen.items()]
        keys = self._keys(chosen)
        for key in draw.sample(sorted(keys), draw.choice((0, 1, 1, 2, 2, 3))):
            overrides.append(f"{key}={self._value(key, keys[key], draw)}")
        invented: list[str] = []
        if draw.random() < 0.2:
            overrides.append(self._mistake(draw, invented))
        if not any("budget" in override for override in overrides) or draw.random() < 0.5:
            overrides.append(f"budget.steps={draw.choice((1, 2, 3))}")
        draw.shuffle(overrides)
        return Command(tuple(overrides), tuple(invented))

    def _option(self, group: str, draw: Random) -> str:
        names = list(self._options[group])
        return draw.choices(names, [WEIGHTS.get(name, 1.0) for name in names])[0]

    def _keys(self, chosen: Mapping[str, str]) -> dict[str, Any]:
        """Key -> default, of what the command can set."""
        keys = dict(self._top)
        defaults = {
            "data": "digits",
            "model": "mlp",
            "loss": "cross_entropy",
            "optimizer": "sgd",
            "schedule": "constant",
        }
        for group, option in {**defaults, "budget": "epochs", "trainer": "cpu", **chosen}.items():
            keys |= dict(_leaves(group, self._options[group][option]))
        return {key: value for key, value in keys.items() if key not in NOT_DRAWN}

    def _value(self, key: str, default: Any, draw: Random) -> str:
        if draw.random() < 0.65:
            if key in SENSIBLE:
                return draw.choice(SENSIBLE[key])
            if isinstance(default, float) and not isinstance(default, bool):
                return repr(default * draw.choice((0.5, 1, 2)))
            if isinstance(default, str) and "${" not in default:
                return default
        return draw.choice(BY_KIND[type(default)])

    def _mistake(self, draw: Random, invented: list[str]) -> str:
        """A key that nothing has, one of another option, a removed key, an option that is not there."""
        kind = draw.randrange(6)
        if kind == 0:
            key = draw.choice(INVENTED)
            invented.append(key)
            return f"{draw.choice(('+', '++'))}{key}={draw.choice(BY_KIND[int])}"
        if kind == 1:
            group = draw.choice((*GROUPS[:7], "clip", "early_stopping"))
            key = f"{group}.{draw.choice(INVENTED)}"
            invented.append(key)
            return f"{draw.choice(('+', '++', ''))}{key}={draw.choice(BY_KIND[float])}"
        if kind == 2:
            group = draw.choice(GROUPS[:5])
            option = self._options[group][draw.choice(list(self._options[group]))]
            key = draw.choice(list(option))
            return f"{draw.choice(('+', '++', ''))}{group}.{key}={draw.choice(BY_KIND.get(type(option[key]), ('1',)))}"
        if kind == 3:
            return (
                f"~{draw.choice([*self._top, 'trainer.precision', 'budget.steps', 'schedule', 'optimizer.lr', 'data'])}"
            )
        if kind == 4:
            return f"{draw.choice(GROUPS)}={draw.choice(('abc', 'null', 'mlpp', '[]', '{a:1}', '1', 'adm'))}"
        return draw.choice(
            ("clip={norm:1.0}", "budget={steps:2}", "optimizer={lr:0.1}", "trainer={threads:1}", "clip=null")
        )


def _leaves(prefix: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}.{key}", value)
        elif key[0] != "_":
            yield f"{prefix}.{key}", value


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return content
