"""What TensorBoard reads: event files and what stands in them. `logger` is Lightning's way to them."""

from bakeoff.tensorboard.events import EventFile

__all__ = ["EventFile"]
