"""The error for mistakes that the user has to mend. This module imports nothing, so that every other may import it."""


class InputError(ValueError):
    """The user's input or config is wrong. One line: what was received, what is allowed, how to mend."""
