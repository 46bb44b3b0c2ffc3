"""Where downloads and packed stores live, and how a file is written so that it is either whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import platformdirs
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .errors import InputError


def home() -> Path:
    """The folder of downloads and packed stores: the environment's CMPAE_HOME, else the platform's data folder."""
    chosen = os.environ.get("CMPAE_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("cmpae_toolkit", appauthor=False)


@contextlib.contextmanager
def hold(folder: str | os.PathLike) -> Iterator[None]:
    """Keep other processes from writing to a folder, which is made if need be; the lock of a killed process is free again.

    Raises InputError when another process holds it, which the message names, or when the folder cannot be written.
    """
    lock, holder = FileLock(Path(folder) / ".lock"), Path(folder) / ".lock-holder"
    try:
        holder.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        holder.write_text(f"process {os.getpid()}", encoding="utf-8")
    except Timeout:
        who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
        raise InputError(f"{who} is writing to {folder}: wait until it ends, or choose another folder.") from None
    except OSError as error:
        lock.release()
        raise InputError(f"{folder} cannot be written to ({error.strerror}): choose another folder.") from None
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


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


def write_json(path: Path, value: Any) -> None:
    """JSON, written atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parsed JSON. Raises InputError when the file is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} is missing: give the folder that training wrote.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({error}): it was damaged or cut short.") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a safetensors file (which holds no code). Raises InputError when absent or broken."""
    if not path.is_file():
        raise InputError(f"{path} is missing: give the folder that training wrote.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"{path} is no whole safetensors file ({error}): it was damaged or cut short.") from None


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; lists stay, tuples become lists as JSON makes them."""
    result = {}
    for name, value in nested.items():
        if isinstance(value, dict):
            result |= flat(value, f"{prefix}{name}.")
        else:
            result[f"{prefix}{name}"] = list(value) if isinstance(value, tuple) else value
    return result
