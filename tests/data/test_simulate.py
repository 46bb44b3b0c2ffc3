"""The simulated data: reproducible, LLP-shaped, and hard in the ways that the method is about.

The AVE- and AVEP-shaped sets are tested in test_simulate_ave.py.
"""

import hashlib
import itertools
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit import metrics
from cmpae_toolkit.data.simulation.simulate import SIZES, SPLITS, simulate, truth, video_timelines
from cmpae_toolkit.data.simulation.timelines import SCENES, llp_statistics
from cmpae_toolkit.data.simulation.world import ALIKE, SimulatorConfig, World
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.methods.linear_probe import micro_f1, probe_scores, snippet_inputs, weak_probe

LLP = llp_statistics()
LLP_SIZES = ("tiny", "small", "full")
SHARED_STATISTICS = Path(__file__).parents[3] / "shared" / "data" / "llp_statistics.json"

# LLP test (reference, section 5): audio, visual, audio-visual, type, event, at segment and at event level
LLP_NOTHING = [0.50, 10.08, 14.50, 8.36, 0.00] * 2
LLP_WEAK_LABELS = {"type": (63.03, 54.49), "event": (71.73, 61.60)}

# The sets on which the shipped checkpoint and the stored results rest: checksum of the set, digest of its event rolls, and
# a weighted sum of each stream
PINNED = {
    ("tiny", "train"): ("1985123167a1", "a7f216ea8b6e8014", (-1537.17781310, -2681.01108709, -1244.69965299)),
    ("tiny", "val"): ("2d06c7385b1c", "f1f73c31fc99253c", (-780.45054047, -1616.57689548, -726.51627799)),
    ("tiny", "test"): ("c2068cfc360c", "d34effa86eff3506", (-685.05272721, -1195.19884569, -685.96246837)),
    ("small", "train"): ("e35c7a48e2d2", "f9de48198d44ea9f", (-52052.2010349, -46584.6279864, -55783.0655499)),
    ("small", "val"): ("9b4b6bf86182", "b5ff7069078ff7ae", (-7204.04752168, -7334.36310726, -8676.95986385)),
    ("small", "test"): ("26fd901ba42b", "bcf1c900781d9b06", (-15337.5121939, -14155.8567568, -16732.8796488)),
}
PINNED_ARITHMETIC = "e005cc417989"  # of the machine that the checksums are from


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def arithmetic():
    """Twelve hex digits of how this machine rounds: processors differ in the last bit of a matrix product."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    a, b, c = normal(640, 48), normal(48, 64), normal(64, 10, 25)
    parts = [a @ b, np.einsum("vtc,vcd->vtd", c, normal(64, 25, 48), optimize=True), np.exp(a), np.linalg.norm(a, axis=-1)]
    parts.append(np.einsum("vcr,crd->vcd", normal(64, 25, 3), normal(25, 3, 48), optimize=True))
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()[:12]


def weighted_sum(stream):
    """One number that depends on every value, and hardly on how it was rounded."""
    weights = np.random.default_rng(7).standard_normal(stream[0].size)
    return stream.reshape(len(stream), -1).astype(float) @ weights @ np.arange(1, len(stream) + 1) / len(stream)


@pytest.fixture(scope="module")
def small():
    return {split: simulate("small", split) for split in SPLITS}


@pytest.fixture(scope="module")
def inputs(small):
    """(split, modality) -> snippet features as an array."""
    return {(s, m): snippet_inputs(small[s], m).numpy() for s in ("train", "test") for m in ("audio", "visual")}


@pytest.fixture(scope="module")
def scores(small):
    return probe_scores(small["train"], small["val"], small["test"], truth("small", "train"))


@pytest.fixture(scope="module")
def many():
    """The timelines of 10,000 training videos."""
    return video_timelines("full", "train")


@pytest.fixture(scope="module")
def dense():
    """Rolls of 3 x 1,849 videos of val and test, as many as LLP's dense annotations have, from three seeds."""
    return np.concatenate([truth("full", split, seed) for split in ("val", "test") for seed in range(3)])


def runs(rolls):
    """The number of runs, and of runs of each length: (modality, category), (modality, category, seconds)."""
    found = np.zeros((2, rolls.shape[3], rolls.shape[2]), int)
    for m, c in itertools.product(range(2), range(rolls.shape[3])):
        padded = np.pad(rolls[:, m, :, c], ((0, 0), (1, 1))).astype(int)
        steps = np.diff(padded, axis=1)
        lengths = np.nonzero(steps == -1)[1] - np.nonzero(steps == 1)[1]
        found[m, c] = np.bincount(lengths, minlength=rolls.shape[2] + 1)[1:]
    return found.sum(axis=2), found


def read_out(fit, target, new, penalty=50.0):
    """Ridge regression on standardised inputs: what a linear layer reads of `target` (row, output)."""
    mean, scale = fit.mean(axis=0), fit.std(axis=0) + 1e-3
    fit, new = (fit - mean) / scale, (new - mean) / scale
    weight = np.linalg.solve(fit.T @ fit + penalty * np.eye(fit.shape[1]), fit.T @ (target - target.mean(axis=0)))
    return new @ weight + target.mean(axis=0)


# Reproducible


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_equal_arguments_give_equal_bits(size):
    first, second = simulate(size, "val", seed=3), simulate(size, "val", seed=3)
    assert all(np.array_equal(first.features[name], second.features[name]) for name in first.features)
    assert np.array_equal(first.weak_labels, second.weak_labels)
    assert np.array_equal(first.reference, second.reference)
    assert first.checksum() == second.checksum()


@pytest.mark.parametrize(("size", "split"), PINNED)
def test_sets_are_those_that_stored_results_rest_on(size, split):
    checksum, rolls, sums = PINNED[size, split]
    made = simulate(size, split)
    assert digest(np.packbits(truth(size, split))).startswith(rolls)
    assert list(made.features) == ["audio", "frames", "clip"]
    assert [weighted_sum(x) for x in made.features.values()] == pytest.approx(sums, rel=1e-6)
    if arithmetic() == PINNED_ARITHMETIC:
        assert made.checksum() == checksum


def test_seeds_splits_and_sizes_differ():
    sets = [simulate("tiny", "val"), simulate("tiny", "val", seed=1), simulate("tiny", "test"), simulate("small", "val")]
    assert len({s.weak_labels.tobytes() for s in sets}) == 4
    worlds = [World.draw(SimulatorConfig(), seed) for seed in (0, 0, 1)]
    assert np.array_equal(worlds[0].prototypes, worlds[1].prototypes)
    assert not np.allclose(worlds[0].prototypes, worlds[2].prototypes)


def test_fewer_videos_are_the_first_videos(small):
    few = simulate("small", "test", videos=70)  # not a whole number of chunks
    assert few.ids == small["test"].ids[:70]
    assert all(np.array_equal(x, small["test"].features[name][:70]) for name, x in few.features.items())
    assert np.array_equal(few.reference, small["test"].reference[:70])
    assert np.array_equal(truth("small", "test", videos=70), few.reference)


# Shapes


@pytest.mark.parametrize("size", LLP_SIZES)
@pytest.mark.parametrize("split", SPLITS)
def test_shapes(size, split):
    few = 3 if size == "full" else None
    made = simulate(size, split, videos=few)
    count = few or SIZES[size].videos[split]
    assert (len(made), made.snippets, made.name, made.simulated) == (count, 10, f"simulated {size}", True)
    for name, stream in SIZES[size].streams.items():
        x = made.features[name]
        assert x.shape == (count, 10 * stream.per_snippet, stream.width)
        assert x.dtype == SIZES[size].dtype
        assert np.isfinite(x).all() and (x >= 0).all() and 0.2 < (x == 0).mean() < 0.8
    assert made.spec.streams == SIZES[size].streams
    assert made.weak_labels.shape == (count, 25) and made.weak_labels.dtype == np.float32
    assert made.categories == LLP.categories
    assert all(len(i) == 11 for i in made.ids) and len(set(made.ids)) == count
    rolls = truth(size, split, videos=few)
    assert (made.reference is None) if split == "train" else np.array_equal(made.reference, rolls)
    assert np.array_equal(made.weak_labels, rolls.any(axis=(1, 2)))


def test_full_is_the_size_of_llp():
    assert SIZES["full"].videos == {"train": 10_000, "val": 649, "test": 1_200}
    shapes = {name: (s.per_snippet * 10, s.width) for name, s in SIZES["full"].streams.items()}
    assert shapes == {"audio": (10, 128), "frames": (80, 2048), "clip": (10, 512)}


def test_full_needs_little_more_memory_than_its_arrays():
    tracemalloc.start()
    made = simulate("full", "train", videos=320)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    arrays = sum(x.nbytes for x in made.features.values())
    assert peak < arrays + 80e6, "one chunk of 64 videos in float32, 42 MB, and what it is made of"


@pytest.mark.parametrize(
    "arguments", [dict(size="huge"), dict(split="dev"), dict(seed=-1), dict(videos=0)], ids=["size", "split", "seed", "videos"]
)
def test_bad_arguments(arguments):
    with pytest.raises(InputError, match="use"):
        simulate(**dict(size="tiny", split="val") | arguments)


# Like LLP


@pytest.mark.skipif(not SHARED_STATISTICS.is_file(), reason="the counted statistics are not beside this checkout")
def test_statistics_are_the_counted_ones():
    counted = json.loads(SHARED_STATISTICS.read_text())
    assert [row["category"] for row in counted["categories"]] == list(LLP.categories)
    off_diagonal = np.array(counted["train_cooccurrence"]) * (1 - np.eye(25))
    assert np.array_equal(LLP.pairs, off_diagonal)
    assert list(LLP.labels_per_video["train"]) == list(counted["labels_per_train_video"].values())
    for c, row in enumerate(counted["categories"]):
        assert LLP.train_videos[c] == row["train_videos"] and LLP.overlap[c] == row["mean_overlap_iou"]
        assert list(LLP.pattern[c]) == [row["audio_only"], row["visual_only"], row["audio_and_visual"]]
        for m, modality in enumerate(("audio", "visual")):
            assert LLP.runs[m, c] == row[f"{modality}_events_per_video"]
            assert list(LLP.durations[m, c]) == row[f"{modality}_duration_counts_1_to_10"]


def test_category_frequencies(many):
    expected = LLP.train_videos
    difference = np.abs(many.weak_labels.sum(axis=0) - expected)
    assert (difference < 4 * np.sqrt(expected)).all(), "within four standard deviations of a count"


def test_labels_per_video(many, dense):
    for rolls, split in ((many.rolls, "train"), (dense, "test")):
        number = rolls.any(axis=(1, 2)).sum(axis=1)
        shares = np.bincount(number, minlength=4)[1:] / len(number)
        expected = LLP.labels_per_video[split] / LLP.labels_per_video[split].sum()
        assert np.abs(shares - expected).max() < 0.02


def test_pairs(many):
    labels = many.weak_labels
    together = (labels.T @ labels)[np.triu_indices(25, 1)]
    expected = LLP.pairs[np.triu_indices(25, 1)]
    assert np.corrcoef(together, expected)[0, 1] > 0.99
    assert together[expected == 0].sum() < 0.01 * together.sum(), "only third labels make pairs that LLP lacks"


def test_modality_shares(dense):
    audible, visible = dense.any(axis=2).transpose(1, 0, 2)
    labels = audible | visible
    kinds = [audible & ~visible, visible & ~audible, audible & visible]
    shares = np.array([kind.sum() for kind in kinds]) / labels.sum()
    expected = LLP.pattern.sum(axis=0) / LLP.pattern.sum()
    assert np.abs(shares - expected).max() < 0.03
    single = labels.sum(axis=1) == 1
    assert abs(kinds[2][single].sum() / single.sum() - 0.83) < 0.03
    by_category = np.array([kind.sum(axis=0) for kind in kinds]) / labels.sum(axis=0)
    assert np.abs(by_category - LLP.pattern.T / LLP.pattern.sum(axis=1)).max() < 0.15, "rare categories have about 60 labels"
    speech = LLP.categories.index("Speech")
    assert by_category[0, speech] > 0.7, "speech is mostly off screen"


def test_spans(dense):
    number, lengths = runs(dense)
    per_video = number / dense.any(axis=2).sum(axis=0)
    assert np.abs(per_video - LLP.runs).max() < 0.2 and np.abs(per_video - LLP.runs).mean() < 0.05
    seconds = np.arange(1, 11)
    mean_length = lengths @ seconds / number
    expected = LLP.durations @ seconds / LLP.durations.sum(axis=2)
    assert np.abs(mean_length - expected).mean() < 0.4, "seconds"
    for m in range(2):
        overall, counted = (x[m].sum(axis=0) / x[m].sum() for x in (lengths, LLP.durations))
        assert np.abs(overall - counted).max() < 0.04


def test_overlap_of_audible_and_visible_spans(dense):
    both, either = dense.all(axis=1).sum(axis=1), dense.any(axis=1).sum(axis=1)
    with_both = dense.any(axis=2).all(axis=1)
    iou = both / np.maximum(either, 1)
    by_category = np.array([iou[with_both[:, c], c].mean() for c in range(25)])
    assert np.abs(by_category - LLP.overlap).mean() < 0.04
    assert abs(iou[with_both].mean() - 0.825) < 0.03
    assert 0.45 < (iou[with_both] == 1).mean() < 0.65, "in LLP, 60 % are identical"


def test_floors_are_those_of_llp(small):
    nothing, everywhere = metrics.floors(small["test"].weak_labels, small["test"].reference).values()
    measured = [nothing[level][score] for level in metrics.LEVELS for score in metrics.SCORES]
    assert np.abs(np.subtract(measured, LLP_NOTHING)).max() < 1.5
    for score, expected in LLP_WEAK_LABELS.items():
        for level, value in zip(metrics.LEVELS, expected, strict=True):
            assert abs(everywhere[level][score] - value) < 1.5


# Hard in the right ways


def test_probes_leave_room_above_weak_training(scores):
    kind = scores["segment", "type"]
    nothing, everywhere, weak, strong = kind
    assert list(kind.index)[2:] == ["weak probe, gated", "strong probe, gated"]
    assert 50 < weak < 62 and 68 < strong < 78
    assert strong > everywhere + 5, "the truth about time and modality is worth more than the true weak labels"
    assert strong > weak + 10 > nothing
    assert 80 < scores.attrs["video_f1"] < 90
    assert scores["event", "type"].iloc[3] > scores["event", "type"].iloc[2] + 10


def test_probe_scores_need_references(small):
    with pytest.raises(InputError, match="reference"):
        probe_scores(small["train"], small["train"], small["test"], truth("small", "train"))


def test_weak_probe_is_reproducible_and_learns():
    made = simulate("tiny", "train")
    audio = snippet_inputs(made, "audio")
    first, second = (weak_probe(audio, made.weak_labels, seed=1).probability(audio) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == (96, 10, 25)
    assert micro_f1(first.max(axis=1) > 0.5, made.weak_labels > 0.5) > 0.5, "on the videos it was trained on"


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_scene_can_be_read_from_each_modality(inputs, modality):
    fit, test = (video_timelines("small", split) for split in ("train", "test"))
    means = [inputs[split, modality].mean(axis=1) for split in ("train", "test")]
    right = read_out(means[0], np.eye(len(SCENES))[fit.scene], means[1]).argmax(axis=1) == test.scene
    chance = np.bincount(test.scene).max() / len(test.scene)
    assert right.mean() > 0.85 > chance + 0.5
    absent = ~test.rolls[:, ["audio", "visual"].index(modality)].any(axis=(1, 2))
    assert absent.any() and right[absent].mean() > 0.7, "also where no category is to be heard or seen"


def separation(inputs, modality, pair):
    """How well a linear read-out tells the snippets of one category from those of the other, where it is audible and visible.

    The share of rightly ordered pairs of snippets (area under the ROC curve): 0.5 is chance, however rare a category is.
    """
    first, second = (LLP.categories.index(name) for name in pair)
    data = []
    for split in ("train", "test"):
        rolls = truth("small", split)
        present, active = rolls.any(axis=(1, 2)), rolls.all(axis=1)
        only_one = (active[..., first] ^ active[..., second]) & (present[:, first] ^ present[:, second])[:, None]
        data.append((inputs[split, modality][only_one], active[only_one][:, first]))
    (fit, target), (new, wanted) = data
    answer = read_out(fit, target[:, None].astype(float), new)[:, 0]
    return (answer[wanted][:, None] > answer[~wanted]).mean()


@pytest.mark.parametrize("confused", ["audio", "visual"])
def test_what_one_modality_confuses_the_other_tells_apart(inputs, confused):
    clear = "visual" if confused == "audio" else "audio"
    pairs = [pair for group in ALIKE[confused] for pair in itertools.combinations(group, 2)]
    by_confused, by_clear = (np.mean([separation(inputs, m, pair) for pair in pairs]) for m in (confused, clear))
    assert by_clear > 0.95
    assert by_confused < 0.85, "the rest is the scene: blenders are in kitchens, vacuum cleaners are not"


def test_cello_and_violin_are_told_apart_by_sight(inputs):
    pair = ("Cello", "Violin_fiddle")
    assert separation(inputs, "audio", pair) < 0.8
    assert separation(inputs, "visual", pair) > 0.95


def test_prototypes_of_confusable_categories():
    world = World.draw(SimulatorConfig(), seed=0)
    cosine = world.prototypes @ world.prototypes.transpose(0, 2, 1)
    for m, modality in enumerate(("audio", "visual")):
        for group in ALIKE[modality]:
            for pair in itertools.combinations([LLP.categories.index(name) for name in group], 2):
                assert cosine[m][pair] > 0.9
                assert cosine[1 - m][pair] < 0.6
