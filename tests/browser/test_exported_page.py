"""The exported explorer in a real browser: it scores like the Python scorer, draws like the widget, and answers its controls."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from cmpae_toolkit import checkpoint, data, decode, metrics
from cmpae_toolkit.explorer import explore, export_html
from cmpae_toolkit.explorer.page import changes, interesting
from cmpae_toolkit.explorer.state import with_values
from cmpae_toolkit.explorer.widget import Picture
from cmpae_toolkit.inference import predict
from cmpae_toolkit.methods import get

THRESHOLDS = ((None, None), (0.0, 0.0), (0.2, 0.35), (0.5, 0.5), (0.73, 0.1), (1.0, 1.0))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The page that notebook 09 writes, with the run, the videos and their numbers."""
    run, videos = checkpoint.shipped_run(), data.load("small", "test")
    path = export_html(run, videos, tmp_path_factory.mktemp("page") / "explorer.html")
    assert path.stat().st_size < 1_000_000
    evidence = predict(run.model, videos)
    return path, run, videos, evidence, [i for i, _ in interesting(run, videos, evidence)]


@pytest.fixture
def opened(page, exported):
    """The page with nothing but itself: every other request is refused, every error is kept."""
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(exported[0].as_uri())
    page.wait_for_selector("#picture svg")
    yield page
    assert not errors and all(url.startswith(("file:", "data:")) for url in asked)


def test_estimate_and_f_are_those_of_the_python_scorer(opened, exported):
    _, run, videos, evidence, numbers = exported
    script = """(all) => all.map((o) => { const s = cmpae.state(o); return [s.estimate, s.scores]; })"""
    for position, index in enumerate(numbers):
        asked, expected = [], []
        for number, (_, change, cross) in enumerate(changes((index + 1) % len(videos))):
            state = explore(run, videos, index, change, cross_attention=cross, evidence=evidence)
            for video_threshold, snippet_threshold in THRESHOLDS:
                asked.append({
                    "video": position, "change": number, "video_threshold": video_threshold, "snippet_threshold": snippet_threshold
                })
                thresholds = with_values(run.thresholds, video_threshold, snippet_threshold)
                gates = state.video_probability[None], np.zeros((1, len(videos.categories)))
                roll = decode.event_rolls(state.probability[None], *gates, thresholds)
                expected.append((roll, metrics.f_scores(roll, state.reference[None])))
        for (roll, scores), (roll_there, scores_there) in zip(expected, opened.evaluate(script, asked), strict=True):
            np.testing.assert_array_equal(np.array(roll_there, bool), roll.ravel())
            for level, name in itertools.product(metrics.LEVELS, metrics.SCORES):
                assert scores_there[level][name] == pytest.approx(scores[level][name], abs=1e-9)


WIDGET = """({ video, media, before, ...own }) => cmpae.draw({
  ...cmpae.unpack(video, video.categories), thresholds: video.thresholds, scores: video.scores, ...own,
  before: before.p ? { ...cmpae.unpack(before, video.categories), scores: before.scores } : null, beforeName: before.name })"""


@pytest.mark.parametrize("options", [
    {}, {"log": True, "snippet": 4}, {"level": "video"}, {"video_threshold": 0.1, "snippet_threshold": 0.2, "log": True},
    {"chosen": "none"},
], ids=str)
def test_it_draws_what_the_widget_draws(opened, exported, options):
    """The page decodes and scores by itself; the widget is told by Python. The pictures are the same to the last letter."""
    _, run, videos, evidence, numbers = exported
    for position, index in list(enumerate(numbers))[:3]:
        for number, (_, change, cross) in list(enumerate(changes((index + 1) % len(videos))))[::4]:
            chosen = () if options.get("chosen") else explore(run, videos, index, evidence=evidence).chosen
            given = {k: v for k, v in options.items() if k != "chosen"}
            asked = given | {"video": position, "change": number, "chosen": [videos.categories.index(c) for c in chosen]}
            picture = Picture()
            picture.show(explore(run, videos, index, change, cross_attention=cross, evidence=evidence, chosen=chosen, **given))
            traits = {name: getattr(picture, name) for name in ("video", "media", "chosen", "snippet", "level", "log", "before")}
            assert opened.evaluate("(o) => cmpae.draw(cmpae.state(o))", asked) == opened.evaluate(WIDGET, traits)


def test_every_control_changes_the_picture(opened, artefacts):
    def picture():
        return opened.locator("#picture").inner_html()

    opened.screenshot(path=artefacts / "page_light.png", full_page=True)
    assert "simulated" in opened.locator("main").inner_text()
    seen = [picture()]
    moves = [
        lambda: opened.select_option("#video", index=5), lambda: opened.select_option("#change", label="audio muted"),
        lambda: opened.select_option("#level", "video"), lambda: opened.select_option("#level", "snippet"),
        lambda: opened.uncheck("#log"), lambda: opened.locator("#snippet").fill("3"),
        lambda: opened.locator("#snippet_threshold").fill("0.05"),
        lambda: opened.locator("#video_threshold").fill("0.01"), lambda: opened.locator(".chip").first.click(),
        lambda: opened.select_option(".chips select", index=3), lambda: opened.locator("[data-add]").first.click(),
        lambda: opened.get_by_role("button", name="Pin", exact=True).click(),
    ]
    for number, move in enumerate(moves):
        move()
        now = picture()
        assert now != seen[-1], number
        seen.append(now)
    assert not opened.is_checked("#own") and "audio muted" in picture()
    opened.check("#own")
    assert picture() != seen[-1]


def test_names_that_look_like_markup_do_not_break_the_page(page, tmp_path):
    """Categories and ids that would close or comment out an element are shown as they are, and the page works."""
    names = ("</script><script>globalThis.broken = 1</script>", "<!--<script>", "<img src=x onerror='globalThis.broken = 1'>")
    videos = data.load("small", "test").subset(range(3))
    renamed = replace(videos, categories=(*names, *videos.categories[3:]), ids=("<!--<script>", "</select>", "&lt;i&gt;"), filenames=())
    shipped = checkpoint.shipped_run()
    model = get(shipped.config.method)(shipped.config, renamed.spec).eval()
    model.load_state_dict(shipped.model.state_dict())
    run = replace(shipped, model=model, thresholds=replace(shipped.thresholds, categories=renamed.categories))
    page.goto(export_html(run, renamed, tmp_path / "page.html", videos=range(3)).as_uri())
    page.wait_for_selector("#picture svg")
    for kind in ("video", "snippet"):
        page.locator(f"#{kind}_threshold").fill("0")
    for name in names:
        if not page.locator(".chip").filter(has_text=name).count():
            page.select_option(".chips select", label=name)
    told = page.locator("#caption").inner_text()
    assert all(name in told for name in names) and "<!--<script>" in page.locator("#picture svg text.title").text_content()
    assert [told.removesuffix(" ×") for told in page.locator(".chip").all_inner_texts()][:3] == list(names)
    assert page.evaluate("globalThis.broken === undefined && !document.querySelector('#picture img, #picture script')")


def test_the_keyboard_and_the_cursor_move_the_snippet(opened):
    opened.focus("#snippet")
    opened.keyboard.press("ArrowRight")
    assert "1 to 2 s" in opened.locator("#picture").inner_html() and opened.locator("#snippet_value").inner_text() == "1 to 2 s"
    box = opened.locator("#picture rect.here").nth(1).bounding_box()  # the right column's
    opened.mouse.move(box["x"] + box["width"] * 4.5, box["y"] + 5)
    assert "at 5 to 6 s" in opened.locator("#picture").inner_html()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(browser, exported, artefacts, scheme):
    """The contrast of the picture's words against the page is at least 4.5 : 1 (WCAG AA)."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1300, "height": 1200})
    page = context.new_page()
    page.goto(exported[0].as_uri())
    page.screenshot(path=artefacts / f"page_{scheme}.png", full_page=True)
    colors = page.evaluate(
        """() => [getComputedStyle(document.querySelector("main")).backgroundColor,
        ...[...document.querySelectorAll("#picture text")].map((t) => getComputedStyle(t).fill)]"""
    )
    paper, *inks = ([int(v) for v in re.findall(r"\d+", c)[:3]] for c in dict.fromkeys(colors))
    assert len(inks) >= 3 and (max(paper) < 60) == (scheme == "dark")
    for ink in inks:
        dark, light = sorted(luminance(c) for c in (paper, ink))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, ink
    context.close()


def luminance(rgb):
    """WCAG 2's relative luminance."""
    linear = [v / 255 / 12.92 if v / 255 <= 0.03928 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in rgb]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
