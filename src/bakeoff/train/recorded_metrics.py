"""Refuses to take a record for a run that measures something else by the same name.

What a user names in the group `metrics` trains nothing, and is no part of a run's identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from bakeoff.errors import UserError


def check_recorded_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Compares the metrics that are asked for with those of the same name that the run in `folder` was trained with.

    Raises:
        UserError: they are others; says how.

    """
    recorded = _recorded(folder) if metrics else {}
    for name, node in metrics.items():
        had = recorded.get(name)
        if isinstance(had, Mapping) and dict(had) != dict(node):
            keys = sorted(key for key in {*had, *node} if had.get(key) != node.get(key))
            shown = ", ".join(f"{key}={had.get(key)}" for key in keys)
            raise UserError(
                f"metrics.{name}: the run in {folder} measured another one by that name ({shown}); give it another "
                "name, or train again by reuse=never"
            )


def _recorded(folder: Path) -> Mapping[str, Any]:
    """Nothing, where it cannot be read."""
    try:
        config: Any = OmegaConf.load(folder / ".hydra" / "config.yaml")
        found: Any = OmegaConf.to_container(config.get("metrics") or OmegaConf.create({}), resolve=True)
    except Exception:  # whatever YAML, OmegaConf or the file system says of a damaged file: the run's record is there
        return {}
    return found if isinstance(found, dict) else {}
