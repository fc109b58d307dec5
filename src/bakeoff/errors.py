"""The one exception for what a user can repair: its message is shown alone, without a stack trace."""


class UserError(Exception):
    """A mistake in a command, a configuration or a data file; the message names the remedy."""
