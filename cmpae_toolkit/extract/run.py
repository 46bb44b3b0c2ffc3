"""`extract`: films and sounds in, a data set folder out."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import platform
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from .._files import hold, save_array, write_json, write_text
from .._parallel import backend
from ..config import MODALITIES
from ..data.lists import DENSE_COLUMNS, WEAK_COLUMNS, write_rows
from ..data.naming import MEDIA_SUFFIX
from ..data.rolls import number
from ..data.source import DESCRIPTION, PROVENANCE
from ..errors import InputError
from . import labels as lists
from . import networks as nets
from .decoding import Notes, Snippet, need_av

MODALITY = {"audio": "sound", "visual": "picture"}
JOURNAL = ".extraction.jsonl"
TOGETHER = 10  # seconds of sound that a network hears at once where it wants to
ENOUGH = 0.5  # of a snippet: what lasts less than that at a film's end is left out
Long = Literal["clips", "first", "whole"]


@dataclass
class Report:
    """What became of an extraction. `films`: a row of `extraction.json` for each file; `folder`: the data set; `notices`: how many
    films each kind of notice is about."""

    folder: Path
    films: list[dict[str, Any]] = field(default_factory=list)
    notices: Counter[str] = field(default_factory=Counter)
    resumed: int = 0

    @property
    def failed(self) -> dict[str, str]:
        """The files that could not be read, and why."""
        return {film["path"]: film["problem"] for film in self.films if film["problem"]}

    @property
    def videos(self) -> int:
        return sum(len(film["clips"]) for film in self.films)

    def lines(self) -> Iterator[str]:
        """Says it in sentences."""
        bad = len(self.failed)
        yield f"{self.folder}: {self.videos} videos of {len(self.films) - bad} files; {bad} could not be read, {self.resumed} done before"
        for kind, count in self.notices.most_common():
            yield f"  {count} x {kind}"
        for path, problem in list(self.failed.items())[:10]:
            yield f"  {path}: {problem}"
        if len(self.failed) > 10:
            yield f"  and {len(self.failed) - 10} more, all in {self.folder / PROVENANCE}"


def extract(
    videos: str | Path | Sequence[str | Path], out: str | Path, *, networks: str | nets.Networks = "light",
    labels: str | Path | None = None, snippets: int = 10, snippet_seconds: float = 1.0, long: Long = "clips", workers: int = 1,
    resume: bool = True, device: str | None = None, scheduler: str | None = None, progress: bool = True, as_released: bool = False,
) -> Report:
    """Extracts features of films and sounds (files, or folders of them) to a data set folder that `data.load` reads.

    `networks`: a name in `NETWORKS`, your own `Networks`, or `package.module:name` of them. `labels`: see `labels.read`; without them
    the folder is unlabelled input. A video has at most `snippets` snippets of `snippet_seconds`; what lasts longer becomes consecutive
    clips `<id>_<start>_<end>` (`long="clips"`), is cut after the first ("first"), or stays one video ("whole"). `workers` processes, or
    a Dask `scheduler`'s address. `as_released`, for the networks "paper": with the quirks of the published features. What cannot be
    read is named in the report and left out; a modality that a film lacks is blank.
    A further call goes on where one was cut off, unless `resume` is False. Raises InputError where there is no film, where nothing
    can be read, or where `out` holds features of other settings.

    >>> import tempfile
    >>> extract("no_such_folder", tempfile.mkdtemp(), networks="handmade")
    Traceback (most recent call last):
    ...
    cmpae_toolkit.errors.InputError: ...
    """
    need_av()
    if long not in ("clips", "first", "whole"):
        raise InputError(f"long is {long!r}: use 'clips', 'first' or 'whole'.")
    if snippets < 1 or not 0.1 <= snippet_seconds <= 60 or workers < 1:
        raise InputError("snippets and workers are whole numbers from 1 on, snippet_seconds lies in 0.1..60.")
    if as_released:
        if networks not in ("paper", nets.AS_RELEASED) or (snippets, snippet_seconds) != (10, 1.0):
            raise InputError("as released are LLP's features: networks='paper', ten snippets of one second.")
        networks = nets.AS_RELEASED
    files, out = find_films(videos), Path(out)
    given = None if labels is None else lists.read(labels)
    chosen = nets.get(networks, device)
    about = {"name": chosen.name, "streams": dict(chosen.streams), "rate": chosen.rate, "pictures": chosen.pictures}
    settings = {
        "networks": about | dict(chosen.about),
        "snippets": snippets, "snippet_seconds": snippet_seconds, "long": long,
    }
    with hold(out):
        rows = _journal(out, settings, resume)
        known = {name: path for name, path in files.items() if name in rows}
        done = {name for name, path in known.items() if rows[name]["stamp"] == _stamp(path) and _is_there(out, rows[name])}
        report = Report(out, resumed=len(done))
        for stream in chosen.streams:
            (out / "feats" / stream).mkdir(parents=True, exist_ok=True)
        # networks travel to workers by name where they have one: a worker loads them once
        travelling = chosen.name if chosen.name in nets.NETWORKS and not isinstance(networks, nets.Networks) else networks
        _LOADED[str(travelling), device] = chosen
        each = partial(_film, out=out, networks=travelling, device=device, snippets=snippets, seconds=snippet_seconds, long=long)
        todo = [(name, path) for name, path in files.items() if name not in done]
        with open(out / JOURNAL, "a", encoding="utf-8") as journal:
            for row in _results(each, todo, workers, scheduler, progress):
                rows[row["id"]] = row
                journal.write(json.dumps(row) + "\n")
                journal.flush()
        report.films = [rows[name] for name in files]
        if not report.videos:
            first = next(iter(report.failed.values()), "there is no snippet in them")
            raise InputError(f"{out}: none of the {len(files)} files could be read. The first: {first}")
        _finish(out, chosen, settings, report, given)
    return report


def find_films(videos: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Finds films and sounds by their id (`labels.film_id`), the suffix added where several would have one; linked and hidden folders
    are not entered, and one that may not be read stands for what is in it.

    Raises InputError where a path is not there, or there is no film in a folder.
    """
    given = [videos] if isinstance(videos, str | os.PathLike) else list(videos)
    found: list[tuple[str, Path]] = []
    for root in map(Path, given):
        if root.is_dir():
            found += [(lists.film_id(str(path.relative_to(root))), path) for path in sorted(_inside(root))]
        elif root.is_file():
            found.append((lists.film_id(root.name), root))
        else:
            raise InputError(f"there is no file and no folder {str(root)!r}: give films, or folders of films.")
    names: dict[str, Path] = {}
    often = Counter(name.casefold() for name, _ in found)  # some file systems do not tell A from a
    taken = set(often)
    for name, path in found:
        if often[name.casefold()] > 1:
            name = f"{name}_{path.suffix[1:].lower()}"
            while name.casefold() in taken:
                name += "_"
            taken.add(name.casefold())
        names[name] = path
    if not names:
        where = ", ".join(map(str, given)) or "nothing"
        raise InputError(f"there is no film and no sound in {where}: mp4, mkv, webm, mov, mp3, wav and such.")
    return names


def _inside(root: Path) -> Iterator[Path]:
    """The files below a folder that are called as films and sounds are, and the folders that may not be read."""
    closed: list[OSError] = []
    for folder, inside, files in os.walk(root, onerror=closed.append):
        inside[:] = [name for name in inside if not name.startswith(".")]
        yield from (Path(folder, name) for name in files if MEDIA_SUFFIX.search(name) and not name.startswith("."))
    yield from (Path(error.filename) for error in closed)


def _results(call: Any, todo: list[tuple[str, Path]], workers: int, scheduler: str | None, progress: bool) -> Iterator[dict[str, Any]]:
    """The rows of films as they end, behind a bar of videos a second."""
    bar = partial(tqdm, total=len(todo), desc="extracting", unit="video", disable=not (progress and todo))
    if workers == 1 and scheduler is None:
        yield from bar(call(*each) for each in todo)
        return
    with backend(workers, scheduler=scheduler):
        yield from bar(Parallel(return_as="generator_unordered")(delayed(call)(*each) for each in todo))


_LOADED: dict[tuple[str, str | None], nets.Networks] = {}  # of this process


def _loaded(networks: str | nets.Networks, device: str | None) -> nets.Networks:
    if isinstance(networks, nets.Networks):
        return networks
    if (networks, device) not in _LOADED:
        _LOADED[networks, device] = nets.get(networks, device)
    return _LOADED[networks, device]


def _film(
    name: str, path: Path, *, out: Path, networks: str | nets.Networks, device: str | None, snippets: int, seconds: float, long: Long
) -> dict[str, Any]:
    """Writes one film's features; its row of the journal. What cannot be read is said there and is not fatal."""
    chosen, notes = _loaded(networks, device), Notes()
    row = {"id": name, "path": str(path), "stamp": _stamp(path), "problem": None, "notices": [], "seconds": 0.0, "clips": {}}
    clip: list[dict[str, np.ndarray]] = []
    start = 0

    def put(whole: bool) -> None:
        """Writes the snippets gathered so far as one video."""
        nonlocal clip, start
        single = whole and start == 0
        end = start + len(clip)
        video = name if single else f"{name}_{number(start * seconds)}_{number(end * seconds)}"
        for stream in chosen.streams:
            if all(stream in each for each in clip):
                save_array(out / "feats" / stream / f"{video}.npy", np.concatenate([each[stream] for each in clip]).astype(np.float16))
        row["clips"][video] = [start * seconds, end * seconds]
        clip, start = [], end

    try:
        for found in _features(path, chosen, seconds, notes, snippets if long == "first" else None):
            if long == "clips" and len(clip) == snippets:
                put(whole=False)
            clip.append(found)
        if clip:
            put(whole=True)
        row["seconds"] = round(start * seconds, 3)
    except InputError as error:
        row["problem"], row["clips"] = str(error), {}
    row["notices"] = notes.texts()
    return row


def _features(path: Path, chosen: nets.Networks, seconds: float, notes: Notes, most: int | None) -> Iterator[dict[str, np.ndarray]]:
    """The features of each snippet that lasts long enough; of a film shorter than that, of its only one."""
    held: list[tuple[Snippet, dict[str, np.ndarray]]] = []  # where sounds are heard together, up to ten seconds of them
    window = 1 if chosen.together is None else max(1, round(TOGETHER / seconds))
    before = None
    read = chosen.read(path, seconds=seconds, pictures=chosen.pictures, rate=chosen.rate, notes=notes)
    for count, each in enumerate(read):
        if count and each.share < ENOUGH:
            continue
        if count == most:
            notes.say(f"Only its first {most * seconds:g} s are taken.")
            break
        held.append((each, chosen.compute(each.sound, each.pictures, before)))
        if len(held) == window:
            yield from _finite(path, count, seconds, _joined(chosen, held))
            held = []
        before = each.pictures[-1] if each.pictures else None
    yield from _finite(path, count, seconds, _joined(chosen, held))


def _joined(chosen: nets.Networks, held: Sequence[tuple[Snippet, dict[str, np.ndarray]]]) -> Iterator[dict[str, np.ndarray]]:
    """The features of some snippets, with those of their sounds together."""
    sounds = [each.sound for each, _ in held]
    heard = {} if chosen.together is None or not sounds or any(s is None for s in sounds) else chosen.together(sounds)
    for place, (_, found) in enumerate(held):
        yield found | {stream: values[place : place + 1] for stream, values in heard.items()}


def _finite(path: Path, count: int, seconds: float, features: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
    for found in features:
        if any(not np.isfinite(values).all() for values in found.values()):
            raise InputError(f"{path.name}: the features up to second {count * seconds:g} are not finite.")
        yield found


def _stamp(path: Path) -> list[int] | None:
    """Size and time of change of a file; what may not be looked at has none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return [about.st_size, about.st_mtime_ns]


def _is_there(out: Path, row: Mapping[str, Any]) -> bool:
    return bool(row["problem"]) or all(any((out / "feats").glob(f"*/{glob.escape(video)}.npy")) for video in row["clips"])


def _journal(out: Path, settings: dict[str, Any], resume: bool) -> dict[str, dict[str, Any]]:
    """The rows of films done before with these settings; a line that a killed process left half written is none."""
    path = out / JOURNAL
    key = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
    rows: dict[str, dict[str, Any]] = {}
    if path.is_file() and resume:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        for line in lines:
            row: dict[str, Any] = {}
            with contextlib.suppress(ValueError):
                row = json.loads(line)
            if row.get("settings", key) != key:
                raise InputError(f"{out} holds features of other networks or settings: choose another folder, or do not resume.")
            if "id" in row:
                rows[row["id"]] = row
    write_text(path, "".join(json.dumps(row) + "\n" for row in [{"settings": key}, *rows.values()]))
    return rows


def _finish(out: Path, chosen: nets.Networks, settings: dict[str, Any], report: Report, given: lists.Labels | None) -> None:
    """Writes lists, description and provenance, and counts the notices."""
    clips = {video: (film["id"], *span) for film in report.films for video, span in film["clips"].items()}
    for film in report.films:
        report.notices.update({re.sub(r"\d[\d.]*", "N", text).strip() for text in film["notices"]})
    _blank_streams(out, chosen, clips, report)
    streams = {name: {"modality": modality} for name, modality in chosen.streams.items()}
    about = {"name": out.resolve().name, "snippet_seconds": settings["snippet_seconds"], "missing": "blank", "streams": streams}
    write_text(out / DESCRIPTION, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    if given is not None:
        _write_lists(out, clips, given, report)
    versions = {name: module.__version__ for name, module in (("av", need_av()), ("numpy", np))}
    versions |= {"ffmpeg": getattr(need_av(), "ffmpeg_version_info", "unknown"), "python": platform.python_version()}
    from .. import __version__

    write_json(out / PROVENANCE, {
        **settings, "versions": {"cmpae_toolkit": __version__, **versions}, "notices": dict(report.notices), "films": report.films,
    })


def _blank_streams(out: Path, chosen: nets.Networks, clips: Mapping[str, Any], report: Report) -> None:
    """Where no film at all has a modality, zeros stand for it, since a reader must know its width."""
    for modality in MODALITIES:
        streams = [stream for stream, each in chosen.streams.items() if each == modality]
        if any(any((out / "feats" / stream).glob("*.npy")) for stream in streams):
            continue
        sound = np.zeros(chosen.rate, np.float32) if modality == "audio" else None
        pictures = () if modality == "audio" else (np.zeros((256, 256, 3), np.uint8),) * chosen.pictures
        one = _one(chosen, sound, pictures)
        other = next(s for s in chosen.streams if s not in streams)
        for video in clips:
            count = len(np.load(out / "feats" / other / f"{video}.npy", mmap_mode="r")) // _positions(chosen, other)
            for stream in streams:
                save_array(out / "feats" / stream / f"{video}.npy", np.zeros((count * len(one[stream]), one[stream].shape[1]), np.float16))
        report.notices[f"There is no {MODALITY[modality]} in any file: its features are zeros."] += len(clips)


def _positions(chosen: nets.Networks, stream: str) -> int:
    sound, picture = np.zeros(chosen.rate, np.float32), np.zeros((256, 256, 3), np.uint8)
    return len(_one(chosen, sound, (picture,) * chosen.pictures)[stream])


def _one(chosen: nets.Networks, sound: np.ndarray | None, pictures: tuple[np.ndarray, ...]) -> dict[str, np.ndarray]:
    return next(_joined(chosen, [(Snippet(sound, pictures, 1.0), chosen.compute(sound, pictures, None))]))


def _write_lists(out: Path, clips: Mapping[str, tuple[str, float, float]], given: lists.Labels, report: Report) -> None:
    """Writes categories and weak labels, and the events of val and test where there are any."""
    names = list(dict.fromkeys(film for film, *_ in clips.values()))
    labelled = [name for name in names if name in given.weak]
    if not labelled:
        known = next(iter(given.weak))
        raise InputError(f"none of the {len(names)} films is in the list of labels, which has {known!r}: use the files' names in it.")
    split = lists.split_of(labelled, {name: given.split[name] for name in labelled if name in given.split})
    report.notices.update({"A film has no row in the list of labels.": len(names) - len(labelled)})
    report.notices.update({"A row of labels has no film.": len(set(given.weak) - set(names))})
    report.notices += Counter()  # drops what does not occur
    write_text(out / "categories.txt", "".join(f"{name}\n" for name in given.categories))
    kept = {video: where for video, where in clips.items() if where[0] in split}
    for name in ("train", "val", "test"):
        rows = [(video, ",".join(given.of(film, start, end))) for video, (film, start, end) in kept.items() if split[film] == name]
        if rows:
            write_rows(out / "annotations" / f"{name}.csv", WEAK_COLUMNS, rows)
    held_out = {video: where for video, where in kept.items() if split[where[0]] != "train"}
    if held_out and all(film in given.events for film, *_ in held_out.values()):
        for track in MODALITIES:
            write_rows(out / "annotations" / f"eval_{track}.csv", DENSE_COLUMNS, _events(held_out, given, track))


def _events(clips: Mapping[str, tuple[str, float, float]], given: lists.Labels, track: str) -> Iterable[tuple[str, str, str, str]]:
    for video, (film, start, end) in clips.items():
        for onset, offset, category, where in given.events[film]:
            first, last = max(onset, start) - start, min(offset, end) - start
            if where in (track, "audio_visual", None) and first < last:
                yield video, number(first), number(last), category
