"""The explorer's SVG: every number read back from the picture is the state's, over all options; axes and ticks worked by hand."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from test_plots import make_state

from cmpae_toolkit.explorer import live, svg
from cmpae_toolkit.extract.media import Media
from cmpae_toolkit.plots import explorer_svg, style

SVG = "{http://www.w3.org/2000/svg}"
OPTIONS = {
    "plain": {}, "log": dict(log=True), "video level": dict(level="video"), "both": dict(log=True, level="video"),
    "one snippet": dict(snippets=1), "long": dict(snippets=20, snippet=19), "39": dict(count=39, chosen=39),
    "nothing chosen": dict(chosen=0), "no reference": dict(reference=False), "no event": dict(events=False),
    "point estimates": dict(evidence=False), "blank media": dict(media=Media((None,) * 10, note="no media <files> at hand")),
}


def state_of(name):
    options = OPTIONS[name]
    snippets, events = options.get("snippets", 10), options.get("events", True) and options.get("snippets", 10) > 3
    state = make_state(**options | {"events": events})
    if options.get("level") == "video":
        rng = np.random.default_rng(1)
        presence, absence = rng.random((2, 2, len(state.categories)))
        strength = presence + absence + 2
        state = replace(
            state, video_presence=presence, video_absence=absence, video_probability=(presence + 1) / strength, video_vacuity=2 / strength
        )
    assert state.probability.shape[1] == snippets
    return state


def elements(state, tag, *kinds):
    root = ET.fromstring(explorer_svg(state))
    return [e for e in root.iter(SVG + tag) if set(kinds) <= set(e.get("class", "").split())]


def points(path):
    return np.array([[float(v) for v in pair.split(",")] for pair in re.findall(r"[ML]([\d.-]+,[\d.-]+)", path.get("d"))])


def said(state):
    return [t.text for t in elements(state, "text")]


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_well_formed_and_inside_its_page(name):
    state = state_of(name)
    root = ET.fromstring(explorer_svg(state, 'what <is> "here"'))
    width, height = (float(v) for v in root.get("viewBox").split()[2:])
    assert root.get("role") == "img" and root.get("aria-label") == 'what <is> "here"'
    for e in root.iter():
        for axis, limit in (("x", width), ("y", height)):
            assert 0 <= float(e.get(axis, 0)) <= limit
        if e.tag == SVG + "path":
            assert (points(e) >= 0).all() and (points(e) <= (width, height)).all()
    assert any("simulated" in t for t in said(state))


@pytest.mark.parametrize("name", ["plain", "log", "video level", "both", "39", "long"])
def test_the_curves_are_the_evidence_and_the_probability(name):
    """From the picture back to numbers, with the axis that the picture itself tells: its ticks."""
    state = state_of(name)
    chosen = len(state.chosen)
    presence, absence = (elements(state, "path", "series", kind) for kind in ("presence", "absence"))
    assert len(presence) == 2 * 2 * chosen and len(absence) == 2 * chosen  # evidence and probability, evidence
    tick_at = {t.text: float(t.get("y")) - 4 for t in elements(state, "text", "quiet", "end") if "video" not in t.text}
    assert tick_at["0"] > tick_at["0.5"] > tick_at["1"]
    curves = state.curves
    shown = np.stack([curves["presence"], curves["absence"]])[:, :, :, :chosen]
    full = svg.scale(shown.max(), state.log) * 1.04
    scale = (lambda x: np.where(x > 1, 1 + np.log10(np.maximum(x, 1)), x)) if state.log else (lambda x: x)
    y0 = _evidence_bottom(state)
    for group, kind in ((presence[: 2 * chosen], 0), (absence, 1)):
        for path in group:
            number = group.index(path)
            m, k = divmod(number, chosen)
            drawn = (y0 - points(path)[:, 1]) / live.EVIDENCE * full
            np.testing.assert_allclose(drawn, scale(shown[kind, m, :, k]), atol=full * 0.06 / live.EVIDENCE)
    y1 = _probability_bottom(state)
    for number, path in enumerate(presence[2 * chosen :]):
        m, k = divmod(number, chosen)
        drawn = (y1 - points(path)[:, 1]) / live.PROBABILITY
        np.testing.assert_allclose(drawn, curves["probability"][m, :, k], atol=0.06 / live.PROBABILITY)


def _here(state):
    """The shaded snippet of each panel: events, evidence, probability, attention, twice each."""
    return [(float(e.get("y")), float(e.get("height"))) for e in elements(state, "rect", "here")]


def _evidence_bottom(state):
    return sum(_here(state)[2])


def _probability_bottom(state):
    return sum(_here(state)[4])


def test_series_come_in_the_states_order():
    state = state_of("plain")
    looks = [e.get("class").split()[-1] for e in elements(state, "path", "series", "absence")]
    assert looks == ["a0", "a1", "v0", "v1"]


@pytest.mark.parametrize("name", ["plain", "no reference", "long"])
def test_bars_span_the_events(name):
    state = state_of(name)
    step = live.COLUMN / state.estimate.shape[1]
    for kind, roll in (("reference", state.reference), ("estimate", state.estimate)):
        bars = [e for e in elements(state, "rect", kind) if "key" not in e.get("class")]
        if roll is None:
            assert not bars
            continue
        seconds = sum(round((float(e.get("width")) + 2) / step) for e in bars)
        assert seconds == roll.sum()
        for e in bars:
            m = "av".index(e.get("class").split()[-1][0])
            start = round((float(e.get("x")) - 1 - live.LEFT - m * (live.COLUMN + live.SPACE)) / step)
            assert roll[m, start].any() and (start == 0 or not roll[m, start - 1].any())


def test_attention_and_frames_of_the_chosen_snippet():
    state = make_state(chosen=2, snippet=3)
    opacity = [float(e.get("fill-opacity")) for e in elements(state, "rect", "heat")]
    shown = np.moveaxis(state.attention[..., :2], -1, 0)
    np.testing.assert_allclose(opacity, (shown / shown.max()).ravel(), atol=6e-4)
    step = live.COLUMN / 10
    for e in elements(state, "rect", "here") + elements(state, "rect", "frame"):
        x = float(e.get("x")) - live.LEFT - 3 * step
        assert min(abs(x), abs(x - live.COLUMN - live.SPACE)) < 0.06


@pytest.mark.parametrize("level", ["snippet", "video"])
def test_the_triangles_points_are_the_opinions(level):
    state = replace(state_of("video level" if level == "video" else "plain"), snippet=4)
    u, p = (state.curves[n][:, 4, :2].ravel() for n in ("vacuity", "probability"))
    x, y = np.array([points(e)[0] for e in elements(state, "path", "point")]).T
    corners = points(elements(state, "path", "axis")[-1])
    (left, base), (right, _), (_, top) = corners
    np.testing.assert_allclose((x - left) / (right - left), p, atol=1e-3)  # p = belief + vacuity / 2
    np.testing.assert_allclose((base - y) / (base - top), u, atol=1e-3)


def test_what_is_missing_is_said():
    assert any("collects no presence" in t for t in said(state_of("point estimates")))
    assert any("no F-score" in t for t in said(state_of("no reference")))
    assert "no category is chosen" in said(state_of("nothing chosen"))
    assert "no event" in said(state_of("no event"))
    assert "no media <files> at hand" in said(state_of("blank media"))
    assert "… and 27 more" in said(state_of("39"))  # of 39, 12 are named


def test_thresholds_and_gates():
    state = make_state(chosen=1)
    state = replace(state, snippet_thresholds=np.array([[0.2, 0, 0], [0.7, 0, 0]]), video_thresholds=np.array([[0.6] * 3, [0.8] * 3]))
    y = [points(e)[0, 1] for e in elements(state, "path", "threshold")]
    bottom = _probability_bottom(state)
    np.testing.assert_allclose((bottom - np.array(y)) / live.PROBABILITY, [0.2, 0.7], atol=1e-3)
    gates = [t.text for t in elements(state, "text", "gate")]
    assert gates[0].endswith("0.70 open") and gates[1].endswith("0.70 closed")


def test_media_of_the_video():
    wave = np.array([[-1.0, 1.0], [-0.5, 0.25]])
    tile = np.full((9, 16, 3), 200, np.uint8)
    state = make_state(media=Media((tile,) * 9 + (None,), wave))
    assert len(elements(state, "image")) == 9
    outline = points(elements(state, "path", "wave")[0])[:, 1]
    middle = (outline[0] + outline[3]) / 2
    np.testing.assert_allclose((middle - outline) / (0.48 * live.MEDIA), [1, 0.25, -0.5, -1], atol=0.01)


def test_ticks_are_round_and_few():
    assert svg.ticks(2.0, False) == [0, 0.5, 1, 1.5, 2]
    assert svg.ticks(40.0, False) == [0, 10, 20, 30, 40]
    assert svg.ticks(0.5, True) == [0] and svg.ticks(1500.0, True) == [0, 1, 10, 100, 1000]
    assert svg.ticks(1e300, True)[:2] == [0, 1] and len(svg.ticks(1e300, True)) <= 7
    assert svg.scale(0.5, True) == 0.5 and svg.scale(1000, True) == 1 + 3 and svg.scale(1000, False) == 1000
    assert [svg.number(x) for x in (0, 0.25, 500, 10000.0, 1e6, 2.5e300)] == ["0", "0.25", "500", "10000", "1e6", "2.5e300"]


def test_colours_follow_the_pages_theme():
    sheet = style()
    assert sheet.startswith("<style>") and "prefers-color-scheme: dark" in sheet and 'data-jp-theme-light="false"' in sheet
    used = {k for e in ET.fromstring(explorer_svg(state_of("39"))).iter() for k in e.get("class", "").split()}
    unknown = {k for k in used if f".{k}" not in sheet} - {"score", "gate", "point", "presence"}
    assert not unknown
