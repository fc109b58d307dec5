"""A stop of a run that comes when a test wants it."""

from bakeoff.train.stopping import Stopping


class StopsAfter(Stopping):
    """Asks for a stop after so many steps."""

    def __init__(self, steps):
        self.left = steps

    @property
    def asked(self):
        self.left -= 1
        return self.left <= 0
