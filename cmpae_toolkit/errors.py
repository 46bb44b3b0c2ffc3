"""The one error that the toolkit raises for bad input, and the one warning for input that it can skip."""


class InputError(ValueError):
    """Input that cannot be used. The message is one sentence: which file and row, what is wrong, what to do."""


class InputWarning(UserWarning):
    """Input that was skipped or repaired; the message says how many and which first."""
