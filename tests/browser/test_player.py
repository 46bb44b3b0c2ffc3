"""The film in the exported page, and what stands around the picture: play, seek, the playhead, keys, pins, addresses, saved files."""

import itertools
import json
import re
import xml.etree.ElementTree as ET

import pytest
from films import make_film

from cmpae_toolkit import checkpoint, data
from cmpae_toolkit.explorer import export_html
from cmpae_toolkit.explorer.page import FILMS

pytest.importorskip("av", reason="PyAV is not installed: pip install av")
COLOUR = """() => {
  const canvas = document.createElement("canvas"), video = document.querySelector("video");
  [canvas.width, canvas.height] = [8, 8];
  const pen = canvas.getContext("2d");
  pen.drawImage(video, 0, 0, 8, 8);
  const [r, g, b] = pen.getImageData(4, 4, 1, 1).data;
  return [r, g, b].indexOf(Math.max(r, g, b));
}"""
LOUDEST = """async () => {
  const image = document.querySelector("#picture image.heard"), shown = new Image();
  shown.src = image.getAttribute("href");
  await shown.decode();
  const canvas = new OffscreenCanvas(shown.naturalWidth, shown.naturalHeight), pen = canvas.getContext("2d");
  pen.drawImage(shown, 0, 0);
  const { data } = pen.getImageData(0, 0, canvas.width, canvas.height), rows = [...Array(canvas.height).keys()];
  const loudness = (x) => rows.map((y) => data[4 * (y * canvas.width + x) + 3]);
  const sum = (values) => values.reduce((a, b) => a + b), sharp = (x) => loudness(x).map((l) => l ** 4);
  const loudest = (x) => sum(sharp(x).map((l, y) => l * y)) / sum(sharp(x));
  return [...Array(10).keys()].map((t) => loudest(Math.floor((t + 0.5) * canvas.width / 10)));
}"""
READY = "document.querySelector('video').readyState >= 2 && !document.querySelector('video').seeking"


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Two videos: the first with a film as it is, the second with one in codecs that no browser plays, which is written anew."""
    run, videos, folder = checkpoint.shipped_run(), data.load("small", "test").subset(range(2)), tmp_path_factory.mktemp("player")
    make_film(folder / "media" / f"{videos.ids[0]}.mp4", seconds=10)
    make_film(folder / "media" / f"{videos.ids[1]}.avi", seconds=10, video="mpeg4", audio="pcm_s16le")
    return {kind: export_html(run, videos, folder / f"{kind}.html", [0, 1], media=folder / "media", films=kind) for kind in FILMS}


@pytest.fixture
def opened(page, exported):
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(exported["embed"].as_uri())
    page.wait_for_function(READY)
    yield page
    assert not errors


def picture(page):
    """The drawing without the playhead, which stands where the film does."""
    return re.sub(r'<path [^>]*class="playhead"[^>]*>(</path>)?', "", page.locator("#picture").inner_html())


def playhead(page):
    return float(re.search(r"translate\(([\d.]+)", page.locator("#picture .playhead").first.get_attribute("transform"))[1])


@pytest.mark.parametrize(("kind", "video"), [("embed", 0), ("embed", 1), ("beside", 1)])
def test_it_plays_and_the_picture_and_the_playhead_move(page, exported, artefacts, kind, video):
    page.goto(exported[kind].as_uri())
    page.select_option("#video", str(video))
    page.wait_for_function(READY)
    assert page.evaluate("document.querySelector('video').duration") == pytest.approx(10, abs=0.2)
    seen = page.locator("video").screenshot()
    page.get_by_role("button", name="play").click()
    page.wait_for_function("document.querySelector('video').currentTime > 0.2")
    first = playhead(page)
    page.wait_for_function("document.querySelector('#snippet').value === '1' && document.querySelector('video').currentTime > 1.3")
    assert playhead(page) > first + 10
    page.keyboard.press("Space")  # the button has the focus: it pauses
    page.wait_for_function("document.querySelector('video').paused")
    page.wait_for_function(READY)
    now = page.evaluate("document.querySelector('video').currentTime")
    assert page.locator("video").screenshot() != seen
    if kind == "embed":  # a browser does not show a page the dots of a file beside it
        assert page.evaluate(COLOUR) == int(now) % 3
    assert f"at {int(now)} to {int(now) + 1} s" in page.locator("#picture").inner_html()
    page.screenshot(path=artefacts / f"player_{kind}_{video}.png")


def test_the_spectrogram_is_in_step_with_the_curves(opened, artefacts):
    """The tones of the film rise with every second; the picture of them lies over the same stretch as the curves."""
    heights = opened.evaluate(LOUDEST)
    assert all(later < sooner for sooner, later in itertools.pairwise(heights))
    heard, curves = (opened.locator(f"#picture {one}").first.bounding_box() for one in ("image.heard", "path.series"))
    second = heard["width"] / 10
    assert curves["x"] == pytest.approx(heard["x"] + second / 2, abs=2)  # points stand in the middles of their seconds
    assert curves["x"] + curves["width"] == pytest.approx(heard["x"] + 9.5 * second, abs=2)
    for theme in ("light", "dark"):
        opened.emulate_media(color_scheme=theme)
        opened.screenshot(path=artefacts / f"spectrogram_{theme}.png")


def test_a_click_in_a_curve_and_the_keys_seek(opened):
    box = opened.locator("#picture rect.here").nth(3).bounding_box()  # the visual evidence
    opened.mouse.click(box["x"] + box["width"] * 4.5, box["y"] + box["height"] - 5)
    opened.wait_for_function(f"{READY} && Math.abs(document.querySelector('video').currentTime - 4.5) < 0.1")
    assert opened.evaluate(COLOUR) == 1 and opened.locator("#snippet").input_value() == "4"
    opened.mouse.move(2, 2)
    opened.focus("#picture")
    for key, second in (("ArrowRight", 5), ("ArrowLeft", 4), ("End", 9), ("Home", 0)):
        opened.keyboard.press(key)
        opened.wait_for_function(f"{READY} && Math.abs(document.querySelector('video').currentTime - {second}) < 0.05")
        assert opened.locator("#snippet").get_attribute("aria-valuetext") == f"{second} to {second + 1} s"
    opened.keyboard.press("Space")
    opened.wait_for_function("!document.querySelector('video').paused")
    opened.keyboard.press("Space")
    opened.wait_for_function("document.querySelector('video').paused")


def test_a_film_that_cannot_be_played_is_said_and_the_curves_run_without_it(opened):
    opened.evaluate("document.querySelector('video').src = URL.createObjectURL(new Blob(['no film'], { type: 'video/mp4' }))")
    opened.wait_for_selector(".note:has-text('cannot play the film')")
    opened.focus("#picture")
    opened.keyboard.press("Space")
    opened.wait_for_function("document.querySelector('#snippet').value === '1'")
    opened.keyboard.press("Space")
    assert opened.locator("video").is_hidden()


def test_what_was_before_stays_pale_with_the_change_of_f(opened):
    assert not opened.locator("#picture .old").count()
    opened.select_option("#change", label="audio muted")
    old = opened.locator("#picture .old").count()
    chosen = opened.locator(".chip").count()
    assert old == 2 * chosen * (2 + 1 + 1)  # two evidences, a probability and a point of the triangle, twice each
    unchanged, changed = (opened.evaluate(f"cmpae.state({{ video: 0, change: {c} }}).scores.segment.audio") for c in (0, 1))
    said = " ".join(opened.locator("#picture .score").all_text_contents())
    assert (f"audio {changed:.1f} ({'+' if changed > unchanged else '−'}{abs(changed - unchanged):.1f})" in said) == (changed != unchanged)
    # Eq. 3: without cross-attention the pale presence of the sound lies under the new one
    opened.select_option("#change", label="visual muted, without cross-attention")
    assert "as it is, without cross-attention" in opened.locator("#picture svg").inner_html()
    same = opened.evaluate("""() => {
      const s = cmpae.state({ video: 0, change: cmpae.changes.indexOf("visual muted, without cross-attention") }), half = s.e.length / 2;
      const most = (a, b) => Math.max(...a.slice(0, half).map((x, i) => Math.abs(Math.log1p(x) - Math.log1p(b[i]))));
      return [most(s.e, s.before.e), most(s.a, s.before.a)];
    }""")
    assert same[0] < 2e-3 < same[1]


def test_values_on_hover_on_focus_and_pinned(opened):
    box = opened.locator("#picture rect.here").nth(2).bounding_box()
    opened.mouse.move(box["x"] + box["width"] * 2.5, box["y"] + box["height"] - 3)
    opened.wait_for_selector(".tip:visible")
    assert re.search(r"2 to 3 s: e \S+, ê \S+, p \d", opened.locator(".tip").inner_text())
    opened.keyboard.press("p")
    opened.mouse.move(2, 2)
    opened.wait_for_selector(".tip", state="hidden")
    opened.focus("#picture")
    opened.keyboard.press("ArrowRight")
    opened.keyboard.press("ArrowDown")
    assert re.search(r"1 to 2 s: .*\npinned 2 to 3 s: e ", opened.locator(".tip").inner_text())
    assert opened.locator("#picture rect.pinned").count() >= 6 and opened.locator("#picture .then").count() > 0
    assert opened.locator("#picture svg.focused .on").count() > 0


def test_the_address_is_the_view(opened, page):
    opened.select_option("#video", "1")
    opened.select_option("#change", label="visual muted")
    opened.select_option("#level", "video")
    opened.uncheck("#log")
    opened.locator("#snippet").fill("7")
    opened.locator("#snippet_threshold").fill("0.3")
    opened.select_option(".chips select", index=2)
    drawn, address = picture(opened), opened.url
    opened.goto("about:blank")
    opened.goto(address)
    opened.wait_for_selector("#picture svg")
    assert picture(opened) == drawn
    opened.evaluate("location.hash = '#video=nobody&what=nothing&second=x&show=&snippet=9e99'")  # nonsense opens the first video
    opened.wait_for_function("document.querySelector('#video').value === '0'")


def test_the_picture_can_be_saved(opened, tmp_path):
    for kind, begins in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with opened.expect_download() as download:
            opened.get_by_role("button", name=kind).click()
        path = tmp_path / f"picture.{kind.lower()}"
        download.value.save_as(path)
        assert download.value.suggested_filename.endswith(f".{kind.lower()}") and path.read_bytes().startswith(begins)
    drawn = list(ET.parse(tmp_path / "picture.svg").iter("{http://www.w3.org/2000/svg}path"))
    assert len(drawn) > 20 and all("fill:" in e.get("style") and "var(" not in e.get("style") for e in drawn)


def test_what_a_screen_reader_is_told(opened):
    opened.focus("#picture")
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    assert "At 3 to 4 s: audio" in opened.locator("#caption").inner_text()
    assert re.search(r"audio \S.* e \S+, ê \S+, p \S+, u \S+", opened.locator("#picture svg").get_attribute("aria-label"))
    opened.wait_for_function("document.querySelector('.live').textContent.startsWith('At 3 to 4 s')")  # once, after a pause
    opened.get_by_text("The numbers as a table").click()
    chosen = opened.locator(".chip").count()
    opened.locator("tbody tr").first.wait_for()  # the table is filled when it is unfolded, which the page learns a moment later
    assert opened.locator("tbody tr").count() == 10 * 2 * chosen
    assert opened.locator("thead th").all_inner_texts() == ["seconds", "category", "modality", "e", "ê", "p", "u", "reference", "estimate"]


@pytest.mark.parametrize("width", [390, 800, 1200])
def test_panels_reflow_and_words_stay_legible(page, exported, artefacts, width):
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(exported["embed"].as_uri())
    page.select_option("#change", label="audio muted")
    sizes = page.evaluate("""() => {
      const svg = document.querySelector("#picture svg"), zoom = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      const boxes = [...svg.querySelectorAll("text")].map((t) => t.getBBox());
      return { zoom, words: Math.min(...[...svg.querySelectorAll("text")].map((t) => zoom * parseFloat(getComputedStyle(t).fontSize))),
        first: Math.min(...boxes.map((b) => b.x)), last: Math.max(...boxes.map((b) => b.x + b.width)), width: svg.viewBox.baseVal.width,
        page: document.documentElement.scrollWidth };
    }""")
    assert sizes["words"] >= 11 and sizes["first"] >= 0 and sizes["last"] <= sizes["width"] and sizes["page"] <= width, json.dumps(sizes)
    top = page.locator(".top")
    page.mouse.wheel(0, 900)
    page.wait_for_function("scrollY > 100")
    assert top.bounding_box()["y"] == pytest.approx(0, abs=1) and top.bounding_box()["height"] < 200  # it sticks, and is compact
    page.evaluate("scrollTo(0, 0)")
    page.screenshot(path=artefacts / f"player_{width}.png", full_page=True)


def test_half_that_is_closed_is_told_from_half(opened):
    shares = [0.4996, 0.49999, 0.5, 0.506, 0.496, 0.3]
    told = opened.evaluate("(all) => all.map((p) => cmpae.share(p, 0.5))", shares)
    assert told == ["<0.50", "<0.50", "0.50", "0.51", "0.496", "0.30"]
