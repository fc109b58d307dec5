"""Settings that change what is kept of a run, but not its result: a finished run keeps what it was trained with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CHECKPOINTS: dict[str, set[str]] = {"none": set(), "last": {"last"}, "best": {"best"}, "all": {"last", "best"}}


def not_kept(runs: Iterable[tuple[Path, Sequence[str]]]) -> list[str]:
    """What commands ask for that finished runs were not trained with, each once.

    Args:
        runs: the folders of finished runs, and the overrides of the commands that ask for them now.

    """
    return list(dict.fromkeys(text for folder, overrides in runs for text in _not_kept(folder, overrides)))


def _not_kept(folder: Path, overrides: Sequence[str]) -> list[str]:
    asked = {key: value.strip("'\"") for key, _, value in (text.partition("=") for text in overrides)}
    metrics = _metrics_in(asked)
    if not metrics and not asked.keys() & {"log", "checkpoints", "metric"}:
        return []
    had = _configuration(folder)
    kept = CHECKPOINTS.get(had.get("checkpoints", ""), set())
    found = ["log=full"] if asked.get("log") == "full" != had.get("log", "full") else []
    if not CHECKPOINTS.get(asked.get("checkpoints", "none"), set()) <= kept:
        found.append(f"checkpoints={asked['checkpoints']}")
    if "best" in kept and asked.get("metric", had.get("metric")) != had.get("metric"):
        found.append(f"best.ckpt by {asked['metric']}")
    return found + [f"metrics.{name}" for name in metrics if name not in had.get("metrics", {})]


def _metrics_in(asked: Mapping[str, str]) -> list[str]:
    """The names of metrics in `metrics=[f1,auroc]` and `metrics.f1.average=macro`."""
    listed = asked.get("metrics", "").strip("[]").split(",")
    single = [key.lstrip("+").split(".")[1] for key in asked if key.lstrip("+").startswith("metrics.")]
    return list(dict.fromkeys(name.strip() for name in [*listed, *single] if name.strip()))


def _configuration(folder: Path) -> Mapping[str, Any]:
    """That a run was trained with; nothing, where it cannot be read."""
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(folder / ".hydra" / "config.yaml"), resolve=False)
    except Exception:  # whatever YAML or the file system says of a damaged file: the run's record is there
        return {}
    return config if isinstance(config, dict) else {}
