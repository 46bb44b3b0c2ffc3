"""Where downloads and packed stores live, and how a file is written so that it is either whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from .errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

STALE_AFTER = 3600  # seconds after which a draft is taken for left behind, wherever its writer ran
MACHINE = f"{zlib.crc32(socket.gethostname().encode()):08x}"  # a process number says nothing about another machine's processes


def home() -> Path:
    """Names the folder of downloads and packed stores: the environment's CMPAE_HOME, else the platform's data folder.

    >>> isinstance(home(), Path)
    True
    """
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


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[None]:
    """Turns every OSError of writing (full disk, read-only folder, a file in a folder's place) into an InputError naming `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be written ({reason}): make room, or choose another place that you may write to.") from None


def draft_beside(path: Path) -> Path:
    """Gives a hidden name in the same folder, for what is renamed to `path` when it is whole. It says which process writes it."""
    return path.with_name(f".{path.name}.{MACHINE}-{os.getpid()}-{secrets.token_hex(4)}.part")


def remove_stale_drafts(folder: Path) -> None:
    """Removes the drafts of killed writers from a folder: those whose process is gone, and those older than an hour."""
    for draft in folder.glob(".*.part"):
        with contextlib.suppress(OSError):
            if _is_stale(draft):
                shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


def write_atomically(path: str | os.PathLike, write: Callable[[BinaryIO], object]) -> Path:
    """Lets `write` fill an open binary file beside `path`, then renames it: readers see the old file or the new one.

    The folder is made if need be, and a link is followed to the file that it names. When `write` raises, nothing new is left
    and an older file stays as it was. A path that names a folder, a device, a pipe or a socket, a full disk and a read-only
    folder are InputErrors.
    """
    path = Path(path)
    with writing(path):
        target = Path(os.path.realpath(path))
        if target.exists() and not target.is_file():
            what = "a folder" if target.is_dir() else "a device, a pipe or a socket"
            raise InputError(f"{path} is {what}, not a plain file: give the name of a file to write.")
        target.parent.mkdir(parents=True, exist_ok=True)
        _tidy(target.parent)
        draft = draft_beside(target)
        try:
            with open(draft, "xb") as file:
                write(file)
            os.replace(draft, target)
        except BaseException:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise
    return path


def sha256(path: Path) -> str:
    """The checksum of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def free_bytes(folder: Path) -> int:
    """Counts the free bytes of the disk where `folder` is or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def check_space(folder: Path, needed: int, what: str) -> None:
    """Refuses to begin what needs more bytes than the disk of `folder` has free; `what` begins the sentence ("the download")."""
    free = free_bytes(folder)
    if free < needed:
        space = f"{what} needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} are free"
        raise InputError(f"{folder}: {space}: make room, or set CMPAE_HOME to another disk.")


def write_text(path: str | os.PathLike, text: str) -> Path:
    """Writes a UTF-8 text file with Unix line ends, atomically."""
    return write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def save_array(path: str | os.PathLike, array: np.ndarray) -> Path:
    """Writes an `.npy` file, atomically and without pickle."""
    return write_atomically(path, lambda file: np.save(file, array, allow_pickle=False))


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Parsed JSON. Raises InputError when the file is absent or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(f"{path} is missing.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({error}): it was damaged or cut short.") from None


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors and metadata of a safetensors file (which holds no code). Raises InputError when absent or broken."""
    from safetensors import SafetensorError, safe_open  # here, since data sets are read without torch

    if not path.is_file():
        raise InputError(f"{path} is missing.")
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


@cache
def _tidy(folder: Path) -> None:
    """Does so once a process and folder: a folder of feature files is not searched again for each of thousands."""
    remove_stale_drafts(folder)


def _is_stale(draft: Path) -> bool:
    if time.time() - draft.stat().st_mtime > STALE_AFTER:
        return True
    machine, _, rest = draft.name.rsplit(".", 2)[-2].partition("-")
    process = rest.partition("-")[0]
    if machine != MACHINE or not process.isdigit() or os.name == "nt":
        return False
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it runs and is someone else's
        return False
    return False
