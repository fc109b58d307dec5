"""Hydra's own sweeper composes every job, and writes, before the launcher looks; ours leaves both to our launcher."""

from __future__ import annotations

from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser

from bakeoff.launch.launcher import SweepLauncher


class ProductSweeper(BasicSweeper):
    """Every combination of the values between commas."""

    def sweep(self, arguments: list[str]) -> Any:
        """Called by Hydra. A command that is refused, or only asks what it would do, leaves nothing behind."""
        if not isinstance(self.launcher, SweepLauncher):
            return super().sweep(arguments)
        self.launcher.all_or_nothing = True
        assert self.config is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        returns, number = [], 0
        size = None if self.config.dry_run else self.max_batch_size
        try:
            for batch in self.split_arguments(overrides, size):
                returns.append(self.launcher.launch(batch, initial_job_idx=number))
                number += len(batch)
        finally:
            self.launcher.close()
        return returns
