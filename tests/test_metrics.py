"""The scorer against hand-worked rolls, recorded scores, and a slow scorer that follows the definition sentence by sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from recipe import golden

from cmpae_toolkit import metrics
from cmpae_toolkit.errors import InputError


def slow_runs(track):
    """[(start, end)) of maximal runs."""
    runs, start = [], None
    for t, active in enumerate([*track, False]):
        if active and start is None:
            start = t
        if not active and start is not None:
            runs.append((start, t))
            start = None
    return runs


def slow_counts(estimate, reference, level):
    if level == "segment":
        hit = sum(e and r for e, r in zip(estimate, reference, strict=True))
        return hit, sum(estimate) - hit, sum(reference) - hit
    estimated, referenced = slow_runs(estimate), slow_runs(reference)

    def iou(a, b):
        inter = max(0, min(a[1], b[1]) - max(a[0], b[0]))
        return inter / (a[1] - a[0] + b[1] - b[0] - inter)

    hit = sum(any(iou(e, r) >= 0.5 for r in referenced) for e in estimated)
    missed = sum(not any(iou(e, r) >= 0.5 for e in estimated) for r in referenced)
    return hit, len(estimated) - hit, missed


def slow_f(counts):
    values = [2 * tp / (2 * tp + fp + fn) for tp, fp, fn in counts if tp + fp + fn > 0]
    return sum(values) / len(values) if values else 1.0


def slow_scores(estimate, reference):
    result = {level: dict.fromkeys(("audio", "visual", "audio_visual", "event"), 0.0) for level in metrics.LEVELS}
    for level, e, r in [(level, e, r) for level in metrics.LEVELS for e, r in zip(estimate, reference, strict=True)]:
        tracks = {"audio": (e[0], r[0]), "visual": (e[1], r[1]), "audio_visual": (e[0] & e[1], r[0] & r[1])}
        counts = {name: [slow_counts(a, b, level) for a, b in zip(x.T, y.T, strict=True)] for name, (x, y) in tracks.items()}
        counts["event"] = [tuple(map(sum, zip(a, v, strict=True))) for a, v in zip(counts["audio"], counts["visual"], strict=True)]
        for name, value in counts.items():
            result[level][name] += 100 * slow_f(value) / len(estimate)
    for scores in result.values():
        scores["type"] = (scores["audio"] + scores["visual"] + scores["audio_visual"]) / 3
    return result


def roll(*events, videos=1, snippets=10, categories=3):
    """A roll from (video, modality, start, end, category)."""
    array = np.zeros((videos, 2, snippets, categories), bool)
    for video, modality, start, end, category in events:
        array[video, modality, start:end, category] = True
    return array


def test_worked_by_hand():
    reference = roll((0, 0, 0, 4, 0), (0, 1, 2, 6, 0), (0, 0, 8, 10, 1))
    estimate = roll((0, 0, 0, 3, 0), (0, 1, 0, 10, 0))
    scores = metrics.f_scores(estimate, reference)
    segment_audio = 100 * (2 * 3 / (2 * 3 + 0 + 1) + 0) / 2  # category 0: 3 of 4 found; category 1: missed
    segment_visual = 100 * 2 * 4 / (2 * 4 + 6)
    segment_both = 100 * 2 * 1 / (2 * 1 + 2 + 1)  # estimate 0..3, reference 2..4 share snippet 2
    assert scores["segment"]["audio"] == pytest.approx(segment_audio)
    assert scores["segment"]["visual"] == pytest.approx(segment_visual)
    assert scores["segment"]["audio_visual"] == pytest.approx(segment_both)
    assert scores["segment"]["type"] == pytest.approx((segment_audio + segment_visual + segment_both) / 3)
    assert scores["segment"]["event"] == pytest.approx(100 * (2 * 7 / (2 * 7 + 6 + 1) + 0) / 2)
    # events: audio IoU 3/4 hits, visual 4/10 does not, audio-visual 1/4 does not
    assert scores["event"] == pytest.approx({
        "audio": 100 * (1 + 0) / 2, "visual": 0, "audio_visual": 0, "type": 50 / 3,
        "event": 100 * (2 * 1 / (2 * 1 + 1 + 1) + 0) / 2,
    })


def test_iou_of_exactly_one_half_counts():
    assert metrics.f_scores(roll((0, 0, 0, 5, 0)), roll((0, 0, 0, 10, 0)))["event"]["audio"] == 100
    assert metrics.f_scores(roll((0, 0, 0, 4, 0)), roll((0, 0, 0, 9, 0)))["event"]["audio"] == 0


def test_perfect_and_empty():
    something = roll((0, 0, 0, 4, 0), (1, 1, 3, 9, 2), videos=2)
    for estimate in (something, np.zeros_like(something)):
        scores = metrics.f_scores(estimate, estimate)
        assert {v for level in scores.values() for v in level.values()} == {100.0}


def test_recorded_scores():
    recorded = golden("metric")
    shape = tuple(recorded["shape"])
    rolls = [np.unpackbits(recorded[k])[: np.prod(shape)].reshape(shape).astype(bool).swapaxes(2, 3) for k in ("estimate", "reference")]
    scores = metrics.scores_per_video(*rolls)
    for i, level in enumerate(metrics.LEVELS):
        for j, name in enumerate(("audio", "visual", "event", "audio_visual")):
            np.testing.assert_allclose(scores[level][name], recorded["scores"][:, i, j], atol=1e-12)


rolls = st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 4)).flatmap(
    lambda s: st.tuples(*[hnp.arrays(bool, (s[0], 2, s[1], s[2])) for _ in range(2)])
)


@settings(max_examples=200, deadline=None)
@given(rolls)
def test_agrees_with_the_slow_scorer(pair):
    fast, slow = metrics.f_scores(*pair), slow_scores(*pair)
    for level in metrics.LEVELS:
        assert fast[level] == pytest.approx(slow[level], abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(rolls, st.randoms(use_true_random=False))
def test_order_of_videos_and_categories_does_not_matter(pair, random):
    videos, categories = (random.sample(range(n), n) for n in (pair[0].shape[0], pair[0].shape[3]))
    shuffled = metrics.f_scores(*(x[videos][..., categories] for x in pair))
    plain = metrics.f_scores(*pair)
    assert all(shuffled[level] == pytest.approx(plain[level]) for level in metrics.LEVELS)


def test_long_videos():
    rng = np.random.default_rng(0)
    pair = [rng.random((2, 2, 600, 3)) < 0.6 for _ in range(2)]
    assert metrics.f_scores(*pair)["event"] == pytest.approx(slow_scores(*pair)["event"])


def test_floors():
    reference = roll((0, 0, 0, 10, 0), (1, 0, 0, 10, 1), (1, 1, 0, 10, 1), videos=2)
    weak = np.array([[1, 0, 0], [0, 1, 0]])
    floors = metrics.floors(weak, reference)
    assert floors["predict nothing"]["segment"] == pytest.approx(
        {"audio": 0, "visual": 50, "audio_visual": 50, "type": 100 / 3, "event": 0}
    )
    assert floors["true weak labels everywhere"]["event"] == pytest.approx(
        {"audio": 100, "visual": 50, "audio_visual": 50, "type": 200 / 3, "event": 100 * (2 / 3 + 1) / 2}
    )


def test_choosing_numbers():
    scores = metrics.f_scores(roll((0, 0, 0, 4, 0)), roll((0, 0, 0, 5, 0)))
    values = [scores[level][name] for level in metrics.LEVELS for name in metrics.SCORES]
    assert metrics.pick_score(scores, "mean") == metrics.mean_score(scores) == pytest.approx(sum(values) / 10)
    assert metrics.pick_score(scores, "segment.audio") == pytest.approx(100 * 8 / 9)
    with pytest.raises(InputError, match="no score 'audio'"):
        metrics.pick_score(scores, "audio")


def test_accuracy_leaves_out_snippets_that_do_not_exist():
    roll = np.zeros((2, 2, 3, 4), bool)
    roll[0, :, 0, 1] = roll[1, :, :, 2] = True
    right = metrics.answers(roll, np.array([1, 3]))
    assert right.tolist() == [[1, -1, -1], [2, 2, 2]]
    assert metrics.ave_accuracy(np.full((2, 3), 2), right) == 75  # of four snippets three


def test_ave_accuracy():
    reference = np.array([[0, 0, 28, 28], [3, 3, 3, 28]])
    assert metrics.ave_accuracy(reference, reference) == 100
    assert metrics.ave_accuracy(np.full((2, 4), 28), reference) == pytest.approx(100 * 3 / 8)
    with pytest.raises(InputError, match="use integers"):
        metrics.ave_accuracy(reference.astype(float), reference)
    with pytest.raises(InputError, match=r"\(video, snippet\)"):
        metrics.ave_accuracy(reference[0], reference[0])


@pytest.mark.parametrize(
    ("estimate", "reference", "message"),
    [
        (np.zeros((1, 2, 10, 3)), np.zeros((1, 2, 10, 4)), "same shape"),
        (np.zeros((1, 3, 10, 3)), np.zeros((1, 3, 10, 3)), r"\(video, 2, snippet, category\)"),
        (np.zeros((0, 2, 10, 3)), np.zeros((0, 2, 10, 3)), "at least one video"),
        (np.full((1, 2, 10, 3), 0.4), np.zeros((1, 2, 10, 3)), "must be boolean"),
    ],
)
def test_bad_rolls(estimate, reference, message):
    with pytest.raises(InputError, match=message):
        metrics.f_scores(estimate, reference)


def test_scores_by_category_are_the_plain_loop():
    """Counts added over videos, category by category; NaN where a category occurs in no roll of the track."""
    rng = np.random.default_rng(4)
    estimate, reference = (rng.random((6, 2, 10, 5)) < 0.3 for _ in range(2))
    estimate[..., 4] = reference[..., 4] = False
    found = metrics.category_scores(estimate, reference)
    for m, track in enumerate(("audio", "visual", "audio_visual")):
        for c in range(4):
            ours, theirs = ((r[:, m, :, c] if m < 2 else r[:, 0, :, c] & r[:, 1, :, c]) for r in (estimate, reference))
            hit, wrong, missed = (ours & theirs).sum(), (ours & ~theirs).sum(), (~ours & theirs).sum()
            assert found["segment"][track][c] == pytest.approx(100 * 2 * hit / (2 * hit + wrong + missed))
            counts = np.zeros(3)
            for v in range(6):
                counts += metrics.event_counts(*(r[v : v + 1, None, :, None] for r in (ours, theirs)))[:, 0, 0, 0]
            assert found["event"][track][c] == pytest.approx(100 * 2 * counts[0] / (2 * counts[0] + counts[1] + counts[2]))
        assert np.isnan(found["segment"][track][4]) and np.isnan(found["event"][track][4])


@given(hnp.arrays(bool, (2, 3, 6, 2)))
def test_events_are_the_maximal_runs(roll):
    expected = [[v, m, c, *run] for v in range(2) for m in range(3) for c in range(2) for run in slow_runs(roll[v, m, :, c])]
    assert metrics.events(roll).tolist() == expected
    assert metrics.events(np.moveaxis(roll, 2, 0), axis=0).tolist() == expected
    assert metrics.events(roll[0, 0, :, 0].astype(int), axis=0).tolist() == [list(run) for run in slow_runs(roll[0, 0, :, 0])]


def test_a_roll_without_events_has_no_rows():
    assert metrics.events(np.zeros((2, 2, 10, 3), bool)).shape == (0, 5)
    assert metrics.events(np.zeros((0, 2, 10, 3), bool)).shape == (0, 5) and metrics.events(np.zeros((2, 2, 0, 3), bool)).shape == (0, 5)


# ---- what only one modality has ---------------------------------------------------------------------------------------------


def slow_alone(estimate, reference, level, modality):
    """The mean over videos of F of what `modality` has and the other has not, snippet by snippet."""
    values = []
    for e, r in zip(estimate, reference, strict=True):
        estimated, referenced = ([z[modality, :, c] * ~z[1 - modality, :, c] for c in range(z.shape[2])] for z in (e, r))
        values.append(slow_f([slow_counts(a, b, level) for a, b in zip(estimated, referenced, strict=True)]))
    return 100 * sum(values) / len(values)


@given(rolls=hnp.arrays(bool, (2, 2, 2, 6, 2)))
@settings(max_examples=40)
def test_one_sided_scores_follow_the_definition(rolls):
    scores = metrics.f_scores(*rolls, one_sided=True)
    for level in metrics.LEVELS:
        for modality, name in enumerate(metrics.ONE_SIDED):
            assert scores[level][name] == pytest.approx(slow_alone(*rolls, level, modality))


def test_one_sided_scores_change_no_other():
    rng = np.random.default_rng(0)
    estimate, reference = (rng.random((2, 5, 2, 10, 4)) < 0.3)
    plain, more = (metrics.f_scores(estimate, reference, one_sided) for one_sided in (False, True))
    assert {level: {n: v for n, v in scores.items() if n in metrics.SCORES} for level, scores in more.items()} == plain
    assert metrics.mean_score(plain) == metrics.mean_score(more)
    for scores in (metrics.scores_per_video(estimate, reference, True), metrics.category_scores(estimate, reference, True)):
        assert all(set(metrics.ONE_SIDED) <= tracks.keys() for tracks in scores.values())


def test_a_video_seen_and_heard_throughout_has_nothing_one_sided():
    both, reference = roll((0, 0, 2, 6, 1), (0, 1, 2, 6, 1)), roll((0, 0, 2, 6, 1), (0, 1, 2, 6, 1))
    by_category = metrics.category_scores(both, reference, one_sided=True)
    assert np.isnan(by_category["segment"]["audible_only"]).all() and by_category["segment"]["audio"][1] == 100
    late = roll((0, 0, 2, 6, 1), (0, 1, 4, 6, 1))  # heard in snippets 2 to 5, seen in 4 and 5: alone in 2 and 3
    assert metrics.f_scores(late, late, one_sided=True)["event"]["audible_only"] == 100
    half = roll((0, 0, 3, 6, 1), (0, 1, 4, 6, 1))  # found alone in snippet 3 only: 2 * 1 / (2 * 1 + 0 + 1)
    assert metrics.f_scores(half, late, one_sided=True)["segment"]["audible_only"] == pytest.approx(200 / 3)
    painted = metrics.floors(np.array([[0, 1, 0]]), late, one_sided=True)["true weak labels everywhere"]
    assert painted["segment"]["audible_only"] == 0


def test_painted_labels_stop_where_a_video_ends():
    reference = np.zeros((1, 2, 3, 1), bool)
    reference[:, :, :2] = True
    valid = np.array([[[True, True, False]] * 2])
    floor = "true weak labels everywhere"
    assert metrics.floors(np.ones((1, 1)), reference, valid=valid)[floor]["event"]["type"] == 100
    assert metrics.floors(np.ones((1, 1)), reference)[floor]["segment"]["type"] < 100


@pytest.mark.parametrize("estimate", [np.full((2, 2, 3, 2), 0.01), np.full((2, 2, 3, 2), np.nan), np.zeros((2, 2))])
def test_video_scores_take_rolls_only(estimate):
    with pytest.raises(InputError):
        metrics.video_scores(estimate, np.ones((2, 2)))
