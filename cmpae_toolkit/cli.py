"""The `cmpae` command, for machines without a browser: one verb, one call into the library.

This file starts the verb and ends it well, whatever happens; the verbs themselves are in `_commands`.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from .errors import InputError, InputWarning, on_command_line

BAD_INPUT, INTERRUPTED, READER_GONE = 2, 130, 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and returns its exit status: 2, with one sentence on stderr, for bad input and files that cannot be written.

    It is 130 after Ctrl-C and 141, without a word, when the reader of a pipe has gone away, as for other commands in a shell.
    """
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            sys.stdout.flush()  # a reader that has gone away is noticed here, not when the interpreter ends
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(nowhere, stream.fileno())
        return READER_GONE


def _run(arguments: Sequence[str]) -> int:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a category that the terminal's encoding lacks is told by its code
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _Notes()
            warnings.simplefilter("always", InputWarning)
            from ._commands import parse  # here, so that Ctrl-C while modules are read ends in one line

            return parse(arguments).run() or 0
    except InputError as error:
        return _told(error, str(error), BAD_INPUT)
    except BrokenPipeError:
        raise
    except OSError as error:
        place = "" if error.filename is None else f"{error.filename}: "
        return _told(error, f"{place}{error.strerror or error}; choose another place, or make room.", BAD_INPUT)
    except KeyboardInterrupt as error:
        return _told(error, "stopped.", INTERRUPTED)


def _told(error: BaseException, sentence: str, status: int) -> int:
    """Says what happened, and behind it what was noted on the way, such as what was kept."""
    print("cmpae:", on_command_line(" ".join([sentence, *getattr(error, "__notes__", ())])), file=sys.stderr)
    return status


class _Notes:
    """Warnings in one line each; what a reader warned of is not said again where notices are counted."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __call__(self, message: Warning | str, *_rest: object) -> None:
        text = on_command_line(str(message))
        if not any(text.endswith(earlier) for earlier in self.told):
            print("cmpae: note:", text, file=sys.stderr)
        self.told.append(text)


if __name__ == "__main__":
    sys.exit(main())
