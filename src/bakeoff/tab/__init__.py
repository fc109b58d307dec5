"""The tab in TensorBoard that compares the arms of a sweep.

`plugin` is what TensorBoard loads, `sweeps` finds and reads the sweeps of a logdir, `about` and `numbers` say what the
page asks for, and `static` is the page. Imports no torch and no Lightning: TensorBoard starts as quickly as without it.
"""
