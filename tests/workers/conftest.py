"""The command line, as fixtures."""

from ..command_line import bakeoff, outcomes, trained

__all__ = ["bakeoff", "outcomes", "trained"]
