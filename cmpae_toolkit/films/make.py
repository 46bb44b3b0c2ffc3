"""A data set of films: the films themselves, their exact labels in the toolkit's folder format, and features.

    FOLDER/videos/<id>.mp4       the films
    FOLDER/films.json            that they are synthetic, their seed, and the versions that made them
    FOLDER/categories.txt, annotations/, dataset.json, feats/, extraction.json    as in any folder that `extract` made (docs/extract.md)

The lists of a split are written when its films and features are there, so a folder that was cut off is finished by the same call.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from .. import __version__
from .._files import check_space, hold, home, read_json, write_atomically, write_json, write_text
from ..config import MODALITIES
from ..data.annotations import LIST_NAMES, splits
from ..data.lists import DENSE_COLUMNS, WEAK_COLUMNS, write_rows
from ..data.source import DESCRIPTION, PROVENANCE
from ..errors import InputError
from ..extract import extract
from ..extract.decoding import need_av
from .film import Film, films, write_mp4
from .world import CATEGORIES, MOST

NAME = "synthetic films"
VIDEOS = 600  # of the data set `films`
SHARES = {"train": 4, "val": 1, "test": 1}
VERSION = 1  # of the films; another one looks or sounds different
BYTES = 300_000  # of a film and its features, at most
FILMS = "films.json"


def make_films(
    out: str | Path, videos: int = VIDEOS, seed: int = 0, *, showcase: int = 0, networks: str | None = "light", workers: int = -1,
    progress: bool = True,
) -> Path:
    """Makes a data set of synthetic films in the folder `out` and returns it; what is already there is kept.

    Four sixths of `videos` (6 or more) are for training, a sixth each for val and test. `showcase` makes only so many films of
    the test split, those that together show the most. `networks`: what makes the features, as in `extract`; without any there are
    films and labels only. `workers`: processes that work side by side, -1 for one a core. Equal seeds give equal films and labels,
    whatever the number of workers; another seed gives other films. Raises InputError where PyAV is missing, for numbers out of
    range, and for a folder of other films or of other networks' features.
    """
    need_av()
    _check(videos, seed, showcase)
    out, chosen = Path(out), plan(videos, seed, showcase)
    everything = [film for each in chosen.values() for film in each]
    with hold(out):
        check_space(out, BYTES * len(everything), "the films")
        _begin(out, {"seed": seed, "videos": {split: len(each) for split, each in chosen.items()}, "showcase": bool(showcase)})
        _write_films(everything, out, workers, progress)
    if networks is not None:
        add_features(out, networks, workers, progress)
    with hold(out):
        write_lists(chosen, out)
    return out


def add_features(folder: Path, networks: str, workers: int = -1, progress: bool = True) -> None:
    """Extracts the features of the films in `folder`/videos that have none yet, as `extract` does for anybody's films.

    The provenance keeps what holds for all films alone, so that a folder may be moved. Raises InputError for a film that cannot be
    read, and where the folder holds features of other networks.
    """
    report = extract(folder / "videos", folder, networks=networks, workers=_processes(workers), progress=progress)
    for path, problem in report.failed.items():
        raise InputError(f"{path}: this film cannot be read ({problem}): remove it and make it again.")
    told = read_json(folder / PROVENANCE)
    write_json(folder / PROVENANCE, {name: told[name] for name in told if name != "films"})


def plan(videos: int = VIDEOS, seed: int = 0, showcase: int = 0) -> dict[str, list[Film]]:
    """Says which films a data set holds, split -> films; with `showcase` only so many of the test split."""
    parts = {split: videos * share // sum(SHARES.values()) for split, share in SHARES.items()}
    parts["train"] += videos - sum(parts.values())
    if not showcase:
        return {split: films(split, count, seed) for split, count in parts.items()}
    return {"test": _most_telling(films("test", parts["test"], seed), showcase)}


def truth(split: str, videos: int, seed: int = 0) -> np.ndarray:
    """Gives the event rolls of the first so many films of a split, train included: (video, modality, snippet, category), bool."""
    return np.stack([film.roll for film in films(split, videos, seed)])


def ready(progress: bool = True) -> Path:
    """Finds the data set `films` under `home()`, which is made first if it is not there or was not finished."""
    folder = home() / "films"
    finished = (folder / "annotations" / LIST_NAMES["own"]["train"]).is_file()
    if not finished or read_json(folder / FILMS).get("version") != VERSION:
        print(f"The synthetic films are made once, in {folder}; this takes some minutes.", file=sys.stderr)
        make_films(folder, progress=progress)
    return folder


def write_lists(chosen: dict[str, list[Film]], folder: Path) -> None:
    """Writes categories, description, dense lists and weak lists, in this order, from the films' own rolls."""
    write_text(folder / "categories.txt", "".join(f"{name}\n" for name in CATEGORIES))
    extracted = read_json(folder / PROVENANCE)["networks"]["streams"] if (folder / PROVENANCE).is_file() else {}
    streams = {name: {"modality": modality} for name, modality in extracted.items()}
    write_json(folder / DESCRIPTION, {"name": NAME, "simulated": True, "snippet_seconds": 1.0, "streams": streams})
    lists, annotations = LIST_NAMES["own"], folder / "annotations"
    judged = [film for split, each in chosen.items() if split != "train" for film in each]
    for index, modality in enumerate(MODALITIES):
        rows = [(f.id, on, off, name) for f in judged for name in f.names(index) for on, off in f.spans(index, name)]
        write_rows(annotations / lists[modality], DENSE_COLUMNS, rows)
    for split in sorted(chosen, key=splits.index, reverse=True):
        rows = [(f.id, ",".join(np.array(CATEGORIES)[f.roll.any(axis=(0, 1))])) for f in chosen[split]]
        write_rows(annotations / lists[split], WEAK_COLUMNS, rows)


def _check(videos: int, seed: int, showcase: int) -> None:
    if not sum(SHARES.values()) <= videos <= MOST:
        raise InputError(f"{videos} films were asked for: use {sum(SHARES.values())} to {MOST}, so that every split has one.")
    if seed < 0:
        raise InputError(f"the seed is {seed}: use 0 or more.")
    if not 0 <= showcase <= videos // sum(SHARES.values()):
        raise InputError(f"{showcase} films of the test split were asked for: it has {videos // sum(SHARES.values())}.")


def _begin(out: Path, wanted: dict[str, Any]) -> None:
    """Refuses a folder that holds something else; says in `films.json` what it will hold."""
    import av

    wanted = {"synthetic": True, "version": VERSION, **wanted}
    if (out / FILMS).is_file():
        found = read_json(out / FILMS)
        if {name: found.get(name) for name in wanted} != wanted:
            raise InputError(f"{out} holds other films (another seed, number or version): choose another folder, or remove this one.")
        return
    if (out / "annotations").exists() or (out / "videos").exists():
        raise InputError(f"{out} holds another data set: choose another folder.")
    write_json(out / FILMS, wanted | {"made_with": {"cmpae_toolkit": __version__, "av": av.__version__, "numpy": np.__version__}})


def _processes(workers: int) -> int:
    return workers if workers > 0 else os.cpu_count() or 1


def _write_films(chosen: Sequence[Film], out: Path, workers: int, progress: bool) -> None:
    from joblib import Parallel, delayed

    jobs = [delayed(_write_film)(film, out) for film in chosen]
    done = Parallel(n_jobs=min(_processes(workers), len(jobs)), return_as="generator_unordered")(jobs)
    for _ in tqdm(done, desc="make films", total=len(jobs), unit="film", leave=False, disable=not progress):
        pass


def _write_film(film: Film, out: Path) -> None:
    path = out / "videos" / f"{film.id}.mp4"
    if not path.is_file():
        write_atomically(path, lambda file: write_mp4(film, file))


def _most_telling(candidates: list[Film], count: int) -> list[Film]:
    """Chooses, one after the other, the film that adds most to what the chosen ones show: a thing heard, seen, or only one of both."""
    chosen, shown = [], Counter()

    def worth(film: Film) -> float:
        """A film with less in it costs less room in the eye and the ear, so it may add less."""
        return sum(1 / (1 + shown[fact]) ** 2 for fact in _facts(film)) / len(_facts(film)) ** 0.4

    for _ in range(count):
        best = max((film for film in candidates if film not in chosen), key=worth)
        chosen.append(best)
        shown.update(_facts(best))
    return sorted(chosen, key=lambda film: film.id)


def _facts(film: Film) -> set[tuple]:
    heard, seen = set(film.names(0)), set(film.names(1))
    kinds = {(name, "heard only" if name not in seen else "seen only" if name not in heard else "both") for name in heard | seen}
    return kinds | {(name, "there") for name in heard | seen} | {("scene", film.scene)}
