"""Downloads: lists from their GitHub repositories, checked by sha256; features from Google Drive, resumed where they stopped.

`registry.json` holds each file's place and checksum. Lists are pinned to a commit where one is known; features have no
published checksum, so only their form is checked here and the rest by `cmpae doctor`. Whatever cannot be fetched ends in an
InputError that says how to do it by hand: page, file name, where to put it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import pooch

from .._files import home
from ..errors import InputError
from .archives import free_bytes, is_archive, unpack
from .features import PUBLISHED_STREAMS

LISTS_URL = "https://raw.githubusercontent.com/"
FEATURES_URL = "https://drive.google.com/uc?id="
FEATURES_PAGE = "https://drive.google.com/file/d/{id}/view"
LIST_FOLDER = "annotations"
STAGING = ".unpacking"


@lru_cache
def registry() -> Mapping[str, Any]:
    """Per data set the repository, the lists (name, path, sha256, version) and the features (name, Google Drive id, bytes)."""
    return json.loads(Path(__file__).with_name("registry.json").read_bytes())


def download(
    name: str, folder: str | Path | None = None, *, features: bool = True, background: bool = False,
    lists_url: str = LISTS_URL, features_url: str = FEATURES_URL, progress: bool = True,
) -> Path:
    """Download `llp` or `ave` to `folder` (default: where `load` looks) and return it; what is there and right is kept.

    `features=False` gets the lists only; `background` also AVE's background videos. Interrupted downloads go on where they
    stopped. The addresses are arguments for mirrors and tests.
    """
    if name not in registry():
        raise InputError(f"no download {name!r}: use {' or '.join(registry())} (AVEP is made of the two).")
    about = registry()[name]
    if background and "background_lists" not in about:
        raise InputError(f"{name} has no background videos: leave the option out.")
    folder = Path(folder).expanduser() if folder is not None else home() / name
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder to download to.")
    for entry in about["lists"] + (about["background_lists"] if background else []):
        _get_list(entry, about["repository"], folder / LIST_FOLDER, lists_url, progress)
    if features:
        for entry in about["features"] + (about["background_features"] if background else []):
            _get_features(name, entry, folder, features_url, progress)
    return folder


def manual_steps(name: str, folder: str | Path | None = None, background: bool = False) -> list[str]:
    """What to do by hand, a line each: every page, the file name, and where the file belongs."""
    folder, about = Path(folder or home() / name), registry()[name]
    steps = []
    for entry in about["lists"] + (about["background_lists"] if background else []):
        steps.append(f"{LISTS_URL}{about['repository']}/{entry['path']} -> {folder / LIST_FOLDER / entry['name']}")
    for entry in about["features"] + (about["background_features"] if background else []):
        steps.append(f"{FEATURES_PAGE.format(id=entry['id'])} -> {folder / entry['name']}")
    return [*steps, f"then run `cmpae download {name}` again, which unpacks, and `cmpae doctor --data {name}`, which checks"]


def sha256(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _get_list(entry: Mapping[str, Any], repository: str, folder: Path, base: str, progress: bool) -> None:
    """One small file by pooch, which downloads beside the place and moves the file there when its checksum is right."""
    url, target = f"{base}{repository}/{entry['path']}", folder / entry["name"]
    if target.is_file() and (entry["sha256"] is None or sha256(target) == entry["sha256"]):
        return
    if target.exists():
        raise InputError(f"{target}: this is not the published file (its checksum differs): move it away and download again.")
    _check_space(folder, 10**7)
    try:
        logger = pooch.get_logger()
        level, _ = logger.level, logger.setLevel("WARNING")
        try:
            downloader = pooch.HTTPDownloader(progressbar=progress, timeout=60)
            pooch.retrieve(url, entry["sha256"] and f"sha256:{entry['sha256']}", entry["name"], folder, downloader=downloader)
        finally:
            logger.setLevel(level)
    except ValueError as error:  # pooch's word for a wrong checksum
        if "hash" not in str(error).lower():
            raise InputError(_by_hand(url, target, _reason(error))) from None
        raise InputError(_by_hand(url, target, "its content is not the published one: checksums differ")) from None
    except Exception as error:  # requests' many exceptions, urllib3's, OSError
        raise InputError(_by_hand(url, target, _reason(error))) from None
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
        _check_space(folder, entry["bytes"] * (2 if archived else 1))
        _fetch(f"{base}{entry['id']}", target, page, progress)
        if not (is_archive(target) if archived else h5py.is_hdf5(target)):
            with open(target, "rb") as file:
                page_came = file.read(512).lstrip().startswith(b"<")
            target.unlink()
            what = "a web page came, as Google sends when it refuses" if page_came else "something else came"
            raise InputError(_by_hand(page, target, what))
        found = target
    if archived:
        _unpack_features(name, found, folder, progress)


def _is_h5(target: Path, page: str) -> bool:
    if target.exists() and not h5py.is_hdf5(target):
        raise InputError(f"{target}: no HDF5 file: remove it and download it again from {page}.")
    return target.exists()


def _archive_in(folder: Path) -> Path | None:
    """An archive that someone put into the folder by hand, under any name."""
    if not folder.is_dir():
        return None
    kinds = (".zip", ".tar", ".gz", ".tgz", ".xz", ".bz2")
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in kinds)
    return next((path for path in files if is_archive(path)), None)


def _fetch(url: str, target: Path, page: str, progress: bool) -> None:
    """Google Drive by gdown, which keeps what it got in a `.part` file beside the target and goes on there."""
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


def _unpack_features(name: str, archive: Path, folder: Path, progress: bool) -> None:
    """Unpack beside the place, find the published stream folders, and move them to `feats/` in one step."""
    staging = folder / STAGING
    if staging.exists():
        shutil.rmtree(staging)
    try:
        unpack(archive, staging, progress=progress)
        wanted = PUBLISHED_STREAMS["audio"]
        root = next((path.parent for path in sorted(staging.rglob(wanted)) if path.is_dir()), None)
        if root is None:
            raise InputError(f"{archive}: no folder {wanted}/ in it, so these are not the features of {name}: download it again.")
        if root == staging:
            staging.rename(folder / "feats")
        else:
            root.rename(folder / "feats")
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check_space(folder: Path, needed: int) -> None:
    free = free_bytes(folder)
    if free < needed:
        space = f"the download needs {needed / 1e9:.2f} GB and {free / 1e9:.2f} are free"
        raise InputError(f"{folder}: {space}: make room, or set CMPAE_HOME to another disk.")


def _by_hand(page: str, target: Path, reason: str) -> str:
    return (
        f"{target.name} could not be downloaded ({reason}): run the command again, which goes on where it stopped, or open "
        f"{page} in a browser, save the file as {target}, and run the command then."
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
