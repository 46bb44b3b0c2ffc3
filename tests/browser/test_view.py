"""The live figure in a real browser: every number read back from the picture is the state's, over all options; axes by hand."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from states import make_state

from cmpae_toolkit.explorer.page import HERE
from cmpae_toolkit.explorer.widget import Picture

SVG = "{http://www.w3.org/2000/svg}"
LEFT, COLUMN, SPACE, MEDIA, EVIDENCE, PROBABILITY = 112, 298, 30, 44, 150, 120  # as in view.js
OPTIONS = {
    "plain": {}, "log": dict(log=True), "video level": dict(level="video"), "both": dict(log=True, level="video"),
    "one snippet": dict(snippets=1, events=False), "long": dict(snippets=20, snippet=19), "39": dict(count=39, chosen=39),
    "nothing chosen": dict(chosen=0), "no reference": dict(reference=False), "no event": dict(events=False),
    "point estimates": dict(evidence=False), "no attention": dict(attention=None), "half seconds": dict(seconds=0.5, snippet=3),
    "blank media": dict(frames=(None,) * 10, note="no media <files> at hand"), "no sound": dict(present=(False, True)),
}
# what a notebook's front end does with the traits, without a kernel
MODEL = """(traits) => {
  const changes = {}, el = document.body;
  globalThis.model = {
    get: (name) => traits[name], set: (name, value) => { traits[name] = value; changes[`change:${name}`]?.(); },
    save_changes: () => { globalThis.saved = { ...traits }; }, on: (event, f) => { changes[event] = f; }, off: () => {},
  };
  el.replaceChildren();
  view.default.render({ model, el });
}"""


@pytest.fixture(scope="module")
def view(browser):
    """A blank page with `view.js` in it."""
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    script = (HERE / "view.js").read_text(encoding="utf-8")
    names = re.search(r"export \{ (.*) \};", script)[1]
    page.add_script_tag(content=f"{script}\nglobalThis.view = {{ {names}, default: {{ render }} }};", type="module")
    page.add_style_tag(content=(HERE / "view.css").read_text(encoding="utf-8"))
    page.wait_for_function("globalThis.view")
    yield page
    page.close()
    assert not errors


@pytest.fixture
def drawing(view):
    """State -> the root of the SVG that the widget of this state draws."""
    def draw(state):
        picture = Picture()
        picture.show(state)
        view.evaluate(MODEL, {name: getattr(picture, name) for name in ("video", "media", "chosen", "snippet", "level", "log", "before")})
        return ET.fromstring(view.evaluate("new XMLSerializer().serializeToString(document.querySelector('svg'))"))

    return draw


def state_of(name):
    return make_state(**OPTIONS[name])


def elements(root, tag, *kinds):
    return [e for e in root.iter(SVG + tag) if set(kinds) <= set(e.get("class", "").split())]


def points(path):
    return np.array([[float(v) for v in pair.split(",")] for pair in re.findall(r"[ML]([\d.-]+,[\d.-]+)", path.get("d"))])


def said(root):
    return [t.text for t in elements(root, "text")]


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_well_formed_and_inside_its_page(drawing, view, name):
    root = drawing(replace(state_of(name), title='simulated: what <is> "here"'))
    width, height = (float(v) for v in root.get("viewBox").split()[2:])
    assert root.get("role") == "img" and root.get("aria-label").startswith('simulated: what <is> "here"')
    assert view.locator("p.caption").inner_text() == root.get("aria-label")
    for e in root.iter():
        for axis, limit in (("x", width), ("y", height)):
            assert 0 <= float(e.get(axis, 0)) <= limit
        if e.tag == SVG + "path":
            assert (points(e) >= 0).all() and (points(e) <= (width, height)).all()
    assert any("simulated" in t for t in said(root))


@pytest.mark.parametrize("name", ["plain", "log", "video level", "both", "39", "long"])
def test_the_curves_are_the_evidence_and_the_probability(drawing, view, name):
    """From the picture back to numbers, with the axis that the picture itself tells: its ticks."""
    state = state_of(name)
    root = drawing(state)
    chosen = len(state.chosen)
    presence, absence = (elements(root, "path", "series", kind) for kind in ("presence", "absence"))
    assert len(presence) == 2 * 2 * chosen and len(absence) == 2 * chosen  # evidence and probability, evidence
    tick_at = {t.text: float(t.get("y")) - 4 for t in elements(root, "text", "quiet", "end") if "video" not in t.text}
    assert tick_at["0"] > tick_at["0.5"] > tick_at["1"]
    curves = state.curves
    shown = np.stack([curves["presence"], curves["absence"]])[:, :, :, :chosen]
    full = view.evaluate("([x, log]) => view.scale(x, log)", [float(shown.max()), state.log]) * 1.04
    scale = (lambda x: np.where(x > 1, 1 + np.log10(np.maximum(x, 1)), x)) if state.log else (lambda x: x)
    y0 = _evidence_bottom(root)
    for group, kind in ((presence[: 2 * chosen], 0), (absence, 1)):
        for path in group:
            number = group.index(path)
            m, k = divmod(number, chosen)
            drawn = (y0 - points(path)[:, 1]) / EVIDENCE * full
            np.testing.assert_allclose(drawn, scale(shown[kind, m, :, k]), atol=full * 0.06 / EVIDENCE)
    y1 = _probability_bottom(root)
    for number, path in enumerate(presence[2 * chosen :]):
        m, k = divmod(number, chosen)
        drawn = (y1 - points(path)[:, 1]) / PROBABILITY
        np.testing.assert_allclose(drawn, curves["probability"][m, :, k], atol=0.06 / PROBABILITY)


def _here(root):
    """The shaded snippet of each panel: events, evidence, probability, attention, twice each."""
    return [(float(e.get("y")), float(e.get("height"))) for e in elements(root, "rect", "here")]


def _evidence_bottom(root):
    return sum(_here(root)[2])


def _probability_bottom(root):
    return sum(_here(root)[4])


def test_series_come_in_the_states_order(drawing):
    root = drawing(state_of("plain"))
    looks = [e.get("class").split()[-1] for e in elements(root, "path", "series", "absence")]
    assert looks == ["a0", "a1", "v0", "v1"]


@pytest.mark.parametrize("name", ["plain", "no reference", "long"])
def test_bars_span_the_events(drawing, name):
    state = state_of(name)
    root = drawing(state)
    step = COLUMN / state.estimate.shape[1]
    for kind, roll in (("reference", state.reference), ("estimate", state.estimate)):
        bars = [e for e in elements(root, "rect", kind) if "key" not in e.get("class")]
        if roll is None:
            assert not bars
            continue
        seconds = sum(round((float(e.get("width")) + 2) / step) for e in bars)
        assert seconds == roll.sum()
        for e in bars:
            m = "av".index(e.get("class").split()[-1][0])
            start = round((float(e.get("x")) - 1 - LEFT - m * (COLUMN + SPACE)) / step)
            assert roll[m, start].any() and (start == 0 or not roll[m, start - 1].any())


def test_attention_and_frames_of_the_chosen_snippet(drawing):
    state = make_state(chosen=2, snippet=3)
    root = drawing(state)
    opacity = [float(e.get("fill-opacity")) for e in elements(root, "rect", "heat")]
    shown = np.moveaxis(state.attention[..., :2], -1, 0)
    np.testing.assert_allclose(opacity, (shown / shown.max()).transpose(1, 0, 2).ravel(), atol=4e-3)  # in 255 steps
    step = COLUMN / 10
    for e in elements(root, "rect", "here") + elements(root, "rect", "frame"):
        x = float(e.get("x")) - LEFT - 3 * step
        assert min(abs(x), abs(x - COLUMN - SPACE)) < 0.06


@pytest.mark.parametrize("level", ["snippet", "video"])
def test_the_triangles_points_are_the_opinions(drawing, level):
    state = replace(state_of("video level" if level == "video" else "plain"), snippet=4)
    root = drawing(state)
    u, p = (state.curves[n][:, 4, :2].ravel() for n in ("vacuity", "probability"))
    x, y = np.array([points(e)[0] for e in elements(root, "path", "point")]).T
    corners = points(elements(root, "path", "axis")[-1])
    (left, base), (right, _), (_, top) = corners
    np.testing.assert_allclose((x - left) / (right - left), p, atol=1e-3)  # p = belief + vacuity / 2
    np.testing.assert_allclose((base - y) / (base - top), u, atol=1e-3)


def test_what_is_missing_is_said(drawing):
    for name, told in {
        "point estimates": "this head gives a probability only: it collects no presence and absence evidence",
        "no reference": "No dense reference for this video: no F-score.", "nothing chosen": "no category is chosen", "no event": "no event",
        "blank media": "no media <files> at hand", "39": "… and 27 more", "no attention": "this method has no attention over the snippets",
        "no sound": "audio (absent)", "half seconds": "Opinions at 1.5 to 2 s",
    }.items():
        assert told in said(drawing(state_of(name))), name


def test_thresholds_and_gates(drawing):
    state = make_state(chosen=1)
    state = replace(state, snippet_thresholds=np.array([[0.2, 0, 0], [0.7, 0, 0]]), video_thresholds=np.array([[0.6] * 3, [0.8] * 3]))
    root = drawing(state)
    y = [points(e)[0, 1] for e in elements(root, "path", "threshold")]
    bottom = _probability_bottom(root)
    np.testing.assert_allclose((bottom - np.array(y)) / PROBABILITY, [0.2, 0.7], atol=1e-3)
    gates = [t.text for t in elements(root, "text", "gate")]
    assert gates[0].endswith("0.70 open") and gates[1].endswith("0.70 closed")


def test_media_of_the_video(drawing):
    root = drawing(make_state(frames=(np.full((9, 16, 3), 200, np.uint8),) * 9 + (None,), spectrogram=np.eye(48)))
    *tiles, heard = elements(root, "image")
    assert len(tiles) == 9 and heard.get("href").startswith("data:image/png;base64,")
    assert [float(heard.get(name)) for name in ("x", "width", "height")] == [LEFT, COLUMN, MEDIA]  # as wide as the curves


def test_ticks_are_round_and_few(view):
    def ticks(top, log):
        return view.evaluate("([top, log]) => view.ticks(top, log)", [top, log])

    assert ticks(2.0, False) == [0, 0.5, 1, 1.5, 2]
    assert ticks(40.0, False) == [0, 10, 20, 30, 40]
    assert ticks(0.5, True) == [0] and ticks(1500.0, True) == [0, 1, 10, 100, 1000]
    assert ticks(1e100, True)[:2] == [0, 1] and len(ticks(1e100, True)) <= 7
    assert view.evaluate("[view.scale(0.5, true), view.scale(1000, true), view.scale(1000, false)]") == [0.5, 4, 1000]
    told = view.evaluate("[0, 0.25, 500, 10000.0, 1e6, 2.5e90].map(view.number)")
    assert told == ["0", "0.25", "500", "10000", "1e6", "2.5e90"]


def test_colours_follow_the_pages_theme(drawing):
    sheet = (HERE / "view.css").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in sheet and 'data-jp-theme-light="false"' in sheet
    used = {k for e in drawing(state_of("39")).iter() for k in e.get("class", "").split()}
    unknown = {k for k in used if f".{k}" not in sheet} - {"score", "gate", "point", "presence", "corners"}
    assert not unknown


def test_other_prior_weights_give_their_vacuity(drawing):
    """u = W / S with W = 0.2: from the triangle back to the numbers."""
    state = make_state(chosen=1, prior_weight=0.2)
    strength = state.presence + state.absence + 0.2
    state = replace(state, vacuity=0.2 / strength, probability=(state.presence + 0.1) / strength)
    root = drawing(state)
    _, y = np.array([points(e)[0] for e in elements(root, "path", "point")]).T
    (_, base), _, (_, top) = points(elements(root, "path", "axis")[-1])
    np.testing.assert_allclose((base - y) / (base - top), state.vacuity[:, 0, 0], atol=2e-3)


def test_evidence_beyond_all_floats_is_drawn(drawing):
    state = make_state(log=True)
    root = drawing(replace(state, presence=np.full_like(state.presence, np.inf), absence=np.zeros_like(state.absence)))
    assert not re.search("NaN|Infinity", ET.tostring(root, encoding="unicode"))
    assert "1e100" in said(root)


def test_names_are_text(drawing):
    names = ("</svg><script>globalThis.broken = 1</script>", "<!--<b>", "$x$ & \"y\" 'z'")
    state = replace(make_state(chosen=3), categories=names, chosen=names, title=names[0])
    root = drawing(replace(state, reference=~np.zeros_like(state.reference)))
    assert not {e.tag for e in root.iter()} - {SVG + tag for tag in ("svg", "rect", "path", "text")}
    for name in names[1:]:
        assert any(t == name for t in said(root)) and name in root.get("aria-label")
    assert names[0] in root.get("aria-label")


def test_five_hundred_categories_make_a_picture_that_scales(drawing, view):
    state = make_state(count=500, chosen=500)
    root = drawing(replace(state, reference=np.ones_like(state.reference), estimate=np.ones_like(state.estimate)))
    assert float(root.get("viewBox").split()[3]) < 1700
    names = sorted(float(t.get("y")) for t in elements(root, "text", "end") if (t.text or "").startswith("Category"))
    assert 20 < len(names) < 100 and min(np.diff(names)) > 8
    assert view.locator("p.caption").inner_text().endswith(", and 940 more events.")
    assert view.locator("body").bounding_box()["height"] < 3000


def test_a_new_state_is_drawn_once(drawing, view):
    """All traits of a message are one drawing."""
    drawing(make_state(count=25, chosen=6))
    drawings = view.evaluate("""async () => {
      let drawings = 0;
      const seen = new MutationObserver((all) => { drawings += all.filter((r) => r.addedNodes.length).length; });
      seen.observe(document.querySelector("svg").parentElement, { childList: true });
      for (let k = 0; k < 20; k++) { model.set("snippet", k % 10); model.set("log", k % 2 > 0); await null; await null; }
      await new Promise((done) => setTimeout(done));
      return drawings;
    }""")
    assert drawings == 20


def test_the_pointer_chooses_the_snippet(drawing, view):
    drawing(make_state())
    box = view.locator("svg rect.here").nth(1).bounding_box()
    view.mouse.move(box["x"] + box["width"] * 4.5, box["y"] + 5)
    view.wait_for_function("document.querySelector('svg').textContent.includes('at 4 to 5 s')")
    assert view.evaluate("saved.snippet") == 4
