"""What TensorBoard shows of a whole sweep, beside its runs: written from their folders, without torch.

`overview` keeps it up to date; `columns` are those of HParams, `bands` and `axes` make the aggregate runs, `layout` is
that of Custom Scalars, `rewrite` replaces event files, `link` gives the addresses to open.
"""

from bakeoff.overview.link import comparison, time_series
from bakeoff.overview.overview import Overview

__all__ = ["Overview", "comparison", "time_series"]
