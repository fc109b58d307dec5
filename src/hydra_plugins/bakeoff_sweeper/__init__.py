"""The hook by which Hydra finds our sweeper: `hydra/sweeper=bakeoff`. It changes nothing in other applications."""

from hydra.core.config_store import ConfigStore

from bakeoff.launch.sweeper import ProductSweeper


class BakeoffSweeper(ProductSweeper):
    """The sweeper under the name that Hydra's plugin rules ask for."""


ConfigStore.instance().store(
    group="hydra/sweeper",
    name="bakeoff",
    node={"_target_": "hydra_plugins.bakeoff_sweeper.BakeoffSweeper", "max_batch_size": None, "params": None},
    provider="bakeoff",
)
