"""Thresholds, rolls, the choice of thresholds against the search written plainly, and the table of events."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from cmpae_toolkit import decode, metrics
from cmpae_toolkit.config import Config, presets
from cmpae_toolkit.decode import Thresholds
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.method import Evidence
from cmpae_toolkit.opinion import Opinion, PointEstimate

CATEGORIES = ("Dog", "Cat", "Car")


def random_evidence(videos=30, snippets=8, categories=3, seed=0):
    rng = np.random.default_rng(seed)

    def point(*shape):
        return PointEstimate(torch.from_numpy(rng.random(shape)))

    return Evidence(
        snippet=point(videos, 2, snippets, categories), video=point(videos, 2, categories), joint=point(videos, categories)
    ), rng.random((videos, 2, snippets, categories)) < 0.4


def test_gates_and_equality():
    snippet = np.array([0.5, 0.4999]).reshape(1, 1, 2, 1).repeat(2, axis=1)
    video = np.array([0.5, 0.49]).reshape(1, 2, 1)
    thresholds = Thresholds.of(Config(), ("Dog",))
    roll = decode.event_rolls(snippet, video, np.array([[0.6]]), thresholds)
    assert roll[0, :, :, 0].tolist() == [[True, False], [False, False]]
    roll = decode.event_rolls(snippet, video, np.array([[0.6]]), replace(thresholds, gate="joint"))
    assert roll[0, :, :, 0].tolist() == [[True, False], [True, False]]


def test_thresholds_of_presets():
    thresholds = Thresholds.of(presets["released"], CATEGORIES)
    assert (thresholds.video == 0.45).all() and (thresholds.snippet == 0.25).all()
    assert Thresholds.of(presets["han"], CATEGORIES).gate == "joint"


def test_json_is_by_name():
    thresholds = Thresholds(CATEGORIES, np.arange(6).reshape(2, 3) / 10, np.full((2, 3), 0.5))
    values = json.loads(json.dumps(thresholds.to_dict()))
    assert values["video"]["visual"] == {"Dog": 0.3, "Cat": 0.4, "Car": 0.5}
    other_order = Thresholds.from_dict(values, ("Car", "Dog", "Cat"))
    assert other_order.video[1].tolist() == [0.5, 0.3, 0.4]
    with pytest.raises(InputError, match="Bus"):
        Thresholds.from_dict(values, ("Dog", "Cat", "Bus"))
    with pytest.raises(InputError, match="thresholds are not for"):
        Thresholds.from_dict({}, CATEGORIES)


@pytest.mark.parametrize("modality", ["audio", "visual"])
def test_choice_is_the_plain_search(modality):
    """The search as the released code does it: decode and score everything anew for each category and candidate."""
    evidence, reference = random_evidence()
    start = Thresholds.of(presets["released"], CATEGORIES)
    candidates = presets["released"].threshold_candidates
    m = ("audio", "visual").index(modality)
    expected = start.video.copy()
    for c in range(3):
        best = -1.0
        for candidate in candidates:
            video = start.video.copy()
            video[m, c] = candidate
            score = metrics.f_scores(decode.decode(evidence, replace(start, video=video)), reference)["event"][modality]
            if score >= best - 1e-10:
                best, expected[m, c] = max(score, best), candidate
    chosen = decode.choose_video_thresholds(evidence, reference, start, modality, candidates)
    np.testing.assert_array_equal(chosen.video, expected)
    assert (chosen.video != start.video).any()


def test_shrinkage_draws_the_found_back_to_the_start():
    evidence, reference = random_evidence()
    start = Thresholds.of(Config(), CATEGORIES)
    searched = Config(search_thresholds=("audio", "visual"), threshold_candidates=(0.3, 0.7))
    whole, half, none = (
        decode.choose_thresholds(searched.changed(threshold_shrinkage=s), evidence, reference, start).video for s in (0.0, 0.5, 1.0)
    )
    np.testing.assert_allclose(half[0], (whole[0] + start.video[0]) / 2)  # visual ones are found beside audio ones, so they may differ
    np.testing.assert_array_equal(none, start.video)
    assert (whole[0] != start.video[0]).any()


def test_ties_take_the_larger():
    evidence, reference = random_evidence()
    evidence = replace(evidence, video=PointEstimate(torch.full((30, 2, 3), 0.9)))  # every candidate opens everything
    chosen = decode.choose_video_thresholds(evidence, reference, Thresholds.of(Config(), CATEGORIES), "visual", (0.3, 0.7, 0.5))
    assert (chosen.video[1] == 0.7).all() and (chosen.video[0] == 0.5).all()


def localization_case():
    """Two videos of three snippets and two categories; joint says category 1, then category 0."""
    snippet = np.zeros((2, 2, 3, 2))
    snippet[0, :, :, 1] = [[0.9, 0.6, 0.2], [0.9, 0.9, 0.9]]
    snippet[1, :, :, 0] = [[0.8, 0.8, 0.8], [0.1, 0.5, 0.8]]
    point = lambda x: PointEstimate(torch.from_numpy(np.asarray(x)))  # noqa: E731
    evidence = Evidence(snippet=point(snippet), video=point(np.zeros((2, 2, 2))), joint=point([[0.2, 0.9], [0.6, 0.5]]))
    return evidence, Thresholds.of(presets["ave"], ("Dog", "Cat"))


def test_localization_gives_one_answer_a_snippet():
    evidence, thresholds = localization_case()
    assert thresholds.both == 0.25
    roll = decode.decode(evidence, thresholds)  # products: 0.81 0.54 0.18 and 0.08 0.40 0.64
    assert metrics.answers(roll).tolist() == [[1, 1, 2], [2, 0, 0]]
    assert np.array_equal(roll[:, 0], roll[:, 1])


def test_a_product_of_nothing_is_background():
    """As CMBS answers it: also with a threshold of 0."""
    evidence, thresholds = localization_case()
    snippet = evidence.snippet.probability.clone()
    snippet[0, 0] = 0
    silent = replace(evidence, snippet=PointEstimate(snippet))
    assert metrics.answers(decode.decode(silent, replace(thresholds, both=0.0))).tolist() == [[2, 2, 2], [0, 0, 0]]
    reference = np.zeros((2, 2, 3, 2), bool)
    reference[1, :, :, 0] = True
    chosen = decode.choose_answer_threshold(silent, reference, thresholds)
    assert metrics.ave_accuracy(metrics.answers(decode.decode(silent, chosen)), metrics.answers(reference)) == 100


def test_snippets_that_do_not_exist_choose_no_threshold():
    evidence, thresholds = localization_case()
    exists = torch.ones(2, 2, 3, dtype=torch.bool)
    exists[0, :, 1:] = exists[1, :, 2:] = False  # the first video has one snippet, the second two
    reference = decode.decode(evidence, replace(thresholds, both=0.0))  # everything is an event
    padded = decode.choose_answer_threshold(replace(evidence, valid=exists), reference & exists.numpy()[..., None], thresholds)
    assert padded.both == pytest.approx(0.08)  # the least product of a snippet that exists


def test_answer_threshold_is_the_plain_search():
    evidence, thresholds = localization_case()
    reference = decode.decode(evidence, replace(thresholds, both=0.5))  # only 0.81, 0.54 and 0.64 are events
    chosen = decode.choose_answer_threshold(evidence, reference, thresholds)
    assert chosen.both == pytest.approx(0.54)  # everything above 0.40 up to 0.54 is right; ties take the larger
    scores = []
    for candidate in np.linspace(0, 1, decode.ANSWER_STEPS):
        estimate = decode.decode(evidence, replace(thresholds, both=candidate))
        scores.append(metrics.ave_accuracy(metrics.answers(estimate), metrics.answers(reference)))
    assert max(scores) == 100 == scores[54] and scores[55] < 100
    assert Thresholds.from_dict(json.loads(json.dumps(chosen.to_dict())), ("Dog", "Cat")).both == chosen.both


def test_event_table():
    presence = torch.zeros(2, 2, 5, 2)
    presence[0, 0, 1:3, 1] = 6.0
    presence[0, 1, 2:5, 1] = 2.0
    zeros = PointEstimate(torch.zeros(2))
    evidence = Evidence(snippet=Opinion(presence, 0.0), video=zeros, joint=zeros)
    rolls = (presence > 0).numpy()
    rows = decode.event_table(rolls, evidence, ("Dog", "Cat"), ("x", "y"))
    assert [(r["filename"], r["track"], r["category"], r["onset"], r["offset"]) for r in rows] == [
        ("x", "audio", "Cat", 1, 3), ("x", "visual", "Cat", 2, 5), ("x", "audio_visual", "Cat", 2, 3),
    ]
    assert rows[0]["probability"] == pytest.approx(7 / 8) and rows[0]["vacuity"] == pytest.approx(2 / 8)
    assert rows[2]["probability"] == pytest.approx((7 / 8 + 3 / 4) / 2)
    evidence = replace(evidence, snippet=PointEstimate(evidence.snippet.probability))
    assert decode.event_table(rolls, evidence, ("Dog", "Cat"), ("x", "y"))[0]["vacuity"] is None


def test_padding_chooses_no_threshold():
    """The one snippet that exists has an event. Were padding false alarms, closing the category would score as well and win the tie."""
    p, exists = np.full((1, 2, 4, 1), 0.9), torch.zeros(1, 2, 4, dtype=torch.bool)
    exists[..., 0] = True
    half = PointEstimate(torch.full((1, 2, 1), 0.5))
    evidence = Evidence(PointEstimate(torch.from_numpy(p)), half, PointEstimate(torch.full((1, 1), 0.5)), valid=exists)
    start = Thresholds(("Dog",), np.full((2, 1), 0.5), np.full((2, 1), 0.5))
    chosen = decode.choose_video_thresholds(evidence, exists.numpy()[..., None], start, "audio", (0.4, 0.6))
    assert chosen.video[0] == 0.4
