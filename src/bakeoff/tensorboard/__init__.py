"""What TensorBoard reads: event files, and the Lightning logger that writes them."""

from bakeoff.tensorboard.events import EventFile
from bakeoff.tensorboard.logger import EventLogger

__all__ = ["EventFile", "EventLogger"]
