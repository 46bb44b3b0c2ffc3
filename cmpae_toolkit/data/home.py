"""Where downloads and packed stores live, and how a file is written so that it is either whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import platformdirs


def home() -> Path:
    """The folder of downloads and packed stores: the environment's CMPAE_HOME, else the platform's data folder."""
    chosen = os.environ.get("CMPAE_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("cmpae_toolkit", appauthor=False)


def write_atomically(path: str | os.PathLike, write: Callable[[BinaryIO], object]) -> Path:
    """Let `write` fill an open binary file beside `path`, then rename it: readers see the old file or the new one.

    The folder is made if need be. When `write` raises, nothing new is left and an older file stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(draft, "xb") as file:
            write(file)
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise
    return path


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Write a UTF-8 text file with Unix line ends, atomically."""
    return write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def save_array(path: str | os.PathLike, array: np.ndarray) -> Path:
    """Write an `.npy` file, atomically and without pickle."""
    return write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))
