"""Hydra's own sweeper composes every job before the launcher does; ours leaves it to a launcher that does it once."""

from __future__ import annotations

from collections.abc import Sequence

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

from bakeoff.launch.launcher import SweepLauncher


class ProductSweeper(BasicSweeper):
    """Every combination of the values between commas."""

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """Called by Hydra before the launcher: composes the jobs, unless the launcher refuses bad ones itself."""
        if not isinstance(self.launcher, SweepLauncher):
            super().validate_batch_is_legal(batch)
