"""Frames and waveform of one video, where its media files are at hand: pictures in a folder, a WAV file, an MP4 file.

A folder of media holds for a video any of `<id>/*.png|jpg` (frames in the order of their names, spread evenly over the video),
`<id>.wav` and `<id>.mp4`. Pictures and WAV files need nothing more; an MP4 file needs PyAV beside the toolkit.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from . import decoding

PLAYABLE = (".mp4", ".webm", ".mkv", ".mov", ".m4v", ".avi", ".wav", ".mp3", ".flac", ".ogg")
PICTURES = {".png", ".jpg", ".jpeg"}
TILE = (96, 54)  # pixels at most: width, height
POINTS = 200  # of a waveform's outline
SOUND_RATE = 8000  # Hz, enough for an outline


@dataclass(frozen=True)
class Media:
    """What is shown of a video's media. `frames`: a tile (height, width, 3), uint8, for each snippet, or None; `waveform`: lowest and
    highest amplitude (point, 2) in -1..1, or None; `note` says what could not be read; `path`: the film, or the sound, to be played."""

    frames: tuple[np.ndarray | None, ...] = ()
    waveform: np.ndarray | None = None
    note: str = ""
    path: Path | None = None


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
    return Media(frames, waveform, note, _playable(folder, names))


def _playable(folder: Path, names: Sequence[str]) -> Path | None:
    """Finds the file of a video that can be played, a film before a sound."""
    files = (folder / f"{name}{suffix}" for suffix in PLAYABLE for name in names)
    return next((file for file in files if file.is_file()), None)


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
    film = folder / f"{name}.mp4"
    return tuple(_film(film, snippets)) if film.is_file() else None


def _middles(count: int, snippets: int) -> list[int]:
    return [min(count - 1, int((t + 0.5) * count / snippets)) for t in range(snippets)]


def _tile(picture: Path | np.ndarray) -> np.ndarray:
    from PIL import Image

    with Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail(TILE)
        return np.asarray(small)


def _film(path: Path, snippets: int) -> list[np.ndarray]:
    """Reads the tiles of an MP4 file; only tiles are kept, since whole films are large."""
    try:
        import av
    except ImportError:
        raise InputError(f"{path.name}: an MP4 file needs `pip install av`; frames as pictures and sound as WAV need nothing") from None
    with av.open(str(path)) as film:
        frames = [_tile(frame.to_ndarray(format="rgb24")) for frame in film.decode(video=0)]
    if not frames:
        raise InputError(f"{path.name}: there is no frame in it")
    return [frames[i] for i in _middles(len(frames), snippets)]


def _sound(folder: Path, name: str, snippets: int) -> np.ndarray | None:
    """Reads the outline of `<name>.wav`, or of the film's sound, its channels averaged, the loudest point at 1."""
    path, film = folder / f"{name}.wav", folder / f"{name}.mp4"
    if not path.is_file() and not film.is_file():
        return None
    x = _samples(path) if path.is_file() else decoding.whole_sound(film, SOUND_RATE)
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
