"""A folder's lists without its features: where they are, what they say, and where they contradict one another.

Two layouts are read. LLP as published: `AVVP_*.csv` in the folder, in `data/` or in `annotations/` below it, with the 25
categories of LLP unless a `categories.txt` says otherwise. The toolkit's own: `categories.txt` and `annotations/*.csv`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..config import MODALITIES
from ..errors import InputError
from . import lists
from .lists import Span, WeakRow
from .videoset import Notice

splits = ("train", "val", "test")

LLP_CATEGORIES = (
    "Speech", "Car", "Cheering", "Dog", "Cat", "Frying_(food)", "Basketball_bounce", "Fire_alarm", "Chainsaw", "Cello", "Banjo",
    "Singing", "Chicken_rooster", "Violin_fiddle", "Vacuum_cleaner", "Baby_laughter", "Accordion", "Lawn_mower", "Motorcycle",
    "Helicopter", "Acoustic_guitar", "Telephone_bell_ringing", "Baby_cry_infant_cry", "Blender", "Clapping",
)

# What each list is called in each layout, and the folders below the data set in which it may lie.
LIST_NAMES = {
    "llp": {
        "train": "AVVP_train.csv",
        "val": "AVVP_val_pd.csv",
        "test": "AVVP_test_pd.csv",
        "audio": "AVVP_eval_audio.csv",
        "visual": "AVVP_eval_visual.csv",
    },
    "own": {
        "train": "train.csv",
        "val": "val.csv",
        "test": "test.csv",
        "audio": "eval_audio.csv",
        "visual": "eval_visual.csv",
    },
}
LIST_FOLDERS = {"llp": (".", "data", "annotations"), "own": ("annotations",)}


@dataclass(frozen=True)
class Layout:
    """What a folder is: its layout (`llp`, `own`, or `bare` without lists), its categories, and the lists that it has."""

    folder: Path
    kind: str
    categories: tuple[str, ...]
    lists: Mapping[str, Path]


@dataclass(frozen=True)
class Annotations:
    """One split's lists. `videos` are the weak rows; `spans[modality]` the events of these videos, None without dense lists.

    `eval_audio` is the version of the audio list that was used (`"2020 list"`, `"2024 corrected"`, `"other"`) or None.
    `files` names every list that was read. Notices are about whole files, so val and test share those of the dense lists.
    """

    split: str
    categories: tuple[str, ...]
    videos: tuple[WeakRow, ...]
    spans: Mapping[str, tuple[Span, ...]] | None
    files: Mapping[str, Path]
    eval_audio: str | None = None
    notices: tuple[Notice, ...] = field(default=(), repr=False)

    @property
    def filenames(self) -> tuple[str, ...]:
        return tuple(video.filename for video in self.videos)

    @property
    def weak_labels(self) -> np.ndarray:
        """(video, category) of 0 and 1, float32."""
        return np.array([[name in video.categories for name in self.categories] for video in self.videos], np.float32)

    def reference(self, snippets: int) -> tuple[np.ndarray | None, list[Notice]]:
        """The event rolls (video, modality, snippet, category), bool, and notices of spans beyond `snippets` seconds."""
        if self.spans is None:
            return None, []
        row = {name: index for index, name in enumerate(self.filenames)}
        column = {name: index for index, name in enumerate(self.categories)}
        rolls, notices = np.zeros((len(row), len(MODALITIES), snippets, len(column)), bool), []
        for index, modality in enumerate(MODALITIES):
            spans, clipped = lists.clip_spans(self.spans[modality], snippets, self.files[modality])
            notices += clipped
            for span in spans:
                rolls[row[span.filename], index, span.onset : span.offset, column[span.category]] = True
        return rolls, notices


def read_annotations(folder: str | Path, split: str, *, eval_audio: str | None = None) -> Annotations:
    """The lists of one split of a folder; needs no features.

    `eval_audio` chooses between the two published audio lists, `"corrected"` or `"2020"`; by default the corrected one
    where both are there. Missing or unreadable lists are InputErrors.
    """
    check_split(split)
    layout = find_layout(folder)
    if split not in layout.lists:
        raise InputError(f"{layout.folder}: no list of the split {split!r}: {_looked_for(layout.kind, split)}.")
    weak, notices = lists.read_weak(layout.lists[split], layout.categories)
    files, spans, version = {split: layout.lists[split]}, None, None
    dense = [name for name in MODALITIES if name in layout.lists]
    if split != "train" and dense:
        if len(dense) < len(MODALITIES):
            lacking = next(name for name in MODALITIES if name not in dense)
            raise InputError(f"{layout.folder}: one dense list without the other: {_looked_for(layout.kind, lacking)}.")
        audio, version = _choose_audio(layout.lists["audio"], eval_audio)
        files |= {"audio": audio, "visual": layout.lists["visual"]}
        spans, more = _read_spans(layout, split, weak, files)
        notices += more
        if version != "other":
            notices.append(Notice("list_version", audio.name, None, f"the audio list that was used is the version {version!r}."))
    return Annotations(split, layout.categories, tuple(weak), spans, files, version, tuple(notices))


def check_split(split: str) -> None:
    """Refuse a split that is not train, val or test."""
    if split not in splits:
        raise InputError(f"unknown split {split!r}: use one of {', '.join(splits)}.")


def find_layout(folder: str | Path, *, lists_needed: bool = True) -> Layout:
    """Recognise a data set's folder by its lists; a folder without any is an InputError, or `bare` if none are needed."""
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "there is no such folder"
        raise InputError(f"{folder}: {what}: give the folder that holds the lists and feats/.")
    for kind, names in LIST_NAMES.items():
        found = {name: path for name in names if (path := _find(folder, kind, name))}
        if any(name in found for name in splits):
            return Layout(folder, kind, _categories(folder, kind, found), found)
    if not lists_needed:
        path = folder / "categories.txt"
        return Layout(folder, "bare", lists.read_categories(path) if path.is_file() else (), {})
    raise InputError(f"{folder}: no lists here: {_looked_for('llp', *splits)}, and {_looked_for('own', *splits)}.")


def _find(folder: Path, kind: str, name: str) -> Path | None:
    file = LIST_NAMES[kind][name]
    second = file.replace("audio", "audio_2020")  # a folder may hold nothing but the old audio list
    candidates = (folder / below / choice for choice in dict.fromkeys((file, second)) for below in LIST_FOLDERS[kind])
    return next((path for path in candidates if path.is_file()), None)


def _looked_for(kind: str, *names: str) -> str:
    files = ", ".join(LIST_NAMES[kind][name] for name in names)
    places = [f"{below}/" for below in LIST_FOLDERS[kind]]
    return f"looked for {files} in {', '.join(places).replace('./', 'the folder itself')}"


def _categories(folder: Path, kind: str, found: Mapping[str, Path]) -> tuple[str, ...]:
    beside = {path.parent / "categories.txt" for path in found.values()}
    for path in (folder / "categories.txt", *sorted(beside)):
        if path.is_file():
            return lists.read_categories(path)
    if kind == "llp":
        return LLP_CATEGORIES
    raise InputError(f"{folder / 'categories.txt'}: there is no such file: write the category names into it, one a line.")


def _choose_audio(path: Path, choice: str | None) -> tuple[Path, str]:
    """The audio list to use and its version, of the one found and a second one beside it."""
    if choice not in (None, "corrected", "2020"):
        raise InputError(f"eval_audio is {choice!r}: use 'corrected' or '2020'.")
    beside = path.with_name(path.name.replace("audio.csv", "audio_2020.csv"))
    versions = {each: lists.list_version(each) for each in dict.fromkeys((path, beside)) if each.is_file()}
    old = {each: version == "2020 list" or (version == "other" and "_2020" in each.name) for each, version in versions.items()}
    # Lists that someone cut or edited match no checksum: then the file's name decides.
    fitting = [each for each in versions if old[each] == (choice == "2020")] or ([path] if choice is None else [])
    if not fitting:
        there = ", ".join(f"{each.name} ({version})" for each, version in versions.items())
        raise InputError(f"{path.parent}: no audio list of the version {choice!r}, only {there}: put the other one beside it.")
    return fitting[0], versions[fitting[0]]


def _read_spans(
    layout: Layout, split: str, weak: list[WeakRow], files: Mapping[str, Path]
) -> tuple[dict[str, tuple[Span, ...]], list[Notice]]:
    """The split's spans of each modality. Val and test share the dense lists, so both weak lists say which videos are known."""
    own = {video.filename for video in weak}
    known = set(own)
    for other in ({"val", "test"} - {split}) & set(layout.lists):
        known |= {video.filename for video in lists.read_weak(layout.lists[other], layout.categories)[0]}
    spans, notices = {}, []
    for modality in MODALITIES:
        read, odd = lists.read_dense(files[modality], layout.categories, known)
        spans[modality] = tuple(span for span in read if span.filename in own)
        notices += odd + lists.meeting_spans(spans[modality], files[modality])
    return spans, notices + list(_contradictions(weak, spans, split, files))


def _contradictions(
    weak: list[WeakRow], spans: Mapping[str, tuple[Span, ...]], split: str, files: Mapping[str, Path]
) -> Iterator[Notice]:
    """Weak labels without any event in either modality, and events of categories that are no weak label of the video."""
    events: dict[tuple[str, str], tuple[str, Span]] = {}
    for modality in MODALITIES:
        for span in spans[modality]:
            events.setdefault((span.filename, span.category), (modality, span))
    labels = {video.filename: video.categories for video in weak}
    for video in weak:
        for name in video.categories:
            if (video.filename, name) not in events:
                text = f"{video.filename} has the weak label {name}, but no event of it in the dense lists."
                yield Notice("weak_without_dense", files[split].name, video.line, text)
    for (filename, name), (modality, span) in events.items():
        if name not in labels[filename]:
            text = f"{span} is an event, but {name} is not among the weak labels of this video."
            yield Notice("dense_without_weak", files[modality].name, span.line, text)
