"""The explorer: its state against the model's output, what-ifs, orders worked by hand, and the widgets without a browser."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import anywidget
import ipywidgets
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cmpae_toolkit import checkpoint, data, decode, metrics, plots
from cmpae_toolkit.checkpoint import Run
from cmpae_toolkit.config import presets
from cmpae_toolkit.data.videoset import VideoSet
from cmpae_toolkit.decode import Thresholds
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.explorer import Explorer, WhatIf, explore, export_html, order, widget
from cmpae_toolkit.explorer.page import packed
from cmpae_toolkit.explorer.state import SURER, available_orders, name, ranks
from cmpae_toolkit.inference import predict
from cmpae_toolkit.method import Evidence
from cmpae_toolkit.methods import get
from cmpae_toolkit.opinion import PointEstimate

CATEGORIES = ("Speech", "Cat", "Baby_cry_infant_cry")
SNIPPETS, VIDEOS = 5, 6


@pytest.fixture(scope="module")
def videos():
    rng = np.random.default_rng(0)
    reference = rng.random((VIDEOS, 2, SNIPPETS, len(CATEGORIES))) < 0.3
    return VideoSet(
        "hand-made", "test", CATEGORIES, tuple(f"video_{i}" for i in range(VIDEOS)),
        {
            "audio": rng.standard_normal((VIDEOS, SNIPPETS, 6)).astype(np.float16),
            "frames": rng.standard_normal((VIDEOS, SNIPPETS * 2, 7)).astype(np.float16),
            "clip": rng.standard_normal((VIDEOS, SNIPPETS, 5)).astype(np.float16),
        },
        {"audio": "audio", "frames": "visual", "clip": "visual"},
        weak_labels=reference.any((1, 2)).astype(np.float32), reference=reference, simulated=True,
    )


def make_run(videos, preset):
    torch.manual_seed(0)
    config = presets[preset].changed(width=16)
    model = get(config.method)(config, videos.spec).eval()
    return Run(model, pd.DataFrame({"epoch": [1]}), Thresholds.of(config, videos.categories), 1, {"name": "hand-made", "simulated": True})


def drawn(explorer):
    """All that the browser is told to draw, as it is sent."""
    traits = ("video", "media", "chosen", "snippet", "level", "log", "before")
    return json.dumps({name: getattr(explorer.picture, name) for name in traits}, allow_nan=False)


@pytest.fixture(scope="module")
def run(videos):
    return make_run(videos, "paper")


def test_the_state_is_what_the_model_says(run, videos):
    evidence = predict(run.model, videos)
    for state in (explore(run, videos, 2), explore(run, videos, 2, evidence=evidence), explore(run.model, videos, 2)):
        np.testing.assert_allclose(state.presence, evidence.snippet.presence[2].numpy(), rtol=1e-4)
        np.testing.assert_allclose(state.absence, evidence.snippet.absence[2].numpy(), rtol=1e-4)
        np.testing.assert_allclose(state.probability, evidence.snippet.probability[2].numpy(), rtol=1e-5)
        np.testing.assert_allclose(state.vacuity, evidence.snippet.vacuity[2].numpy(), rtol=1e-5)
        np.testing.assert_allclose(state.attention, evidence.attention[2].numpy(), rtol=1e-5)
        np.testing.assert_allclose(state.video_probability, evidence.video.probability[2].numpy(), rtol=1e-5)
        rolls = decode.decode(evidence, run.thresholds)
        np.testing.assert_array_equal(state.estimate, rolls[2])
        np.testing.assert_array_equal(state.reference, videos.reference[2])
        assert state.scores == metrics.f_scores(rolls[2:3], videos.reference[2:3])
        assert "simulated" in state.title


def test_the_default_choice_is_the_weak_and_the_estimated_categories(run, videos):
    state = explore(run, videos, 0)
    expected = (videos.weak_labels[0] > 0.5) | state.estimate.any((0, 1))
    assert state.chosen == tuple(c for c, e in zip(CATEGORIES, expected, strict=True) if e)
    assert explore(run, videos, 0, chosen=()).chosen == ()


def test_without_cross_attention_muting_visual_reaches_audio_absence_only(run, videos):
    as_it_is = explore(run, videos, 1, cross_attention=False)
    muted = explore(run, videos, 1, WhatIf(mute=("visual",)), cross_attention=False)
    np.testing.assert_allclose(muted.presence[0], as_it_is.presence[0], rtol=1e-5)
    assert np.abs(muted.absence[0] - as_it_is.absence[0]).max() > 1e-3  # Eq. 3: absence looks at both modalities
    assert np.abs(muted.presence[1] - as_it_is.presence[1]).max() > 1e-3
    assert "visual muted" in muted.title and "without cross-attention" in muted.title


def test_what_ifs_change_the_features_they_name(videos):
    changed = WhatIf(swap_visual_with=4, scale=(2.0, 0.5)).apply(videos, 1)
    np.testing.assert_array_equal(changed.features["audio"], 2 * videos.features["audio"][1:2].astype(np.float32))
    for stream in ("frames", "clip"):
        np.testing.assert_array_equal(changed.features[stream], videos.features[stream][4:5].astype(np.float32) / 2)
    np.testing.assert_array_equal(changed.reference[0, 0], videos.reference[1, 0])
    np.testing.assert_array_equal(changed.reference[0, 1], videos.reference[4, 1])
    muted = WhatIf(mute=("audio",), scale=(2.0, 1.0)).apply(videos, 1)
    assert not muted.features["audio"].any() and muted.features["clip"].any()
    with pytest.raises(InputError, match="cannot mute"):
        WhatIf(mute=("smell",)).apply(videos, 0)


def test_given_evidence_is_not_used_for_a_changed_video(run, videos):
    evidence = predict(run.model, videos)
    muted = explore(run, videos, 1, WhatIf(mute=("audio",)), evidence=evidence)
    assert np.abs(muted.probability - evidence.snippet.probability[1].numpy()).max() > 1e-3


def test_thresholds_of_the_sliders_replace_the_runs(run, videos):
    everything = explore(run, videos, 0, video_threshold=0.0, snippet_threshold=0.0)
    assert everything.estimate.all() and not everything.video_thresholds.any()
    nothing = explore(run, videos, 0, snippet_threshold=1.0)
    assert not nothing.estimate.any()
    np.testing.assert_array_equal(nothing.video_thresholds, run.thresholds.video)


def test_a_video_that_is_not_there(run, videos):
    with pytest.raises(InputError, match="0 to 5, not 6"):
        explore(run, videos, VIDEOS)


def hand_made(videos):
    """Three videos of which the first is right and sure, the second wrong and sure, the third wrong and unsure."""
    videos = videos.subset([0, 1, 2])
    reference = np.zeros_like(videos.reference)
    reference[0, 0, :2, 0] = True  # two audible snippets
    reference[1, 1, :3, 1] = True  # three visible ones
    reference[2, :, :4, 2] = True  # four audi-visible ones
    reference[2, 0, 4, 2] = True  # and one only audible
    object.__setattr__(videos, "reference", reference)
    object.__setattr__(videos, "weak_labels", reference.any((1, 2)).astype(np.float32))
    p = torch.where(torch.from_numpy(reference), 0.9, 0.1)
    p[1] = 1 - p[1]
    p[2] = 0.5 + (0.5 - p[2]) / 10
    vacuity = torch.tensor([0.2, 0.1, 0.8])[:, None, None].expand(3, 2, 3)
    evidence = Evidence(
        PointEstimate(p), PointEstimate(torch.ones(3, 2, 3), vacuity), PointEstimate(torch.ones(3, 3)), p, torch.zeros(3, 2, SNIPPETS, 4)
    )
    return videos, evidence


def test_orders_of_a_case_worked_by_hand(videos, run):
    three, evidence = hand_made(videos)
    cells = 2 * SNIPPETS * len(CATEGORIES)
    surprise = ranks(evidence, three, run.thresholds, "wrong and confident")
    # wrong everywhere: |2 x 0.9 - 1| = 0.8 a cell in the second video, |2 x 0.54 - 1| = 0.08 in the third
    np.testing.assert_allclose(surprise, [0, 0.8 * cells, 0.08 * cells], rtol=1e-5)
    np.testing.assert_allclose(ranks(evidence, three, run.thresholds, "most vacuous"), [0.2, 0.1, 0.8], rtol=1e-6)
    np.testing.assert_array_equal(ranks(evidence, three, run.thresholds, "audio only"), [2, 0, 1])
    np.testing.assert_array_equal(ranks(evidence, three, run.thresholds, "visual only"), [0, 3, 0])
    assert order(evidence, three, run.thresholds, "wrong and confident") == [1, 2, 0]
    assert order(evidence, three, run.thresholds, "audio only") == [0, 2, 1]
    assert order(evidence, three, run.thresholds) == [0, 1, 2]
    assert order(evidence, three, run.thresholds, "good")[0] == 0  # all right; the quantiles of F lie nearest to the best, ...
    assert order(evidence, three, run.thresholds, "bad")[0] in (1, 2)  # ... and to the worst
    with pytest.raises(InputError, match="cannot be ordered by 'sight corrects hearing'"):
        order(evidence, three, run.thresholds, "sight corrects hearing")
    muted = replace(evidence, snippet=PointEstimate(torch.full_like(evidence.snippet.probability, 0.1), torch.full((3, 2, 5, 3), 0.3)))
    evidence = replace(evidence, snippet=PointEstimate(evidence.snippet.probability, torch.full((3, 2, 5, 3), 0.5)))
    # muted, nothing is heard: the first video loses its 2 right seconds; the second, all wrong, gains all 15; the third gains 10 of 15
    np.testing.assert_array_equal(ranks(evidence, three, run.thresholds, "sight corrects hearing", lambda: muted), [2, -15, -10])
    np.testing.assert_allclose(ranks(evidence, three, run.thresholds, SURER, lambda: muted), [0.2] * 3, rtol=1e-6)
    assert order(evidence, three, run.thresholds, search="baby_CRY") == [2]
    assert order(evidence, three, run.thresholds, search="video 1") == [1]
    assert order(evidence, three, run.thresholds, search="zebra") == []


def test_orders_that_data_or_heads_cannot_give(videos, run):
    jomold = predict(make_run(videos, "jomold").model, videos)
    assert "most vacuous" not in available_orders(jomold, videos)
    unlabelled = VideoSet("plain", "test", CATEGORIES, videos.ids, videos.features, videos.modalities)
    assert set(available_orders(predict(run.model, unlabelled), unlabelled)) == {"as listed", "most vacuous"}
    assert SURER in available_orders(predict(run.model, unlabelled), unlabelled, muted=True)
    with pytest.raises(InputError, match="cannot be ordered by 'audio only'"):
        ranks(jomold, unlabelled, run.thresholds, "audio only")
    assert explore(run, unlabelled, 0).scores is None and name(unlabelled, 0) == "video_0"


@pytest.mark.parametrize("preset", ["paper", "jomold", "released", "han"])
def test_the_widgets_show_every_preset(videos, preset):
    explorer = Explorer(make_run(videos, preset), videos)
    assert isinstance(explorer.picture, anywidget.AnyWidget) and explorer.picture in explorer.widget.children
    assert "simulated" in explorer.picture.video["title"]
    assert (explorer.state.presence is None) == (preset != "paper")
    assert explorer.controls["categories"].value == explorer.state.chosen


def test_every_control_changes_the_picture(run, videos):
    explorer = Explorer(run, videos)
    c, chosen = explorer.controls, explorer.controls["categories"]
    seen = {drawn(explorer)}
    changes = [
        ("video", 3), ("snippet", 2), ("log", True), ("level", "video"), ("level", "snippet"),
        ("mute_visual", True), ("mute_visual", False), ("scale_audio", 2.5), ("swap", 1), ("alone", True),
        ("video_threshold", 0.0), ("snippet_threshold", 0.2), ("own", True),
    ]
    for control, value in changes:
        before = drawn(explorer)
        c[control].value = value
        assert drawn(explorer) != before, control
        seen.add(drawn(explorer))
    chosen.value = ()
    assert explorer.state.chosen == () and drawn(explorer) not in seen


def test_the_picture_is_sent_what_is_new_and_no_more(run, videos):
    """A moved snippet is one number; the arrays of the video are not sent again."""
    explorer, changed = Explorer(run, videos), []
    explorer.picture.observe(lambda change: changed.append(change["name"]))
    for control, value, expected in (
        ("snippet", 2, {"snippet"}), ("log", True, {"log"}), ("video_threshold", 0.0, {"video"}), ("video", 3, {"video"}),
        ("scale_audio", 2.0, {"video", "before"}),
    ):
        changed.clear()
        explorer.controls[control].value = value
        assert set(changed) - {"chosen"} == expected, control


def test_the_pointer_over_the_picture_moves_the_snippet(run, videos):
    explorer = Explorer(run, videos)
    explorer.picture.snippet = 3
    assert explorer.controls["snippet"].value == 3 and explorer.state.snippet == 3


def test_muting_in_the_widget_without_cross_attention_moves_audio_absence_only(run, videos):
    explorer = Explorer(run, videos)
    explorer.controls["alone"].value = True
    before = explorer.state
    explorer.controls["mute_visual"].value = True
    np.testing.assert_array_equal(explorer.state.presence[0], before.presence[0])
    assert np.abs(explorer.state.absence[0] - before.absence[0]).max() > 1e-3


def test_sliders_follow_while_they_are_dragged(run, videos):
    sliders = [w for w in Explorer(run, videos).controls.values() if isinstance(w, ipywidgets.IntSlider | ipywidgets.FloatSlider)]
    assert len(sliders) == 5 and all(w.continuous_update for w in sliders)


def test_thresholds_stay_when_the_video_changes(run, videos):
    explorer = Explorer(run, videos)
    c = explorer.controls
    assert c["own"].value
    c["snippet_threshold"].value = 0.25
    assert not c["own"].value
    c["video"].value = 4
    assert c["snippet_threshold"].value == 0.25 and (explorer.state.snippet_thresholds == 0.25).all()
    c["own"].value = True
    np.testing.assert_array_equal(explorer.state.snippet_thresholds, run.thresholds.snippet)


def test_search_and_order_list_the_videos(run, videos):
    explorer = Explorer(run, videos)
    c = explorer.controls
    c["order"].value = "wrong and confident"
    expected = order(explorer.evidence, videos, run.thresholds, "wrong and confident")
    assert [i for _, i in c["video"].options] == expected
    assert c["video"].value == expected[0] and "video_" + str(expected[0]) in explorer.state.title
    picture = drawn(explorer)
    c["search"].value = "no such category"
    assert c["video"].options == () and explorer.found.value.startswith("0 of 6") and drawn(explorer) == picture
    c["search"].value = "cat"
    assert all("Cat" in text for text, _ in c["video"].options)


def test_a_shorter_video_ends_where_it_ends(videos, tmp_path):
    """Of a padded set: the arrays are cut to the video's own length, the slider ends there, and seconds follow the snippets'."""
    padded = replace(videos, lengths=np.array([3, 5, 5, 5, 5, 5]), snippet_seconds=0.5)
    run = make_run(padded, "paper")
    state = explore(run, padded, 0, snippet=4)
    assert state.estimate.shape[1] == state.presence.shape[1] == state.attention.shape[1] == state.reference.shape[1] == 3
    assert state.snippet == 2 and state.moment == "at 1 to 1.5 s"
    explorer = Explorer(run, padded)
    assert explorer.controls["snippet"].max == 2
    explorer.controls["video"].value = 1
    assert explorer.controls["snippet"].max == 4 and explorer.state.estimate.shape[1] == 5


def test_a_video_without_sound_says_so(videos):
    silent = replace(videos, present=np.array([[False, True]] + [[True, True]] * (VIDEOS - 1)))
    state = explore(make_run(silent, "paper"), silent, 0, video_threshold=0.0, snippet_threshold=0.0)
    assert state.present == (False, True) and not state.estimate[0].any() and state.estimate[1].all()
    assert "audio (absent)" in {t.get_text() for t in plots.figure_3(state).texts}
    both = explore(make_run(silent, "paper"), silent, 1, WhatIf(swap_visual_with=0))
    assert both.present == (True, True)


def test_an_empty_set(run, videos):
    with pytest.raises(InputError, match="no video to explore"):
        Explorer(run, videos.subset([]))


def test_the_picture_is_of_the_state(run, videos):
    explorer = Explorer(run, videos)
    explorer.controls["log"].value = True
    expected = packed(explorer.state)
    assert {name: explorer.picture.video[name] for name in expected} == expected and explorer.picture.log
    assert [videos.categories[c] for c in explorer.picture.chosen] == list(explorer.state.chosen)
    assert explorer.picture.video["thresholds"]["video"] == run.thresholds.video.ravel().tolist()


def test_the_video_level_draws_the_videos_own_opinions(run, videos):
    evidence = predict(run.model, videos)
    state = explore(run, videos, 2, level="video", snippet=3)
    for name_, array in (("presence", evidence.video.presence), ("absence", evidence.video.absence), ("vacuity", evidence.video.vacuity)):
        np.testing.assert_allclose(state.curves[name_][:, 3], array[2].numpy(), rtol=1e-4)
    np.testing.assert_array_equal(state.curves["threshold"], run.thresholds.video)
    same = explore(run, videos, 2, snippet=3)
    np.testing.assert_array_equal(state.estimate, same.estimate)
    with pytest.raises(InputError, match="no level 'frame'"):
        explore(run, videos, 2, level="frame")


def test_a_joint_gate_is_shown_as_it_decides(videos):
    run = make_run(videos, "han")
    state = explore(run, videos, 1, level="video")
    joint = predict(run.model, videos).joint.probability[1].numpy()
    np.testing.assert_allclose(state.video_probability, np.stack([joint, joint]), rtol=1e-5)


def stretched(videos, snippets, categories):
    """A set with as many snippets and categories as asked for."""
    rng, count = np.random.default_rng(1), 2
    features = {n: rng.standard_normal((count, snippets * (2 if n == "frames" else 1), 4)).astype(np.float32) for n in videos.features}
    return VideoSet("stretched", "test", tuple(f"Category_{i}" for i in range(categories)), ("a", "b"), features, videos.modalities)


@pytest.mark.parametrize(("snippets", "categories"), [(1, 1), (1, 39), (10, 39), (37, 2)])
def test_odd_sizes_and_no_reference(videos, snippets, categories):
    odd = stretched(videos, snippets, categories)
    explorer = Explorer(make_run(odd, "paper"), odd)
    explorer.controls["log"].value = True
    explorer.controls["categories"].value = odd.categories
    explorer.controls["snippet"].value = snippets - 1
    explorer.controls["video_threshold"].value = 0.0
    explorer.controls["snippet_threshold"].value = 0.0
    assert explorer.state.estimate.all() and explorer.picture.video["scores"] is None
    assert plots.png(plots.figure_3(explorer.state)).startswith(b"\x89PNG")


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("bias", [-800.0, 80.0, 800.0])
def test_evidence_beyond_all_floats(videos, bias, log):
    run = make_run(videos, "paper")
    with torch.no_grad():
        run.model.collector.presence.bias.fill_(bias)
    explorer = Explorer(run, videos)
    explorer.controls["log"].value = log
    for level in ("snippet", "video"):
        explorer.controls["level"].value = level
        assert drawn(explorer)  # which would be an error with NaN or infinity
        assert plots.png(plots.figure_3(explorer.state)).startswith(b"\x89PNG")


def test_another_split_another_set_and_what_does_not_fit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, tiny = checkpoint.shipped_run(), data.load("small", "test").subset(range(3))
    explorer, c = None, None
    own = make_run(data.load("tiny", "val"), "paper").save(tmp_path / "runs" / "own")
    explorer = Explorer(run, tiny)
    c = explorer.controls
    assert dict(c["checkpoint"].options)["runs/own"] == own.relative_to(tmp_path)
    c["split"].value = "val"
    assert "(val)" in explorer.state.title and len(explorer.evidence.attention) == len(data.load("small", "val"))
    before = drawn(explorer)
    c["data"].value = "tiny"
    assert "checkpoint" in explorer.found.value and drawn(explorer) == before
    c["checkpoint"].value = own.relative_to(tmp_path)
    assert "simulated tiny (val)" in explorer.state.title
    c["data"].value = "no such set"
    assert "no data set" in explorer.found.value and "simulated tiny" in explorer.state.title
    c["data"].value, c["checkpoint"].value, c["split"].value = "as given", "as given", "test"
    assert len(explorer.video_set) == 3 and "simulated small (test)" in explorer.state.title


def test_a_run_of_other_data_is_refused(run):
    with pytest.raises(InputError, match="other categories"):
        Explorer(run, data.load("tiny", "test"))


def test_a_localisation_threshold_moves_its_answer(tmp_path):
    videos = data.load("simulated-ave", "val").subset(range(4))
    config = presets["ave"].changed(width=16)
    run = Run(get(config.method)(config, videos.spec).eval(), pd.DataFrame(), Thresholds.of(config, videos.categories), 1, {})
    explorer = Explorer(run, videos)
    explorer.controls["snippet_threshold"].value = 0.0
    assert explorer.state.estimate.all((1,)).any() and explorer.state.estimate.any((0, 1)).sum() == 1
    explorer.controls["snippet_threshold"].value = 1.0
    assert not explorer.state.estimate.any()
    with pytest.raises(InputError, match="localisation"):
        export_html(run, videos, tmp_path / "page.html")


def test_media_are_shown_where_they_are(run, videos, tmp_path):
    assert Explorer(run, videos).picture.media == {"frames": [None] * SNIPPETS, "spectrogram": None, "note": "no media files at hand"}
    (tmp_path / "video_0").mkdir()
    Image.new("RGB", (64, 36), "red").save(tmp_path / "video_0" / "1.png")
    explorer = Explorer(run, videos, media=tmp_path)
    assert all(address.startswith("data:image/jpeg;base64,") for address in explorer.picture.media["frames"])
    assert len(explorer.picture.media["frames"]) == SNIPPETS
    explorer.controls["video"].value = 1
    assert explorer.picture.media["frames"] == [None] * SNIPPETS and "no media files at hand" in explorer.picture.media["note"]


def test_checkpoints_and_data_sets_that_can_be_named(tmp_path):
    (tmp_path / "runs" / "half").mkdir(parents=True)
    (tmp_path / "runs" / "half" / "config.json").write_text("{}")
    found = widget.checkpoints([tmp_path])
    assert "runs/half" not in found  # its model is missing
    assert all(checkpoint.load_run(folder) for folder in list(found.values())[:1])
    assert {"small", "simulated-ave", "llp"} <= set(widget.data_sets())


def test_the_benchmark_measures_every_kind_of_update():
    path = Path(__file__).parents[2] / "benchmarks" / "explorer.py"
    benchmark = runpy.run_path(str(path))
    times = benchmark["measure"](1)
    assert all(times[control] for control in benchmark["UPDATES"])
    not_updates = {"data", "split", "checkpoint"}  # they read and predict a whole set
    assert set(benchmark["UPDATES"]) == set(Explorer(checkpoint.shipped_run(), data.load("small", "val")).controls) - not_updates
