"""What happens in the simulated videos: categories, scene, and when each category is audible and visible.

Every figure comes from `llp_statistics.json` and `ave_statistics.json`; the scenes are ours. Labels are drawn first, so that
frequencies and pairs are those of LLP or AVE; then a scene that suits them; then, for each label, in which modalities it occurs
and its spans. AVE is the special case of one label a video that is always audible and visible, over one and the same span.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from ...config import MODALITIES

SNIPPETS = 10  # the spans in the statistics are whole seconds of 10-second videos
MAX_RUNS = 3  # how often one category can come and go in one modality of a video

# Scene -> categories at home there. Speech and dogs are at home nearly everywhere, as in LLP.
SCENES: dict[str, tuple[str, ...]] = {
    "stage": ("Cello", "Violin_fiddle", "Singing", "Acoustic_guitar", "Cheering", "Clapping", "Speech"),
    "folk festival": ("Banjo", "Accordion", "Violin_fiddle", "Acoustic_guitar", "Singing", "Cheering", "Clapping", "Speech"),
    "living room": ("Cat", "Dog", "Vacuum_cleaner", "Baby_laughter", "Baby_cry_infant_cry", "Telephone_bell_ringing", "Speech"),
    "kitchen": ("Frying_(food)", "Blender", "Fire_alarm", "Telephone_bell_ringing", "Speech"),
    "road": ("Car", "Motorcycle", "Helicopter", "Fire_alarm", "Speech"),
    "yard": ("Chainsaw", "Lawn_mower", "Chicken_rooster", "Dog", "Cat", "Motorcycle", "Speech"),
    "sports hall": ("Basketball_bounce", "Cheering", "Clapping", "Speech"),
}
# The same for AVE's categories whose name LLP does not have
AVE_AT_HOME: dict[str, tuple[str, ...]] = {
    "stage": ("Flute", "Ukulele", "Female_speech_woman_speaking"),
    "folk festival": ("Flute", "Ukulele", "Mandolin", "Shofar"),
    "living room": ("Clock", "Rodents_rats_mice", "Bark", "Toilet_flush", "Female_speech_woman_speaking", "Male_speech_man_speaking"),
    "kitchen": ("Rodents_rats_mice", "Clock"),
    "road": ("Truck", "Bus", "Race_car_auto_racing", "Fixed-wing_aircraft_airplane"),
    "yard": ("Goat", "Horse", "Bark"),
    "sports hall": ("Male_speech_man_speaking", "Female_speech_woman_speaking"),
    "town": ("Church_bell", "Clock", "Bus", "Truck", "Train_horn"),
}
STRANGER = 0.04  # how well a category suits a scene in which it is not at home (at home: 1)


@dataclass(frozen=True, eq=False)
class Statistics:
    """A data set in figures. Axes: category (its own order), modality (audio, visual), seconds (1 to 10)."""

    categories: tuple[str, ...]
    train_videos: np.ndarray  # (category)
    pairs: np.ndarray  # (category, category), videos of train with both labels
    labels_per_video: dict[str, np.ndarray]  # split -> videos with 1, 2, and 3 or more labels
    pattern: np.ndarray  # (category, 3): videos of val and test with it audible only, visible only, both
    overlap: np.ndarray  # (category): mean IoU of the audible and the visible seconds
    runs: np.ndarray  # (modality, category): mean number of spans in a video
    durations: np.ndarray  # (modality, category, seconds): number of spans
    onsets: np.ndarray | None = None  # (seconds, snippet): spans of a length by where they begin; None: anywhere alike


@cache
def llp_statistics() -> Statistics:
    """The figures that were counted from the published LLP lists."""
    raw = json.loads((Path(__file__).parent / "llp_statistics.json").read_text(encoding="utf-8"))
    names, rows = tuple(raw["categories"]), list(raw["categories"].values())
    pairs = np.zeros((len(names), len(names)))
    for first, second, count in raw["pairs"]:
        i, j = names.index(first), names.index(second)
        pairs[i, j] = pairs[j, i] = count
    labels = raw["labels_per_video"]
    return Statistics(
        categories=names,
        train_videos=np.array([row["train_videos"] for row in rows], float),
        pairs=pairs,
        labels_per_video={split: np.array(counts, float) for splits, counts in labels.items() for split in splits.split(" and ")},
        pattern=np.array([[row["audio_only"], row["visual_only"], row["audio_and_visual"]] for row in rows], float),
        overlap=np.array([row["overlap"] for row in rows]),
        runs=np.array([[row["events_per_video"][m] for row in rows] for m in MODALITIES]),
        durations=np.array([[row["durations"][m] for row in rows] for m in MODALITIES], float),
    )


@cache
def ave_statistics(only_avep: bool = False) -> Statistics:
    """The figures that were counted from the published AVE lists; `only_avep`: of the 14 categories that LLP does not have."""
    raw = json.loads((Path(__file__).parent / "ave_statistics.json").read_text(encoding="utf-8"))
    names = tuple(raw["without_llp_counterpart"] if only_avep else raw["categories"])
    rows = [raw["categories"][name] for name in names]
    number = np.array([sum(row["rows"]) for row in rows], float)
    durations = np.array([row["durations"] for row in rows], float)
    onsets = np.zeros((SNIPPETS, SNIPPETS))
    for seconds, counts in raw["onsets"].items():
        onsets[int(seconds) - 1, : len(counts)] = counts
    return Statistics(
        categories=names,
        train_videos=np.array([row["rows"][0] for row in rows], float),
        pairs=np.zeros((len(names), len(names))),
        labels_per_video={split: np.array([count, 0, 0], float) for split, count in raw["rows"].items()},
        pattern=np.stack([0 * number, 0 * number, number], axis=1),
        overlap=np.ones(len(names)),
        runs=np.ones((len(MODALITIES), len(names))),
        durations=np.stack([durations] * len(MODALITIES)),
        onsets=onsets,
    )


@dataclass(frozen=True, eq=False)
class Setting:
    """What the videos of a data set share: category names in order, scenes, and how well each category suits each scene."""

    categories: tuple[str, ...]
    scenes: tuple[str, ...]
    affinity: np.ndarray  # (scene, category): 1 where a category is at home, STRANGER elsewhere

    @classmethod
    def of(cls, *parts: Statistics) -> Setting:
        """The categories of all parts, one part after the other, and the scenes in which some of them are at home."""
        categories = tuple(name for part in parts for name in part.categories)
        homes = {scene: {*SCENES.get(scene, ()), *AVE_AT_HOME.get(scene, ())} for scene in {**SCENES, **AVE_AT_HOME}}
        homes = {scene: home for scene, home in homes.items() if home & set(categories)}
        affinity = np.array([[1.0 if name in home else STRANGER for name in categories] for home in homes.values()])
        return cls(categories, tuple(homes), affinity)


@dataclass(frozen=True)
class Timelines:
    """What happens in each video: `scene` (video), index into the setting's scenes; `rolls` (video, modality, snippet, category), bool."""

    scene: np.ndarray
    rolls: np.ndarray

    @property
    def weak_labels(self) -> np.ndarray:
        """(video, category) of 0 and 1, float32: what is audible or visible at any time."""
        return self.rolls.any(axis=(1, 2)).astype(np.float32)

    def part(self, start: int, stop: int | None) -> Timelines:
        """The videos from `start` to before `stop`."""
        return Timelines(self.scene[start:stop], self.rolls[start:stop])


def draw_timelines(
    statistics: Statistics, setting: Setting, split: str, count: int, background: int, one_sided: tuple[float, ...],
    rng: np.random.Generator,
) -> Timelines:
    """Labels, scene and spans of `count` videos of a split, and of as many `background` videos in which nothing occurs.

    `one_sided` scales, for videos with 1, 2 and 3 labels, the chance that a label occurs in just one modality. The rolls have
    the setting's categories, of which the statistics may know a part.
    """
    labels = np.pad(_draw_labels(statistics, count, split, rng), ((0, background), (0, 0)))
    columns = np.array([setting.categories.index(name) for name in statistics.categories])
    scene = draw_rows(np.exp(labels @ np.log(setting.affinity[:, columns]).T), rng)  # in proportion to how well the labels suit it
    video, category = np.nonzero(labels)
    pattern = statistics.pattern[category]
    pattern[:, :2] *= np.array(one_sided)[labels.sum(axis=1)[video] - 1, None]
    kind = draw_rows(pattern, rng)  # 0 audible only, 1 visible only, 2 both
    spans = _draw_both(statistics, category, _togetherness(statistics)[category], rng)
    spans &= np.stack([kind != 1, kind != 0])[:, :, None]
    rolls = np.zeros((count + background, len(MODALITIES), SNIPPETS, len(setting.categories)), bool)
    for modality in range(len(MODALITIES)):
        rolls[video, modality, :, columns[category]] = spans[modality]
    return Timelines(scene, rolls)


def draw_rows(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One column index for each row of non-negative weights."""
    return _columns(weights, rng.random((len(weights), 1)))


def _columns(weights: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """The column of each row of weights to which a random number (row, 1) leads."""
    cumulative = np.cumsum(weights, axis=1)
    return (cumulative > uniform * cumulative[:, -1:]).argmax(axis=1)


def _draw_labels(statistics: Statistics, count: int, split: str, rng: np.random.Generator) -> np.ndarray:
    """(video, category), bool: number of labels, single labels and pairs as counted; a third label joins by its pairs with both."""
    shares = statistics.labels_per_video[split]
    number = 1 + rng.choice(len(shares), size=count, p=shares / shares.sum())
    singles = np.maximum(statistics.train_videos - statistics.pairs.sum(axis=1), 1)
    pairs = statistics.pairs if statistics.pairs.any() else np.ones_like(statistics.pairs)  # drawn, though no video takes one
    single = rng.choice(len(singles), size=count, p=singles / singles.sum())
    pair = rng.choice(pairs.size, size=count, p=pairs.ravel() / pairs.sum())
    first, second = np.unravel_index(pair, pairs.shape)
    first = np.where(number == 1, single, first)
    third_weights = (pairs[first] + 1) * (pairs[second] + 1)
    rows = np.arange(count)
    third_weights[rows, first] = third_weights[rows, second] = 0
    third = draw_rows(third_weights, rng)
    labels = np.zeros((count, len(singles)), bool)
    labels[rows, first] = True
    labels[rows[number > 1], second[number > 1]] = True
    labels[rows[number > 2], third[number > 2]] = True
    return labels


@cache
def _togetherness(statistics: Statistics) -> np.ndarray:
    """(category): share of events whose two timelines come from one draw, so that their mean IoU is as counted.

    LLP's two spans are identical in 60 % of the events, yet a dog is often in sight all the time and heard for a second.
    """
    rng = np.random.default_rng(0)
    category = np.repeat(np.arange(len(statistics.categories)), 500)
    ious = []
    for share in (0.0, 1.0):
        audible, visible = _draw_both(statistics, category, np.full(len(category), share), rng)
        iou = (audible & visible).sum(axis=1) / (audible | visible).sum(axis=1)
        ious.append(iou.reshape(len(statistics.categories), -1).mean(axis=1))
    apart, same = ious
    return np.clip((statistics.overlap - apart) / (same - apart), 0, 1)


def _draw_both(statistics: Statistics, category: np.ndarray, together: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(modality, event, snippet), bool: audible and visible spans of events of the given categories.

    With probability `together` (event) both timelines read the same random numbers.
    """
    shape = (len(category), 2 * MAX_RUNS + 1)
    audio, apart = rng.random(shape), rng.random(shape)
    visual = np.where(rng.random((len(category), 1)) < together[:, None], audio, apart)
    drawn = [_spans(statistics, m, category, u) for m, u in enumerate((audio, visual))]
    return np.stack(drawn)


def _spans(statistics: Statistics, m: int, category: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """(event, snippet), bool. `uniform` (event, 2 MAX_RUNS + 1) holds the random numbers: number of runs, lengths, positions."""
    second = (statistics.runs[m] - 1) / 1.25  # P(at least 2 runs); a third comes in a quarter of these
    number = 1 + (uniform[:, 0] < second[category]).astype(int) + (uniform[:, 0] < second[category] / 4)
    alone, several = _duration_tables(second, statistics.durations[m])
    tables = np.cumsum(np.where((number == 1)[:, None], alone[category], several[category]), axis=1)
    lengths = 1 + (tables[:, None, :] < uniform[:, 1 : 1 + MAX_RUNS, None]).sum(axis=2)
    lengths = np.minimum(lengths, SNIPPETS) * (np.arange(MAX_RUNS) < number[:, None])
    rows = np.arange(len(category))
    for _ in range(MAX_RUNS):  # runs that do not fit with a second between them: the longest gives way
        excess = np.maximum(lengths.sum(axis=1) + number - 1 - SNIPPETS, 0)
        longest = lengths.argmax(axis=1)
        lengths[rows, longest] = np.maximum(lengths[rows, longest] - excess, 1)
    return _place(lengths, number, uniform[:, 1 + MAX_RUNS :], statistics.onsets)


def _duration_tables(second: np.ndarray, durations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(category, seconds) probabilities of a length, for runs that are alone and for runs that share a video.

    Runs that share a video are shorter; the table for single runs is what is left, so that all runs together keep the counts.
    """
    overall = durations / durations.sum(axis=1, keepdims=True)
    several = overall * np.exp(-0.25 * np.arange(SNIPPETS)) * (np.arange(SNIPPETS) < SNIPPETS - 2)
    several /= np.maximum(several.sum(axis=1, keepdims=True), 1e-9)
    shared_runs = second * 2.25 / (1 + 1.25 * second)
    alone = np.maximum(overall - shared_runs[:, None] * several, 0)
    return alone / alone.sum(axis=1, keepdims=True), several


def _place(lengths: np.ndarray, number: np.ndarray, uniform: np.ndarray, onsets: np.ndarray | None) -> np.ndarray:
    """(event, snippet), bool: the runs in order, with the free seconds split at random, or by `onsets`, into a start and gaps."""
    free = SNIPPETS - lengths.sum(axis=1) - (number - 1)
    second = np.arange(SNIPPETS)
    spans = np.zeros((len(lengths), SNIPPETS), bool)
    start = np.zeros(len(lengths), int)
    for k in range(lengths.shape[1]):
        by_chance = onsets is None or k > 0
        skipped = np.floor(uniform[:, k] * (free + 1)).astype(int) if by_chance else _columns(onsets[lengths[:, 0] - 1], uniform[:, :1])
        free, start = free - skipped, start + skipped
        stop = start + lengths[:, k]
        spans |= (second >= start[:, None]) & (second < stop[:, None])
        start = stop + 1
    return spans
