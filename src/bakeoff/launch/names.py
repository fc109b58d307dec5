"""Lets the runs of a multirun be named by what differs between them."""

from __future__ import annotations

from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from bakeoff.runs import alike_in


class NameWhatDiffers(Callback):
    """A Hydra callback that leaves what one command gives to all its runs out of their folders' names.

    It uses Hydra's own option for that, so every launcher, ours or another, composes the same names.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Called by Hydra before the sweeper composes the first job."""
        own = list(config.hydra.job.config.override_dirname.exclude_keys)
        keys = dict.fromkeys([*own, *alike_in(config.hydra.overrides.task)])
        if keys:
            quoted = ",".join("'{}'".format(key.replace("'", "\\'")) for key in keys)
            with read_write(config):
                config.hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{quoted}]")
