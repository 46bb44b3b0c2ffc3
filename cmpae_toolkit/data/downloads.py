"""Downloads: lists from their GitHub repositories, checked by sha256; features from Google Drive, resumed where they stopped.

`registry.json` holds each file's place and checksum. Lists are pinned to a commit where one is known; features have no
published checksum, so only their form is checked here and the rest by `cmpae doctor`. Whatever cannot be fetched ends in an
InputError that says how to do it by hand: page, file name, where to put it.
"""

from __future__ import annotations

import importlib
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import pooch

from .._files import check_space, home, sha256, writing
from ..errors import InputError
from .features import PUBLISHED_STREAMS
from .lists import registry

LISTS_URL = "https://raw.githubusercontent.com/"
FEATURES_URL = "https://drive.google.com/uc?id="
FEATURES_PAGE = "https://drive.google.com/file/d/{id}/view"
LIST_FOLDER = "annotations"
STAGING = ".unpacking"
LARGEST = 200 * 10**9  # bytes of all members of an archive
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2")


def download(
    name: str, folder: str | Path | None = None, *, features: bool = True, background: bool = False,
    lists_url: str = LISTS_URL, features_url: str = FEATURES_URL, progress: bool = True,
) -> Path:
    """Downloads `llp` or `ave` to `folder` (default: where `load` looks) and returns it; what is there and right is kept.

    `features=False` gets the lists only; `background` also AVE's background videos. Interrupted downloads go on where they
    stopped. The addresses are arguments for mirrors and tests.

    >>> download("imagenet")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    lists, archives = (_entries(name, kind, background) for kind in ("lists", "features"))
    folder = Path(folder).expanduser() if folder is not None else home() / name
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder to download to.")
    with writing(folder):
        for entry in lists:
            _get_list(entry, registry()[name]["repository"], folder / LIST_FOLDER, lists_url, progress)
        for entry in archives if features else []:
            _get_features(name, entry, folder, features_url, progress)
    return folder


def manual_steps(name: str, folder: str | Path | None = None, background: bool = False) -> list[str]:
    """Says what to do by hand, a line each: every page, the file name, and where the file belongs. Raises InputError as `download`.

    >>> len(manual_steps("llp", "downloads")) > 3
    True
    """
    lists, archives = (_entries(name, kind, background) for kind in ("lists", "features"))
    folder, repository = Path(folder or home() / name), registry()[name]["repository"]
    steps = [f"{LISTS_URL}{repository}/{entry['path']} -> {folder / LIST_FOLDER / entry['name']}" for entry in lists]
    steps += [f"{FEATURES_PAGE.format(id=entry['id'])} -> {folder / entry['name']}" for entry in archives]
    return [*steps, f"then run `cmpae download {name}` again, which unpacks, and `cmpae doctor --data {name}`, which checks"]


def _entries(name: str, kind: str, background: bool) -> list[dict[str, Any]]:
    """The "lists" or "features" of a download, with AVE's background ones where asked for. Raises InputError where there are none."""
    about = registry().get(name)
    if about is None:
        raise InputError(f"no download {name!r}: use {' or '.join(registry())} (AVEP is made of the two).")
    if background and "background_lists" not in about:
        raise InputError(f"{name} has no background videos: leave the option out.")
    return about[kind] + (about[f"background_{kind}"] if background else [])


def is_archive(path: str | Path) -> bool:
    """Tells whether a file is a zip or tar archive, by its content."""
    try:
        return zipfile.is_zipfile(path) or tarfile.is_tarfile(path)
    except (OSError, EOFError, tarfile.TarError):  # cut short
        return False


def unpack(archive: str | Path, folder: str | Path, *, largest: int = LARGEST) -> Path:
    """Unpacks a zip or tar archive into a new folder and returns it; nothing is written outside, and no link.

    The standard library takes the harm out of names that lead elsewhere or refuses them, and links and devices are left out or
    become plain files. A bad or cut archive, one of more than `largest` bytes, and a full disk are InputErrors that leave nothing.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise InputError(f"{folder}: something is here already and is not replaced: move it away first.")
    try:
        with _opened(archive) as file:
            if isinstance(file, zipfile.ZipFile):
                total, extract = sum(member.file_size for member in file.infolist()), file.extractall
            else:
                total, extract = sum(member.size for member in file), _extract_tar(file)
            if total > largest:
                raise InputError(f"{archive}: announces more than {largest / 1e9:.1f} GB, so nothing was unpacked: get the published one.")
            check_space(folder, total, "unpacking")
            folder.mkdir(parents=True)
            extract(folder)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, InputError) or not isinstance(error, Exception):
            raise
        # BadZipFile, TarError, zlib.error, EOFError, LZMAError, NotImplementedError, UnicodeError, RuntimeError, OSError, ...
        raise InputError(f"{archive}: cannot be unpacked ({_reason(error)}): make room, or download it again.") from None
    return folder


def _opened(archive: Path) -> zipfile.ZipFile | tarfile.TarFile:
    if not archive.is_file():
        raise InputError(f"{archive}: there is no such file: download it again.")
    if zipfile.is_zipfile(archive):
        return zipfile.ZipFile(archive)
    if is_archive(archive):
        return tarfile.open(archive)
    raise InputError(f"{archive}: neither a zip nor a tar archive: download it again.")


def _extract_tar(file: tarfile.TarFile) -> Callable[[Path], None]:
    def plain(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        return tarfile.data_filter(member, folder) if member.isreg() or member.isdir() else None

    return lambda folder: file.extractall(folder, filter=plain)


def _get_list(entry: Mapping[str, Any], repository: str, folder: Path, base: str, progress: bool) -> None:
    """Gets one small file by pooch, which downloads beside the place and moves the file there when its checksum is right."""
    url, target = f"{base}{repository}/{entry['path']}", folder / entry["name"]
    if target.is_file() and (entry["sha256"] is None or sha256(target) == entry["sha256"]):
        return
    if target.exists():
        raise InputError(f"{target}: this is not the published file (its checksum differs): move it away and download again.")
    check_space(folder, 10**7, "the download")
    try:
        logger = pooch.get_logger()
        level, _ = logger.level, logger.setLevel("WARNING")
        try:
            downloader = pooch.HTTPDownloader(progressbar=progress, timeout=60)
            pooch.retrieve(url, entry["sha256"] and f"sha256:{entry['sha256']}", entry["name"], folder, downloader=downloader)
        finally:
            logger.setLevel(level)
    except Exception as error:  # requests' many exceptions, urllib3's, OSError; a ValueError is pooch's word for a wrong checksum
        wrong = isinstance(error, ValueError) and "hash" in str(error).lower()
        reason = "its content is not the published one: checksums differ" if wrong else _reason(error)
        raise InputError(_by_hand(url, target, reason)) from None
    if entry["name"].endswith(".h5") and not h5py.is_hdf5(target):
        target.unlink()
        raise InputError(_by_hand(url, target, "no HDF5 file came"))


def _get_features(name: str, entry: Mapping[str, Any], folder: Path, base: str, progress: bool) -> None:
    page, target = FEATURES_PAGE.format(id=entry["id"]), folder / entry["name"]
    archived = not entry["name"].endswith(".h5")
    if (folder / "feats").is_dir() if archived else _is_h5(target, page):
        return
    found = _archive_in(folder) if archived else None
    if found is None:
        check_space(folder, entry["bytes"] * (2 if archived else 1), "the download")
        _fetch(f"{base}{entry['id']}", target, page, progress)
        if not (is_archive(target) if archived else h5py.is_hdf5(target)):
            with open(target, "rb") as file:
                page_came = file.read(512).lstrip().startswith(b"<")
            target.unlink()
            what = "a web page came, as Google sends when it refuses" if page_came else "something else came"
            raise InputError(_by_hand(page, target, what))
        found = target
    if archived:
        _unpack_features(name, found, folder)


def _is_h5(target: Path, page: str) -> bool:
    if target.exists() and not h5py.is_hdf5(target):
        raise InputError(f"{target}: no HDF5 file: remove it and download it again from {page}.")
    return target.exists()


def _archive_in(folder: Path) -> Path | None:
    """Finds an archive that someone put into the folder by hand, under any name."""
    if not folder.is_dir():
        return None
    return next((path for path in sorted(folder.iterdir()) if path.suffix in ARCHIVES and path.is_file() and is_archive(path)), None)


def _fetch(url: str, target: Path, page: str, progress: bool) -> None:
    """Gets a file of Google Drive by gdown, which keeps what it got in a `.part` file beside the target and goes on there."""
    try:
        gdown = importlib.import_module("gdown")
    except ImportError:
        raise InputError(_by_hand(page, target, "gdown is not installed (`pip install gdown` lets this command do it)")) from None
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        gdown.download(url, str(target), quiet=not progress, resume=True, use_cookies=False)
    except Exception as error:  # gdown's, requests', OSError
        raise InputError(_by_hand(page, target, _reason(error))) from None
    if not target.is_file():
        raise InputError(_by_hand(page, target, "nothing came"))


def _unpack_features(name: str, archive: Path, folder: Path) -> None:
    """Unpacks beside the place, finds the published stream folders, and moves them to `feats/` in one step."""
    staging = folder / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    try:
        shutil.rmtree(unpack(archive, staging) / "__MACOSX", ignore_errors=True)
        wanted = PUBLISHED_STREAMS["audio"]
        root = next((path.parent for path in sorted(staging.rglob(wanted)) if path.is_dir()), None)
        if root is None:
            raise InputError(f"{archive}: no folder {wanted}/ in it, so these are not the features of {name}: download it again.")
        root.rename(folder / "feats")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _by_hand(page: str, target: Path, reason: str) -> str:
    return (
        f"{target.name} could not be downloaded ({reason}): run the command again, which goes on where it stopped, or open "
        f"{page} in a browser, save the file as {target}, and run the command then."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
