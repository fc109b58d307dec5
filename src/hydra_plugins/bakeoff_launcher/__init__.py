"""The hook by which Hydra finds our launcher. `conf/hydra/launcher` configures it; other applications are unchanged."""

from bakeoff.launch.launcher import SweepLauncher


class BakeoffLauncher(SweepLauncher):
    """The launcher under the name that Hydra's plugin rules ask for."""
