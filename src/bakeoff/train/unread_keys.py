"""Refuses keys that nothing reads: who sets one would believe that it does something.

Read are the keys of `Settings`, those that the launcher reads, and what an interpolation of a read key names, so that
`+width=32 model.widths=[${width}]` works. What stands beside a `_target_` goes to that class, which refuses what it
does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from bakeoff.errors import UserError, did_you_mean
from bakeoff.runs.execution import LAUNCH_KEYS
from bakeoff.train.settings import OUR_MODULE, PARTS, Settings

KNOWN = frozenset({field.name for field in fields(Settings)} | LAUNCH_KEYS | {"hydra"})
INSTANTIATE_KEYS = frozenset({"_target_", "_partial_", "_args_", "_convert_", "_recursive_"})  # Hydra's own
# `${width}`, `${rates.sgd}`, and as far as it is constant, `${rates.${name}}`; not the resolver in `${oc.env:HOME}`
_REFERENCE = re.compile(r"\$\{\s*([A-Za-z_]\w*(?:\.\w+)*)\.?\s*(?=\}|\$\{|\[)")


def refuse_unread_keys(config: DictConfig) -> None:
    """Refuses a key at the top, and a setting of a part without a class, that nothing reads.

    Raises:
        UserError: names the key, and what is like it.

    """
    plain: Any = OmegaConf.to_container(config, resolve=False)
    own = {str(key): node for key, node in plain.items() if key not in KNOWN}
    if own:
        read = set(_references([node for key, node in plain.items() if key in KNOWN])) | set(_references(_of_hydra()))
        for leaf in _leaves("", own):
            if not any(leaf == name or leaf.startswith(f"{name}.") for name in read):
                raise UserError(f"nothing reads {leaf}{did_you_mean(leaf, sorted(KNOWN))}; remove it")
    module = plain.get("module")
    if isinstance(module, dict) and module.get("_target_") == OUR_MODULE:
        for key in module.keys() - INSTANTIATE_KEYS:
            raise UserError(
                f"nothing reads module.{key}: module=supervised is made of model, loss and optimizer; give "
                "module._target_=package.module.Class for a LightningModule of your own"
            )
    for part in PARTS:
        node = plain.get(part)
        if isinstance(node, dict) and node.get("_target_") is None:
            for key in node:
                if key not in INSTANTIATE_KEYS:
                    raise UserError(f"nothing reads {part}.{key}: this {part} has no class; choose another {part}=...")


def _of_hydra() -> Any:
    """Hydra's own configuration, which may name keys of ours, where there is one."""
    hydra: Any = HydraConfig.instance().cfg
    return None if hydra is None else OmegaConf.to_container(hydra, resolve=False)


def _references(node: Any) -> Iterator[str]:
    """The keys that interpolations name, from the top of the configuration."""
    if isinstance(node, dict):
        for inner in node.values():
            yield from _references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _references(inner)
    elif isinstance(node, str):
        yield from _REFERENCE.findall(node)


def _leaves(prefix: str, node: Any) -> Iterator[str]:
    if isinstance(node, dict) and node:
        for key, inner in node.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else str(key), inner)
    else:
        yield prefix
