"""Names of data sets, categories, videos and their files: which there are, which may stand in lists, and which videos they mean."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError

names = ("tiny", "small", "full")  # simulated; also with "simulated-" before them, as the simulator's other sizes always
published = ("llp", "ave", "avep")
made = {"films": "cmpae_toolkit.films.make:ready"}  # synthetic sets that are made at first use, and what finds or makes them
ID_LENGTH = 11  # of a YouTube id
TIME_SUFFIX = re.compile(r"_\d+(\.\d+)?_\d+(\.\d+)?$")
FILM_SUFFIXES = ["mp4", "m4v", "mkv", "webm", "mov", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "flv", "wmv", "ogv", "3gp", "gif"]
SOUND_SUFFIXES = ["mp3", "wav", "flac", "ogg", "oga", "opus", "m4a", "aac", "wma", "aif", "aiff", "ac3", "mka"]
MEDIA_SUFFIX = re.compile(rf"\.({'|'.join(FILM_SUFFIXES + SOUND_SUFFIXES)})$", re.IGNORECASE)
_YOUTUBE = re.compile(r"([\w-]{11})(_\d+(\.\d+)?_\d+(\.\d+)?|_row\d+)?", re.ASCII)


def default_name() -> str:
    """Names the data set that notebooks and the command line read: CMPAE_DATA (a name or a folder), else `small`.

    >>> isinstance(default_name(), str)
    True
    """
    return os.environ.get("CMPAE_DATA") or "small"


def simulated_size(name: str | Path) -> str | None:
    """Gives the simulator's size that a name means, None for all else: `ave` is the real data, `simulated-ave` the simulated.

    >>> simulated_size("small"), simulated_size("llp")
    ('small', None)
    """
    if str(name) in names:
        return str(name)
    if not str(name).startswith("simulated-"):
        return None
    from .simulation.simulate import SIZES

    size = str(name).removeprefix("simulated-")
    return size if size in SIZES else None


def clean_name(name: str) -> str:
    """Gives a video's name as it is compared: accents composed (NFC), and without the suffix of a sound or film file."""
    return MEDIA_SUFFIX.sub("", unicodedata.normalize("NFC", name))


def clean_category(name: str) -> str:
    """Gives a category name as the toolkit's lists write it: `Violin, fiddle` is `Violin_fiddle`."""
    return re.sub(r"[\s,]+", "_", name.strip())


def check_category_names(given: Iterable[str]) -> None:
    """Refuses names that the lists cannot hold: empty ones, those with spaces, commas or tabs, and characters without a shape."""
    for name in given:
        if not name or "," in name or any(character.isspace() for character in name):
            raise InputError(f"category name {name!r} cannot stand in a list: use underscores for spaces, commas and tabs.")
        if not name.isprintable():
            raise InputError(f"category name {name!r} has characters that cannot be seen: write it with visible ones only.")


def check_filenames(given: Iterable[str]) -> None:
    """Refuses names that are no plain file names: they become files below `feats/` and must not lead out of that folder."""
    for name in given:
        if not name or name.startswith(".") or any(c in '/\\:"' or not c.isprintable() for c in name) or name != name.strip():
            raise InputError(f"{name!r} is not a plain file name: leave out folders, colons, quotation marks and a leading dot.")


def id_candidates(filename: str, kind: str) -> tuple[str, ...]:
    """Gives the ids under which a listed video's features may lie, the likeliest first; LLP's files are named by the YouTube id."""
    likely = (filename, TIME_SUFFIX.sub("", filename), filename[:ID_LENGTH])
    return tuple(dict.fromkeys(likely if kind == "own" else likely[::-1]))


def source_id(filename: str) -> str:
    """Gives what two names must share to be cut from one video: the YouTube id that a name begins with, else the whole name."""
    found = _YOUTUBE.fullmatch(filename)
    return found[1] if found else filename
