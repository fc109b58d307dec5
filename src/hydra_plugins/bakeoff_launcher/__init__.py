"""The hook by which Hydra finds our launcher: `hydra/launcher=bakeoff`. It changes nothing in other applications."""

from hydra.core.config_store import ConfigStore

from bakeoff.launch.launcher import SweepLauncher


class BakeoffLauncher(SweepLauncher):
    """The launcher under the name that Hydra's plugin rules ask for."""


ConfigStore.instance().store(
    group="hydra/launcher",
    name="bakeoff",
    node={
        "_target_": "hydra_plugins.bakeoff_launcher.BakeoffLauncher",
        "engine": "local",
        "ray": {},
        "submitit": {},
    },
    provider="bakeoff",
)
