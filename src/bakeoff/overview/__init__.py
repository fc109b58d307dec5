"""What TensorBoard shows of a whole sweep, beside its runs: written from their folders, without torch.

`overview` keeps it up to date, `columns` are those of HParams, `bands` and `axes` the aggregate runs, `layout` that of
Custom Scalars, `link` the addresses to open.
"""

from bakeoff.overview.link import comparison, time_series
from bakeoff.overview.overview import Overview

__all__ = ["Overview", "comparison", "time_series"]
