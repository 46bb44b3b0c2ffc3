"""Unpacking of archives from elsewhere: nothing leaves the folder, replaces a file, or fills the disk.

All members are looked at before the first is written. Names that are absolute, climb with `..`, hold a drive, a backslash or a
control character, links and devices of any kind, names that occur twice, more bytes than the limit or the free disk: an
InputError, and nothing is written. The member's announced size also bounds what is written of it.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from tqdm.auto import tqdm

from ..errors import InputError

LARGEST = 200 * 10**9  # bytes of all members
MOST = 10**6  # members
BLOCK = 1 << 20
LITTER = ("__MACOSX", ".DS_Store", "Thumbs.db")


@dataclass(frozen=True)
class Member:
    """A plain file in an archive."""

    name: str
    size: int
    handle: Any


def is_archive(path: str | Path) -> bool:
    """Whether a file is a zip or tar archive, by its content."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, tarfile.TarError):  # cut short
        return False


def unpack(archive: str | Path, folder: str | Path, *, largest: int = LARGEST, progress: bool = True) -> list[Path]:
    """Unpack a zip or tar archive below `folder` and return the files. A bad or cut archive is an InputError.

    Folders are made as needed; a file that is there already is never replaced. `largest` bounds the bytes of all members.
    """
    archive, folder = Path(archive), Path(folder)
    with _opened(archive, largest) as (members, open_member):
        _check_space(folder, sum(member.size for member in members))
        targets = _targets(archive, members, folder)
        total = sum(member.size for member in members)
        with tqdm(total=total, desc=f"unpack {archive.name}", unit="B", unit_scale=True, disable=not progress) as bar:
            for member, target in zip(members, targets, strict=True):
                target.parent.mkdir(parents=True, exist_ok=True)
                with open_member(member.handle) as source, open(target, "xb") as file:
                    _copy(archive, member, source, file, bar)
    return targets


@contextmanager
def _opened(archive: Path, largest: int) -> Iterator[tuple[list[Member], Any]]:
    advice = "download it again"
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                yield _bounded(archive, _zip_members(archive, file), largest), file.open
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as file:
                yield _bounded(archive, _tar_members(archive, file), largest), file.extractfile
        else:
            raise InputError(f"{archive}: neither a zip nor a tar archive: {advice}.")
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{error.filename or archive}: there is no such file: {advice}.") from None
    except FileExistsError as error:
        raise InputError(f"{error.filename}: a file is here already and is not replaced: move it away first.") from None
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:80]
        raise InputError(f"{archive}: unpacking stopped ({reason}): make room or {advice}.") from None
    except Exception as error:  # BadZipFile, TarError, zlib.error, EOFError, LZMAError, NotImplementedError, UnicodeError, ...
        reason = " ".join(str(error).split())[:80] or type(error).__name__
        raise InputError(f"{archive}: the archive is damaged or cut short ({reason}): {advice}.") from None


def _zip_members(archive: Path, file: zipfile.ZipFile) -> Iterator[Member]:
    for info in file.infolist():
        mode = info.external_attr >> 16
        kind = stat.S_IFMT(mode)
        if kind and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError(_refused(archive, info.filename, "is a link or a device"))
        if info.flag_bits & 1:
            raise InputError(_refused(archive, info.filename, "is encrypted"))
        _check_name(archive, info.orig_filename)  # as written: Python cuts `filename` at a NUL byte
        if not info.is_dir():
            yield Member(info.filename, info.file_size, info)


def _tar_members(archive: Path, file: tarfile.TarFile) -> Iterator[Member]:
    for info in file:
        if not (info.isreg() or info.isdir()):
            raise InputError(_refused(archive, info.name, "is a link or a device"))
        _check_name(archive, info.name)
        if info.isreg():
            yield Member(info.name, info.size, info)


def _check_name(archive: Path, name: str) -> None:
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts:
        raise InputError(_refused(archive, name, "leads out of the folder"))
    if "\\" in name or ":" in name or any(not c.isprintable() for c in name) or any(part != part.strip() for part in parts):
        raise InputError(_refused(archive, name, "is no plain file name"))


def _refused(archive: Path, name: str, why: str) -> str:
    return f"{archive}: the member {name!r} {why}, so nothing was unpacked: download the archive from its published place."


def _bounded(archive: Path, members: Iterator[Member], largest: int) -> list[Member]:
    """The members, unless they are too many or too large; stops at the first beyond, before a bomb is read on."""
    found, total = [], 0
    for member in members:
        found.append(member)
        total += member.size
        if len(found) > MOST or total > largest:
            limit = f"{MOST} files or {largest / 1e9:.1f} GB"
            raise InputError(f"{archive}: announces more than {limit}, so nothing was unpacked: get the published one.")
    return found


def _check_space(folder: Path, total: int) -> None:
    free = free_bytes(folder)
    if free < total:
        space = f"unpacking needs {total / 1e9:.2f} GB and {free / 1e9:.2f} are free"
        raise InputError(f"{folder}: {space}: make room, or set CMPAE_HOME to another disk.")


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk where `folder` is or will be."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free


def _targets(archive: Path, members: list[Member], folder: Path) -> list[Path]:
    """Where each member goes, all within `folder`; litter of desktop systems is left out of `members`."""
    members[:] = [member for member in members if not set(PurePosixPath(member.name).parts) & set(LITTER)]
    root, targets, seen = folder.resolve(), [], set()
    for member in members:
        target = root / PurePosixPath(member.name)
        key = str(target).lower()  # disks that ignore case would write one over the other
        if key in seen:
            raise InputError(_refused(archive, member.name, "occurs twice"))
        seen.add(key)
        if not target.resolve().is_relative_to(root) or target == root:
            raise InputError(_refused(archive, member.name, "leads out of the folder"))
        if target.exists() or target.is_symlink():
            raise InputError(f"{target}: a file is here already and is not replaced: move it away first.")
        targets.append(target)
    return targets


def _copy(archive: Path, member: Member, source: BinaryIO, file: BinaryIO, bar: tqdm) -> None:
    left = member.size
    while block := source.read(min(BLOCK, left + 1)):
        left -= len(block)
        if left < 0:
            raise InputError(f"{archive}: the member {member.name!r} is larger than announced: download the archive again.")
        file.write(block)
        bar.update(len(block))
    if left:
        raise InputError(f"{archive}: the member {member.name!r} is cut short: download the archive again.")
