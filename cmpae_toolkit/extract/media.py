"""Frames, waveform and spectrogram of one video, where its media files are at hand: pictures in a folder, a WAV file, an MP4 file.

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
from .signals import RATE, log_mel

PLAYABLE = (".mp4", ".webm", ".mkv", ".mov", ".m4v", ".avi", ".wav", ".mp3", ".flac", ".ogg")
FILMS = PLAYABLE[:6]
CLIP = re.compile(r"(.+)_(\d+(?:\.\d+)?)_(\d+(?:\.\d+)?)")
PICTURES = {".png", ".jpg", ".jpeg"}
TILE = (96, 54)  # pixels at most: width, height
POINTS = 200  # of a waveform's outline
COLUMNS, MOST_COLUMNS = 20, 400  # of a spectrogram: a second, in all
LOUDNESS = 2.0  # what a spectrogram shows below its loudest place, in log-mel's units of 20 dB


@dataclass(frozen=True)
class Media:
    """What is shown of a video's media. `frames`: a tile (height, width, 3), uint8, for each snippet, or None; `waveform`: lowest and
    highest amplitude (point, 2) in -1..1, or None; `spectrogram`: how loud each band is (band, column), in 0..1, the lowest band first, or
    None; `note` says what could not be read; `path`: the film, or the sound, to be played, from `start` seconds on, and of a clip to
    `end`."""

    frames: tuple[np.ndarray | None, ...] = ()
    waveform: np.ndarray | None = None
    spectrogram: np.ndarray | None = None
    note: str = ""
    path: Path | None = None
    start: float = 0.0
    end: float | None = None

    @property
    def part(self) -> tuple[float, float] | None:
        """The seconds of the film that are the video's own; None where all of it is."""
        return None if self.end is None else (self.start, self.end)


def find_media(folder: str | Path | None, names: Sequence[str], snippets: int, seconds: float = 1.0) -> Media:
    """Reads the media of the video with any of these names (its id, its file name); tiles are blank without a folder or files in it.

    The video has so many `snippets` of so many `seconds`; where its film lasts longer, only these are shown. A file that cannot be read
    leaves its tiles blank and is named in `note`. Raises InputError where the folder is none.
    """
    blank = (None,) * snippets
    if folder is None:
        return Media(blank, note="no media files at hand")
    folder, notes = Path(folder), []
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder of media: it holds <id>/*.jpg, <id>.wav or <id>.mp4 for each video.")
    frames, sound = blank, None
    for name in dict.fromkeys(names):
        frames = frames if any(f is not None for f in frames) else _read(_frames, folder, name, snippets, seconds, notes, blank)
        sound = sound if sound is not None else _read(_sound, folder, name, snippets, seconds, notes, None)
    nothing = sound is None and all(f is None for f in frames)
    note = "; ".join(dict.fromkeys(notes)) or ("no media files at hand" if nothing else "")
    shown = (None, None) if sound is None else (_outline(sound[0]), _spectrogram(*sound))
    return Media(frames, *shown, note, *_playable(folder, names))


def _playable(folder: Path, names: Sequence[str]) -> tuple[Path | None, float, float | None]:
    """Finds the file of a video that can be played, a film before a sound, and where in it the video starts and, of a clip, ends (s)."""
    found = (_film(folder, name, kinds) for kinds in (FILMS, PLAYABLE) for name in names)
    file, span = next((each for each in found if each[0] is not None), (None, None))
    return file, *(span or (0.0, None))


def _film(folder: Path, name: str, suffixes: Sequence[str]) -> tuple[Path | None, tuple[float, float] | None]:
    """Finds the film of a video; of a clip `<id>_<start>_<end>` that of its whole film, and the clip's span in it, in seconds."""
    clip = CLIP.fullmatch(name)
    for stem, span in ((name, None), *([(clip[1], (float(clip[2]), float(clip[3])))] if clip else [])):
        for suffix in suffixes:
            if (folder / f"{stem}{suffix}").is_file():
                return folder / f"{stem}{suffix}", span
    return None, None


def _read(read, folder: Path, name: str, snippets: int, seconds: float, notes: list[str], otherwise):
    """Returns what `read` finds; what it cannot read becomes a note."""
    try:
        found = read(folder, name, snippets, seconds)
    except (OSError, ValueError, InputError) as error:
        notes.append(str(error) if isinstance(error, InputError) else f"{name}: {str(error) or type(error).__name__}")
        found = None
    return otherwise if found is None else found


def _frames(folder: Path, name: str, snippets: int, seconds: float) -> tuple[np.ndarray, ...] | None:
    """Reads the frame in the middle of each snippet."""
    pictures = sorted(p for p in (folder / name).glob("*") if p.suffix.lower() in PICTURES) if (folder / name).is_dir() else []
    if pictures:
        return tuple(_tile(pictures[i]) for i in _middles(len(pictures), snippets))
    film, span = _film(folder, name, FILMS)
    span = span or (0.0, snippets * seconds)
    return None if film is None else tuple(_tile(picture) for picture in decoding.stills(film, snippets, span))


def _middles(count: int, snippets: int) -> list[int]:
    return [min(count - 1, int((t + 0.5) * count / snippets)) for t in range(snippets)]


def _tile(picture: Path | np.ndarray) -> np.ndarray:
    from PIL import Image

    with Image.fromarray(picture) if isinstance(picture, np.ndarray) else Image.open(picture) as image:
        small = image.convert("RGB")
        small.thumbnail(TILE)
        return np.asarray(small)


def _sound(folder: Path, name: str, snippets: int, seconds: float) -> tuple[np.ndarray, int] | None:
    """Reads the sound (sample,) of `<name>.wav`, or of the film, its channels averaged, as long as the video, and its rate in Hz."""
    path, (film, span) = folder / f"{name}.wav", _film(folder, name, PLAYABLE)
    if not path.is_file() and film is None:
        return None
    start, end = (0.0, snippets * seconds) if span is None or path.is_file() else span
    x, rate = _samples(path) if path.is_file() else (decoding.whole_sound(film, RATE, end), RATE)
    if not len(x):
        raise InputError(f"{path.name}: there is no sound in it")
    x = x[round(start * rate) : round(end * rate)]
    return np.pad(x, (0, max(0, round((end - start) * rate) - len(x)))), rate


def _outline(x: np.ndarray) -> np.ndarray:
    """The lowest and highest amplitude (point, 2) of a sound, the loudest point at 1."""
    outline = np.array([(part.min(), part.max()) for part in np.array_split(x, min(POINTS, len(x)))])
    return outline / max(1e-9, float(np.abs(outline).max()))


def _spectrogram(x: np.ndarray, rate: int) -> np.ndarray:
    """How loud the log-mel bands of a sound are (band, column), in 0..1, where 1 is the loudest place."""
    from scipy.signal import resample_poly

    x = x if rate == RATE else resample_poly(x, RATE, rate)
    columns = min(MOST_COLUMNS, max(1, round(COLUMNS * len(x) / RATE)))
    bands = np.stack([log_mel(part).mean(0) for part in np.array_split(x, columns)], axis=1)
    return np.clip(1 + (bands - max(float(bands.max()), 0.0)) / LOUDNESS, 0, 1)


def _samples(path: Path) -> tuple[np.ndarray, int]:
    from scipy.io import wavfile

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # unknown chunks are no trouble
        rate, samples = wavfile.read(path)
    x = samples.astype(float) - (128 if samples.dtype == np.uint8 else 0)
    full = {"uint8": 2**7, "int16": 2**15, "int32": 2**31}.get(samples.dtype.name, 1)
    return (x.mean(1) if x.ndim == 2 else x) / full, rate
