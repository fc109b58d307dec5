"""The tab in TensorBoard that compares the arms of a sweep.

`plugin` is what TensorBoard loads; it serves `static`, the page, and the JSON that `bakeoff.report` makes for it.
Imports no torch and no Lightning: TensorBoard starts as quickly as without it.
"""

from bakeoff.tab.plugin import BakeoffPlugin

__all__ = ["BakeoffPlugin"]
