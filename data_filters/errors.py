"""The error for mistakes in what the user gave. This module imports nothing, so every other module may import it."""


class InputError(ValueError):
    """The user's input or configuration is wrong.

    The message is one line: the field, the value received, what is allowed, and how to correct it.
    """
