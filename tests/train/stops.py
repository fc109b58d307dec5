"""A stop of a run that comes when a test wants it."""

from bakeoff.runs import StopRequest


class StopsAfter(StopRequest):
    """Requests a stop after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    @property
    def requested(self):
        self.left -= 1
        return self.left <= 0
