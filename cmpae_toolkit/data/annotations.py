"""A folder's lists as two tables: where they are, what they say, and where they contradict one another; needs no features.

Two layouts are read. LLP as published: `AVVP_*.csv` in the folder, in `data/` or in `annotations/` below it, with LLP's 25
categories unless a `categories.txt` says otherwise. The toolkit's own: `categories.txt` and `annotations/*.csv`, `.tsv`, or
folders of label files in place of a list (`annotations/val/`, `annotations/eval_audio/`, or `annotations/eval/` with tracks).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import MODALITIES
from ..errors import InputError
from .lists import Findings, list_version, read_categories, read_dense, read_weak
from .rolls import make_rolls, number, span_text
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
        "train": "AVVP_train.csv", "val": "AVVP_val_pd.csv", "test": "AVVP_test_pd.csv",
        "audio": "AVVP_eval_audio.csv", "visual": "AVVP_eval_visual.csv",
    },
    "own": {"train": "train.csv", "val": "val.csv", "test": "test.csv", "audio": "eval_audio.csv", "visual": "eval_visual.csv"},
}
LIST_FOLDERS = {"llp": (".", "data", "annotations"), "own": ("annotations",)}


@dataclass(frozen=True)
class Layout:
    """Says what a folder is: its layout (`llp`, `own`, or `bare` without lists), its categories, and the lists that it has."""

    folder: Path
    kind: str
    categories: tuple[str, ...]
    lists: Mapping[str, Path]


@dataclass(frozen=True, eq=False)
class Annotations:
    """Holds one split's lists as tables.

    `weak` has a row for each video: filename, categories (a tuple), and the file name and line where it is listed. `dense` has a
    row for each event of these videos: modality, filename, onset, offset (seconds), category, file, line; None without dense lists.
    `eval_audio` is the version of the audio list that was used ("2020 list", "2024 corrected", "other") or None. `files` names
    every list that was read. Notices are about whole files, so val and test share those of the dense lists.
    """

    split: str
    categories: tuple[str, ...]
    weak: pd.DataFrame
    dense: pd.DataFrame | None
    files: Mapping[str, Path]
    eval_audio: str | None = None
    notices: tuple[Notice, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.weak)

    @property
    def filenames(self) -> tuple[str, ...]:
        return tuple(self.weak["filename"])

    @property
    def weak_labels(self) -> np.ndarray:
        """Gives the weak labels (video, category) of 0 and 1, float32."""
        return np.array([[name in names for name in self.categories] for names in self.weak["categories"]], np.float32)

    def reference(
        self, snippets: int, snippet_seconds: float = 1.0, rows: Sequence[int] | None = None, lengths: np.ndarray | None = None
    ) -> tuple[np.ndarray | None, list[Notice]]:
        """Makes the event rolls (video, modality, snippet, category), bool, and notices of what was cut, left out or rounded.

        `rows` chooses videos of the weak table, by default all; `lengths` counts the snippets of each, by default `snippets`.
        Raises InputError where so much lies outside the videos that the times cannot be meant as they are read.
        """
        if self.dense is None:
            return None, []
        if self.dense.empty and self.weak["categories"].map(len).any():
            text = f"no event of the split {self.split!r}, though weak labels name some: are the videos called otherwise there?"
            raise InputError(f"{self.files['audio']} and {self.files['visual']}: {text}")
        chosen = self.weak["filename"] if rows is None else self.weak["filename"].iloc[list(rows)]
        lengths = np.full(len(chosen), snippets) if lengths is None else np.asarray(lengths)
        return make_rolls(self.dense, list(chosen), self.categories, snippets, lengths, snippet_seconds, self.files)


def read_annotations(folder: str | Path, split: str, *, eval_audio: str | None = None) -> Annotations:
    """Reads the lists of one split of a folder; needs no features.

    `eval_audio` chooses between the two published audio lists, `"corrected"` or `"2020"`; by default the corrected one
    where both are there. Missing or unreadable lists are InputErrors.

    >>> import tempfile
    >>> from cmpae_toolkit import data
    >>> folder = data.write_folder(data.load("tiny", "val"), tempfile.mkdtemp())
    >>> list(read_annotations(folder, "val").dense)
    ['filename', 'onset', 'offset', 'category', 'line', 'modality', 'file']
    """
    check_split(split)
    layout = find_layout(folder)
    if split not in layout.lists:
        raise InputError(f"{layout.folder}: no list of the split {split!r}: {_looked_for(layout.kind, split)}.")
    found = Findings()
    weak = read_weak(layout.lists[split], layout.categories, found)
    files, dense, version = {split: layout.lists[split]}, None, None
    lists = [name for name in MODALITIES if name in layout.lists]
    if split != "train" and lists:
        if len(lists) < len(MODALITIES):
            lacking = next(name for name in MODALITIES if name not in lists)
            raise InputError(f"{layout.folder}: one dense list without the other: {_looked_for(layout.kind, lacking)}.")
        audio, version = _choose_audio(layout.lists["audio"], eval_audio)
        files |= {"audio": audio, "visual": layout.lists["visual"]}
        dense = _read_both(layout, split, weak, files, found)
        if version != "other":
            found.note("list_version", audio, None, f"the audio list that was used is the version {version!r}.")
    found.check()
    return Annotations(split, layout.categories, weak, dense, files, version, tuple(found.notices))


def check_split(split: str) -> None:
    """Refuses a split that is not train, val or test."""
    if split not in splits:
        raise InputError(f"unknown split {split!r}: use one of {', '.join(splits)}.")


def find_layout(folder: str | Path, *, lists_needed: bool = True) -> Layout:
    """Recognises a data set's folder by its lists; a folder without any is an InputError, or `bare` if none are needed."""
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
        return Layout(folder, "bare", read_categories(path) if path.is_file() else (), {})
    raise InputError(f"{folder}: no lists here: {_looked_for('llp', *splits)}, and {_looked_for('own', *splits)}.")


def _read_both(layout: Layout, split: str, weak: pd.DataFrame, files: Mapping[str, Path], found: Findings) -> pd.DataFrame:
    """Reads the split's events of both modalities. Val and test share the dense lists, so both weak lists say which videos are known."""
    own = set(weak["filename"])
    known, other = set(own), Findings()
    for name in ({"val", "test"} - {split}) & set(layout.lists):
        known |= set(read_weak(layout.lists[name], layout.categories, other)["filename"])
    other.check()
    tables = []
    for modality in MODALITIES:
        events = read_dense(files[modality], layout.categories, known, found, modality)
        events = events[events["filename"].isin(own)].assign(modality=modality, file=files[modality].name)
        _note_meeting(events, files[modality], found)
        tables.append(events)
    dense = pd.concat(tables, ignore_index=True)
    _note_contradictions(weak, dense, files[split], found)
    return dense


def _note_meeting(events: pd.DataFrame, path: Path, found: Findings) -> None:
    """Tells neighbouring events of one video and category that meet: event-level scores read one roll, so they are one."""
    ordered = events.sort_values(["filename", "category", "onset", "offset"], kind="stable")
    before = ordered.shift()
    meets = (ordered[["filename", "category"]] == before[["filename", "category"]]).all(axis=1) & (ordered["onset"] <= before["offset"])
    for now, earlier in zip(ordered[meets].itertuples(), before[meets].itertuples(), strict=True):
        kind, verb = ("overlap", "overlaps") if now.onset < earlier.offset else ("touch", "touches")
        span = f"{number(earlier.onset)}-{number(earlier.offset)} of line {earlier.line:.0f}"
        found.note(kind, path, now.line, f"{span_text(now)} {verb} {span}; both make one event.")


def _note_contradictions(weak: pd.DataFrame, dense: pd.DataFrame, weak_path: Path, found: Findings) -> None:
    """Tells weak labels without an event, by video and for the whole split, and events whose category is no weak label of the video."""
    labels = weak.explode("categories").dropna(subset="categories")
    pairs = set(zip(labels["filename"], labels["categories"], strict=True))
    events = dense.drop_duplicates(["filename", "category"])
    confirmed = set(zip(events["filename"], events["category"], strict=True))
    for row in labels.itertuples():
        if (row.filename, row.categories) not in confirmed:
            text = f"{row.filename} has the weak label {row.categories}, but no event of it in the dense lists."
            found.note("weak_without_dense", weak_path, row.line, text)
    for row in events.itertuples():
        if (row.filename, row.category) not in pairs:
            text = f"{span_text(row)} is an event, but {row.category} is not among the weak labels of this video."
            found.notices.append(Notice("dense_without_weak", row.file, row.line, text))
    for name in dict.fromkeys(labels["categories"]):
        if not any(category == name and (filename, category) in pairs for filename, category in confirmed):
            count = (labels["categories"] == name).sum()
            text = f"{name} is a weak label of {count} videos, but no row of the dense lists confirms it in the whole split."
            found.note("never_confirmed", weak_path, None, text)


def _find(folder: Path, kind: str, name: str) -> Path | None:
    file = LIST_NAMES[kind][name]
    second = file.replace("audio", "audio_2020")  # a folder may hold nothing but the old audio list
    choices = dict.fromkeys((file, second))
    if kind == "own":  # tables of DCASE, and folders of label files; `eval` holds both modalities
        choices |= dict.fromkeys((file.replace(".csv", ".tsv"), file.removesuffix(".csv"), *(["eval"] if name in MODALITIES else [])))
    candidates = (folder / below / choice for choice in choices for below in LIST_FOLDERS[kind])
    return next((path for path in candidates if path.is_file() or (path.is_dir() and not path.suffix)), None)


def _looked_for(kind: str, *names: str) -> str:
    files = ", ".join(LIST_NAMES[kind][name] for name in names)
    places = [f"{below}/" for below in LIST_FOLDERS[kind]]
    return f"looked for {files} in {', '.join(places).replace('./', 'the folder itself')}"


def _categories(folder: Path, kind: str, found: Mapping[str, Path]) -> tuple[str, ...]:
    beside = {path.parent / "categories.txt" for path in found.values()}
    for path in (folder / "categories.txt", *sorted(beside)):
        if path.is_file():
            return read_categories(path)
    if kind == "llp":
        return LLP_CATEGORIES
    raise InputError(f"{folder / 'categories.txt'}: there is no such file: write the category names into it, one a line.")


def _choose_audio(path: Path, choice: str | None) -> tuple[Path, str]:
    """Chooses the audio list and tells its version, of the one found and a second one beside it."""
    if choice not in (None, "corrected", "2020"):
        raise InputError(f"eval_audio is {choice!r}: use 'corrected' or '2020'.")
    beside = path.with_name(path.name.replace("audio.csv", "audio_2020.csv"))
    versions = {each: list_version(each) for each in dict.fromkeys((path, beside)) if each.exists()}
    old = {each: version == "2020 list" or (version == "other" and "_2020" in each.name) for each, version in versions.items()}
    # Lists that someone cut or edited match no checksum: then the file's name decides.
    fitting = [each for each in versions if old[each] == (choice == "2020")] or ([path] if choice is None else [])
    if not fitting:
        there = ", ".join(f"{each.name} ({version})" for each, version in versions.items())
        raise InputError(f"{path.parent}: no audio list of the version {choice!r}, only {there}: put the other one beside it.")
    return fitting[0], versions[fitting[0]]
