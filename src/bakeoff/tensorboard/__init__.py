"""What TensorBoard reads: event files and their records.

`events` writes a file, `tfrecord` frames its records, `summaries` and `hparams` make what they hold, `pictures` draws.
"""

from bakeoff.tensorboard.events import EventFile

__all__ = ["EventFile"]
