"""The hook by which Hydra finds our sweeper. `conf/hydra/sweeper` configures it; other applications are unchanged."""

from bakeoff.launch.sweeper import ProductSweeper


class BakeoffSweeper(ProductSweeper):
    """The sweeper under the name that Hydra's plugin rules ask for."""
