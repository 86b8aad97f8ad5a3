"""The one error for what a user has to mend: the lowest module of the project, which imports nothing."""


class InputError(ValueError):
    """The user's input or config is wrong. One line: what was received, what is allowed, how to mend."""
