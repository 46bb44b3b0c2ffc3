"""Frames and waveform of one video, where its media files are at hand: pictures in a folder, a WAV file, an MP4 file.

A folder of media holds for a video any of `<id>/*.png|jpg` (frames in the order of their names, spread evenly over the video),
`<id>.wav` and `<id>.mp4` or another film; a clip `<id>_<start>_<end>` is looked for in its whole film, too. Pictures and WAV files
need nothing more; films need PyAV beside the toolkit.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import decoding

PLAYABLE = (".mp4", ".webm", ".mkv", ".mov", ".m4v", ".avi", ".wav", ".mp3", ".flac", ".ogg")
FILMS = PLAYABLE[:6]
CLIP = re.compile(r"(.+)_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)")
PICTURES = {".png", ".jpg", ".jpeg"}
TILE = (96, 54)  # pixels at most: width, height
POINTS = 200  # of a waveform's outline
SOUND_RATE = 8000  # Hz, enough for an outline


@dataclass(frozen=True)
class Media:
    """What is shown of a video's media. `frames`: a tile (height, width, 3), uint8, for each snippet, or None; `waveform`: lowest and
    highest amplitude (point, 2) in -1..1, or None; `note` says what could not be read; `path`: the film, or the sound, to be
    played, from `start` seconds on."""

    frames: tuple[np.ndarray | None, ...] = ()
    waveform: np.ndarray | None = None
    note: str = ""
    path: Path | None = None
    start: float = 0.0


def find_media(folder: str | Path | None, names: Sequence[str], snippets: int) -> Media:
    """Reads the media of the video with any of these names (its id, its file name); tiles are blank without a folder or files in it.

    A file that cannot be read leaves its tiles blank and is named in `note`. Raises InputError where the folder is none.
    """
    blank = (None,) * snippets
    if folder is None:
        return Media(blank, note="no media files at hand")
    folder, notes = Path(folder), []
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of media: it holds <id>/*.jpg, <id>.wav or <id>.mp4 for each video.")
    frames, waveform = blank, None
    for name in dict.fromkeys(names):
        frames = frames if any(f is not None for f in frames) else _read(_frames, folder, name, snippets, notes, blank)
        waveform = waveform if waveform is not None else _read(_sound, folder, name, snippets, notes, None)
    nothing = waveform is None and all(f is None for f in frames)
    note = "; ".join(dict.fromkeys(notes)) or ("no media files at hand" if nothing else "")
    return Media(frames, waveform, note, *_playable(folder, names))


def _playable(folder: Path, names: Sequence[str]) -> tuple[Path | None, float]:
    """Finds the file of a video that can be played, a film before a sound, and where in it the video starts, in seconds."""
    found = (_film(folder, name, kinds) for kinds in (FILMS, PLAYABLE) for name in names)
    file, span = next((each for each in found if each[0] is not None), (None, None))
    return file, 0.0 if span is None else span[0]


def _film(folder: Path, name: str, suffixes: Sequence[str]) -> tuple[Path | None, tuple[float, float] | None]:
    """Finds the film of a video; of a clip `<id>_<start>_<end>` that of its whole film, and the clip's span in it, in seconds."""
    clip = CLIP.fullmatch(name)
    for stem, span in ((name, None), *([(clip[1], (float(clip[2]), float(clip[3])))] if clip else [])):
        for suffix in suffixes:
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}", span
    return None, None


def _read(read, folder: Path, name: str, snippets: int, notes: list[str], otherwise):
    """Returns what `read` finds; what it cannot read becomes a note."""
    try:
        found = read(folder, name, snippets)
    except (OSError, ValueError, InputError) as error:
        notes.append(str(error) if isinstance(error, InputError) else f"{name}: {str(error) or type(error).__name__}")
        found = None
    return otherwise if found is None else found


def _frames(folder: Path, name: str, snippets: int) -> tuple[np.ndarray, ...] | None:
    """Reads the frame in the middle of each snippet."""
    pictures = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in PICTURES) if (folder / name).is_dir() else []
    if pictures:
        return tuple(_tile(pictures[i]) for i in _middles(len(pictures), snippets))
    film, span = _film(folder, name, FILMS)
    return None if film is None else tuple(_tile(picture) for picture in decoding.stills(film, snippets, span))


def _middles(count: int, snippets: int) -> list[int]:
    return [min(count - 1, int((t + 0.5) * count / snippets)) for t in range(snippets)]


def _tile(picture: Path | np.ndarray) -> np.ndarray:
    from PIL import Image

    with Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail(TILE)
        return np.asarray(small)


def _sound(folder: Path, name: str, snippets: int) -> np.ndarray | None:
    """Reads the outline of `<name>.wav`, or of the film's sound, its channels averaged, the loudest point at 1."""
    path, (film, span) = folder / f"{name}.wav", _film(folder, name, PLAYABLE)
    if not path.is_file() and film is None:
        return None
    x = _samples(path) if path.is_file() else decoding.whole_sound(film, SOUND_RATE)
    if span and not path.is_file():
        x = x[round(span[0] * SOUND_RATE) : round(span[1] * SOUND_RATE)]
    if not len(x):
        raise InputError(f"{path.name}: there is no sound in it")
    parts = np.array_split(x, min(POINTS, len(x)))
    outline = np.array([(part.min(), part.max()) for part in parts])
    return outline / max(1e-9, float(np.abs(outline).max()))


def _samples(path: Path) -> np.ndarray:
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # unknown chunks are no trouble
        samples = wavfile.read(path)[1]
    x = samples.astype(float) - (128 if samples.dtype == np.uint8 else 0)
    return x.mean(1) if x.ndim == 2 else x
