"""The simulated sets in the shape of AVE and AVEP: what is in them, and that their presets train, decode and score on them."""

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from cmpae_toolkit import decode, metrics
from cmpae_toolkit.config import presets
from cmpae_toolkit.data.simulation import timelines
from cmpae_toolkit.data.simulation.simulate import SIZES, SPLITS, simulate, truth
from cmpae_toolkit.data.simulation.timelines import Setting, ave_statistics, draw_timelines, llp_statistics
from cmpae_toolkit.data.simulation.world import AVE_ALIKE, SimulatorConfig, World, generator
from cmpae_toolkit.inference import evaluate, predict
from cmpae_toolkit.methods.linear_probe import snippet_inputs
from cmpae_toolkit.train import fit

AVE, AVE14, LLP = ave_statistics(), ave_statistics(only_avep=True), llp_statistics()
FACTS = json.loads((Path(timelines.__file__).parent / "ave_statistics.json").read_text())
VIDEOS = {  # AVE: 178 background videos for 3,339; AVEP: 1,581 / 190 / 190 of AVE's for 10,000 / 649 / 1,200 of LLP's
    "tiny-ave": (400 + 21, 56, 56), "ave": (1200 + 64, 200, 200), "tiny-avep": (400 + 63, 60 + 18, 60 + 10),
    "avep": (2000 + 316, 300 + 88, 600 + 95),
}
QUICK = dict(width=64, batch_size=16, epochs=8, decay_epochs=5, estimator_epochs=3, learning_rate=3e-3)


@pytest.fixture(scope="module")
def ave():
    return {split: simulate("tiny-ave", split) for split in SPLITS}


@pytest.fixture(scope="module")
def ave_run(ave):
    return fit(presets["ave"].changed(**QUICK), ave["train"], ave["val"], progress=False)


@pytest.fixture(scope="module")
def many():
    """Rolls (video, snippet, category) of 10,000 AVE-shaped events, and the number of the category and first and last snippet."""
    rolls = draw_timelines(AVE, Setting.of(AVE), "train", 10_000, 0, SimulatorConfig().one_sided, generator(5)).rolls
    assert np.array_equal(rolls[:, 0], rolls[:, 1]), "audible and visible over the same span"
    return rolls[:, 0], *events(rolls)


def events(rolls):
    """Category, onset and offset of the one event of each video."""
    on = rolls[:, 0]
    assert (on.any(axis=1).sum(axis=1) == 1).all()
    snippets = on.any(axis=2)
    onset, length = snippets.argmax(axis=1), snippets.sum(axis=1)
    seconds = np.arange(on.shape[1])
    assert np.array_equal(snippets, (seconds >= onset[:, None]) & (seconds < (onset + length)[:, None])), "without a gap"
    return on.any(axis=1).argmax(axis=1), onset, onset + length


# Shapes


@pytest.mark.parametrize("size", list(VIDEOS))
@pytest.mark.parametrize("split", SPLITS)
def test_shapes(size, split):
    made, count = simulate(size, split), VIDEOS[size][SPLITS.index(split)]
    assert (len(made), made.snippets, made.name, made.simulated) == (count, 10, f"simulated {size}", True)
    assert SIZES[size].videos[split] == count and made.spec.streams == SIZES[size].streams
    for name, stream in SIZES[size].streams.items():
        x = made.features[name]
        assert x.shape == (count, 10 * stream.per_snippet, stream.width) and x.dtype == SIZES[size].dtype
        assert np.isfinite(x).all() and (x >= 0).all() and 0.2 < (x == 0).mean() < 0.8
    categories = AVE.categories if size.endswith("ave") else LLP.categories + AVE14.categories
    assert made.categories == categories and len(set(categories)) == (28 if size.endswith("ave") else 39)
    rolls = truth(size, split)
    assert rolls.shape == (count, 2, 10, len(categories))
    assert (made.reference is None) if split == "train" else np.array_equal(made.reference, rolls)
    assert np.array_equal(made.weak_labels, rolls.any(axis=(1, 2)))
    assert made.weak_labels.dtype == np.float32


def test_streams():
    shapes = {size: {name: (s.per_snippet, s.modality) for name, s in SIZES[size].streams.items()} for size in VIDEOS}
    assert shapes["ave"] == shapes["tiny-ave"] == {"audio": (1, "audio"), "frames": (7 * 7, "visual")}
    assert SIZES["avep"].streams == SIZES["small"].streams and SIZES["tiny-avep"].streams == SIZES["tiny"].streams


def test_shares_are_those_of_the_data():
    assert FACTS["rows"] == {"train": 3339, "val": 402, "test": 402}
    assert round(1200 * FACTS["background_train_videos"] / FACTS["rows"]["train"]) == VIDEOS["ave"][0] - 1200
    avep = {split: sum(FACTS["categories"][name]["rows"][s] for name in AVE14.categories) for s, split in enumerate(SPLITS)}
    assert avep == {"train": 1581, "val": 190, "test": 190}, "with LLP's 10,000 / 649 / 1,200: 11,581, 839 and 1,390"
    llp = SIZES["full"].videos
    for size in ("avep", "tiny-avep"):
        for part in SPLITS:
            first, second = (p.videos[part] for p in SIZES[size].parts)
            assert second == round(first * avep[part] / llp[part])


@pytest.mark.parametrize("size", ["tiny-ave", "tiny-avep"])
def test_equal_arguments_give_equal_bits(size):
    first, second, other = simulate(size, "val", seed=3), simulate(size, "val", seed=3), simulate(size, "val", seed=4)
    assert first.checksum() == second.checksum() != other.checksum()
    assert all(np.array_equal(first.features[name], second.features[name]) for name in first.features)
    assert np.array_equal(first.reference, second.reference)


def test_fewer_videos_are_the_first_videos(ave):
    few = simulate("tiny-ave", "train", videos=70)  # not a whole number of chunks
    assert all(np.array_equal(x, ave["train"].features[name][:70]) for name, x in few.features.items())
    assert np.array_equal(few.weak_labels, ave["train"].weak_labels[:70])


def test_category_names():
    assert AVE.categories[:3] == ("Church_bell", "Male_speech_man_speaking", "Bark")
    assert {"Violin_fiddle", "Rodents_rats_mice", "Fixed-wing_aircraft_airplane", "Frying_(food)"} < set(AVE.categories)
    assert not any(set(name) & set(" ,") for name in AVE.categories)
    assert len(AVE14.categories) == 14 and not set(AVE14.categories) & set(LLP.categories)
    order = [AVE.categories.index(name) for name in AVE14.categories]
    assert order == sorted(order), "in AVE's order"
    assert {name for groups in AVE_ALIKE.values() for group in groups for name in group} < set(AVE.categories)
    assert set(AVE.categories) - set(LLP.categories) == {name for home in timelines.AVE_AT_HOME.values() for name in home}


# Like AVE


def test_statistics_are_the_counted_ones(shared):
    rows = [line.split("&") for line in (shared / "data/ave/Annotations.txt").read_text(encoding="utf-8").splitlines()]
    names = [row[0].replace(", ", "_").replace(" ", "_") for row in rows]
    spans = np.array([row[3:] for row in rows], int)
    lengths = spans[:, 1] - spans[:, 0]
    assert tuple(dict.fromkeys(names)) == AVE.categories
    order = {split: h5py.File(shared / f"data/ave/{split}_order.h5")["order"][:] for split in SPLITS}
    assert {split: len(index) for split, index in order.items()} == FACTS["rows"]
    for c, name in enumerate(AVE.categories):
        mine = np.array([n == name for n in names])
        assert FACTS["categories"][name]["rows"] == [int(mine[order[split]].sum()) for split in SPLITS]
        assert list(AVE.durations[0, c]) == list(np.bincount(lengths[mine], minlength=11)[1:])
    for seconds in range(1, 11):
        assert list(AVE.onsets[seconds - 1]) == list(np.bincount(spans[lengths == seconds, 0], minlength=10))
    assert (lengths == 0).sum() == 1, "the one empty span is in no table"


@pytest.mark.parametrize("split", SPLITS)
def test_one_audiovisual_event_a_video(ave, split):
    rolls = truth("tiny-ave", split)
    background = 21 if split == "train" else 0
    with_event = rolls[: len(rolls) - background]
    assert not rolls[len(with_event) :].any() and not ave[split].weak_labels[len(with_event) :].any()
    assert np.array_equal(with_event[:, 0], with_event[:, 1])
    category, onset, offset = events(with_event)
    assert np.array_equal(ave[split].weak_labels[: len(with_event)], np.eye(28)[category]), "one-hot"
    answers = metrics.answers(rolls)
    for video, (c, start, stop) in enumerate(zip(category, onset, offset, strict=True)):
        assert list(answers[video]) == [c if start <= t < stop else 28 for t in range(10)]


def test_category_frequencies_and_spans(many):
    rolls, category, onset, offset = many
    expected = AVE.train_videos / AVE.train_videos.sum()
    counted = np.bincount(category, minlength=28) / len(category)
    assert (np.abs(counted - expected) < 4 * np.sqrt(expected / len(category))).all(), "four standard deviations"
    lengths = offset - onset
    by_category = np.array([lengths[category == c].mean() for c in range(28)])
    seconds = np.arange(1, 11)
    assert np.abs(by_category - AVE.durations[0] @ seconds / AVE.durations[0].sum(axis=1)).max() < 0.6, "seconds; 160 events or more"
    shares = np.bincount(lengths, minlength=11)[1:] / len(lengths)
    assert np.abs(shares - expected @ (AVE.durations[0] / AVE.durations[0].sum(axis=1, keepdims=True))).max() < 0.015
    for length in range(2, 10):
        starts = np.bincount(onset[lengths == length], minlength=10)
        assert np.abs(starts / starts.sum() - AVE.onsets[length - 1] / AVE.onsets[length - 1].sum()).max() < 0.1
    background = 1 - rolls.any(axis=2).mean()
    assert abs(background - 0.17) < 0.02, "in AVE: 16.9 % of train, 18.2 % of val, 17.8 % of test"


# Where the event is to be seen


def test_an_event_shows_in_one_patch_of_neighbouring_positions():
    world = World.draw(SimulatorConfig(), 0, Setting.of(AVE))
    shown = world.visibility(200, 7, generator(1)).reshape(200, 10, 7, 7)
    assert set(np.unique(shown)) == {0.0, np.float32(SimulatorConfig().close_up)}
    before = None
    for frame in np.moveaxis(shown > 0, 1, 0):
        rows, columns = frame.any(axis=2), frame.any(axis=1)
        assert np.array_equal(frame, rows[:, :, None] & columns[:, None, :]), "a rectangle"
        for side in (rows, columns):
            assert (np.abs(np.diff(np.pad(side, ((0, 0), (1, 1))).astype(int))).sum(axis=1) == 2).all(), "without a gap"
            assert set(np.unique(side.sum(axis=1))) == {2, 3, 4}
        place = np.stack([rows.argmax(axis=1), columns.argmax(axis=1)])
        assert before is None or np.abs(place - before).max() <= 1, "and moves little"
        before = place


def test_other_positions_show_the_background():
    bare = SimulatorConfig(scene=0, background=0, distractor=0, decoy=0, noise=(0, 0), frame_noise=0, bias=0)
    made = simulate("tiny-ave", "val", config=bare)
    active = (made.features["frames"].reshape(56, 10, 49, -1) > 0).any(axis=3)
    event = made.reference[:, 1].any(axis=2)
    assert not active[~event].any(), "nothing to see outside the span"
    assert set(np.unique(active[event].sum(axis=1))) <= {a * b for a in (2, 3, 4) for b in (2, 3, 4)}


# Like AVEP


@pytest.mark.parametrize("split", SPLITS)
def test_avep_is_llp_and_the_14_categories(split):
    rolls = truth("avep", split)
    llp = SIZES["avep"].parts[0].videos[split]
    assert not rolls[:llp, ..., 25:].any() and not rolls[llp:, ..., :25].any()
    assert np.array_equal(rolls[llp:, 0], rolls[llp:, 1]), "what comes from AVE is audible and visible"
    events(rolls[llp:])
    audible, visible = rolls[:llp].any(axis=2).transpose(1, 0, 2)
    both = (audible & visible).sum() / (audible | visible).sum()
    assert abs(both - LLP.pattern[:, 2].sum() / LLP.pattern.sum()) < 0.06, "what comes from LLP often is not"
    assert (audible | visible).sum(axis=1).max() > 1


# The presets


def test_ave_floors(ave):
    reference = metrics.answers(ave["test"].reference)
    background = metrics.ave_accuracy(np.full_like(reference, 28), reference)
    category = np.repeat(ave["test"].weak_labels.argmax(axis=1)[:, None], 10, axis=1)
    assert background + metrics.ave_accuracy(category, reference) == pytest.approx(100), "either the video's category or background"
    assert background < 25


def test_ave_preset_beats_the_floors(ave, ave_run):
    test = ave["test"]
    scores, reference = evaluate(ave_run, test), metrics.answers(test.reference)
    constant = [metrics.ave_accuracy(np.full_like(reference, answer), reference) for answer in range(29)]
    assert np.argmax(constant) == 28, "the majority answer is background"
    assert scores["accuracy"] > max(constant) + 15
    assert ave_run.history["loss"].iloc[-1] < ave_run.history["loss"].iloc[0]
    rolls = decode.decode(predict(ave_run.model, test), ave_run.thresholds)
    assert scores["accuracy"] == metrics.ave_accuracy(metrics.answers(rolls), reference)


def test_background_videos_look_like_background(ave, ave_run):
    """Videos without a label get less joint probability for their likeliest category than videos with one."""
    highest = predict(ave_run.model, ave["train"]).joint.probability.amax(dim=1).numpy()
    labelled = ave["train"].weak_labels.any(axis=1)
    assert np.median(highest[~labelled]) < np.median(highest[labelled])


def test_ave_leaves_room_above_weak_training():
    """A linear layer on single snippets that was taught the answers, time included: about 84 % where the weak preset comes to 76 %."""
    made = {split: simulate("ave", split) for split in ("train", "test")}
    inputs = {s: torch.cat([snippet_inputs(x, m) for m in ("audio", "visual")], dim=2).flatten(0, 1) for s, x in made.items()}
    answers = {"train": metrics.answers(truth("ave")).ravel(), "test": metrics.answers(made["test"].reference).ravel()}
    mean, scale = inputs["train"].mean(dim=0), inputs["train"].std(dim=0) + 1e-3
    probe = torch.nn.Linear(inputs["train"].shape[1], 29)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=0.01, weight_decay=0.3)
    for _ in range(400):
        batch = torch.randint(len(answers["train"]), (512,))
        loss = torch.nn.functional.cross_entropy(probe((inputs["train"][batch] - mean) / scale), torch.from_numpy(answers["train"])[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        estimate = probe((inputs["test"] - mean) / scale).argmax(dim=1).numpy()
    assert 78 < 100 * (estimate == answers["test"]).mean() < 90


def test_avep_preset_trains_decodes_and_scores():
    train, val, test = (simulate("tiny-avep", split) for split in SPLITS)
    run = fit(presets["avep"].changed(**QUICK), train, val, progress=False)
    scores = evaluate(run, test)
    nothing = metrics.floors(test.weak_labels, test.reference)["predict nothing"]
    assert metrics.mean_score(scores) > metrics.mean_score(nothing) + 8
    evidence = predict(run.model, test)
    rolls = decode.decode(evidence, run.thresholds)
    assert rolls.shape == test.reference.shape and rolls[..., 25:].any()
    rows = decode.event_table(rolls, evidence, test.categories, test.filenames)
    assert {row["category"] for row in rows} & set(AVE14.categories)


# Other streams


@pytest.mark.parametrize("preset", ["ave", "paper"])
def test_streams_of_any_width_and_number(ave, preset):
    """CLAP and CLIP features beside the usual ones: other widths, other numbers of positions, two audio and two visual streams."""

    def with_more(videos):
        rng = np.random.default_rng(len(videos))
        known = np.repeat(videos.weak_labels[:, None], 10, axis=1)
        clap = (known @ np.random.default_rng(0).standard_normal((28, 21))).astype(np.float32)
        clip_image = rng.random((len(videos), 10 * 3, 7)).astype(np.float16)
        return replace(
            videos, features={**videos.features, "clap": clap, "clip_image": clip_image},
            modalities={**videos.modalities, "clap": "audio", "clip_image": "visual"},
        )

    train, val = with_more(ave["train"].subset(range(200))), with_more(ave["val"])
    assert list(train.spec.of_modality("audio")) == ["audio", "clap"]
    assert list(train.spec.of_modality("visual")) == ["frames", "clip_image"]
    run = fit(presets[preset].adopting(**QUICK | dict(width=32, epochs=3, estimator_epochs=1)), train, val, progress=False)
    evidence = predict(run.model, val)
    assert evidence.snippet.probability.shape == (56, 2, 10, 28)
    assert ("accuracy" in evaluate(run, val)) == (preset == "ave")
    for name in ("clap", "clip_image"):
        silent = replace(val, features={**val.features, name: np.zeros_like(val.features[name])})
        assert not torch.equal(predict(run.model, silent).snippet.probability, evidence.snippet.probability), f"{name} has no effect"
