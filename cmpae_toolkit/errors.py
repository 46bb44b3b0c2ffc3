"""The one error that the toolkit raises for bad input, and the one warning for input that it can skip."""

import re

OPTIONS = ("missing", "eval_audio", "leaks", "repeated", "background", "snippet_seconds", "overwrite", "networks")
_OPTION = re.compile(rf"\b({'|'.join(OPTIONS)})=(?:'([^']*)'|(True|\d+(?:\.\d+)?)\b)")


class InputError(ValueError):
    """Input that cannot be used. The message is one sentence: which file and row, what is wrong, what to do.

    `details` holds every such sentence where a reader found several at once; the message is the first of them.
    """

    def __init__(self, message: str = "", details: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.details = details or (message,)


class InputWarning(UserWarning):
    """Input that was skipped or repaired; the message says how many and which first."""


def on_command_line(message: str) -> str:
    """The same message with the library's options as the command line writes them: `missing='skip'` becomes `--missing skip`.

    Messages name options as the library's calls do, so that each has one wording; the command line passes what it prints here.
    """
    return _OPTION.sub(_as_option, message)


def _as_option(found: re.Match) -> str:
    name, text, value = found.groups()
    option = f"--{name.replace('_', '-')}"
    return option if value == "True" else f"{option} {text if text is not None else value}"
