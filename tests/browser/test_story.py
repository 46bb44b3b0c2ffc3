"""The story in a real browser: its formulas are Python's, its keys go from step to step, and every control changes its picture."""

import numpy as np
import pytest
import torch
from conftest import ROOT
from scipy.stats import beta

from cmpae_toolkit.opinion import Opinion, accumulate, average_masses

STEPS = ("start", "coin", "triangle", "second", "video", "mute", "spike", "surer")


@pytest.fixture(scope="module")
def shared(browser):
    """One page for all tests, with nothing but itself."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(180_000)
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((ROOT / "docs" / "story.html").as_uri())
    page.wait_for_selector("#surer .picture svg")
    yield page
    page.close()
    assert not errors and all(url.startswith("file:") for url in asked)


@pytest.fixture
def story(shared):
    shared.evaluate("document.activeElement.blur()")
    return shared


def picture(page, step):
    return page.locator(f"#{step} .picture").inner_html()


def told(page, step):
    return page.locator(f"#{step} .told").inner_text()


def step(page):
    """The step that the page is at, by its own mark."""
    return page.locator("nav a[aria-current]").get_attribute("href")


def test_the_formulas_are_pythons(story):
    cases = [(0, 0), (3, 1), (10, 10), (23.6, 0.005), (0.2, 752.4)]
    x = np.linspace(0, 1, 21)
    for e, a in cases:
        drawn = story.evaluate("([xs, e, a]) => xs.map((x) => cmpae.density(x, e, a))", [x.tolist(), e, a])
        np.testing.assert_allclose(drawn, beta.pdf(x, e + 1, a + 1), rtol=1e-7, atol=1e-12)
        here, there = story.evaluate("([e, a]) => cmpae.opinion(e, a)", [e, a]), Opinion(*map(torch.tensor, (float(e), float(a))))
        masses = (there.belief, there.disbelief, there.vacuity, there.probability)
        assert [here[k] for k in "bdup"] == pytest.approx([m.item() for m in masses], abs=1e-6)
    presence, absence = (torch.rand(10, 1, generator=torch.manual_seed(seed)) * 30 for seed in (0, 1))
    weights = torch.softmax(torch.arange(10.0) / 5, 0)[:, None]
    found = story.evaluate("(all) => cmpae.pooled(...all)", [x[:, 0].tolist() for x in (presence, absence, weights)])
    summed = Opinion.from_log_evidence(*(accumulate(x.log(), weights) for x in (presence, absence)))
    averaged = average_masses(Opinion(presence, absence), weights)
    assert [found["evidence"], found["opinions"]] == pytest.approx([x.probability.item() for x in (summed, averaged)], abs=1e-6)


def test_the_arrow_keys_go_from_step_to_step(story):
    story.evaluate("scrollTo(0, 0)")
    for name in STEPS[1:]:
        story.keyboard.press("ArrowRight")
        story.wait_for_function(f"location.hash === '#{name}' && document.querySelector('nav a[aria-current]').hash === '#{name}'")
        assert story.evaluate("document.activeElement.parentElement.parentElement.id") == name, "a screen reader reads on from here"
    story.keyboard.press("ArrowRight")
    assert step(story) == "#surer"
    story.keyboard.press("ArrowLeft")
    story.wait_for_function("location.hash === '#spike'")
    story.focus("#loud")
    story.keyboard.press("ArrowLeft")
    assert step(story) == "#spike", "in a slider the arrows are its own"
    story.click("#spike [data-do=own]")


def test_f_fills_the_screen(story):
    story.keyboard.press("f")
    story.wait_for_function("document.fullscreenElement")
    story.keyboard.press("f")
    story.wait_for_function("!document.fullscreenElement")


def test_tosses_change_density_and_opinion(story):
    flat = picture(story, "coin")
    story.click("#coin [data-do=heads]")
    once = picture(story, "coin")
    assert flat != once and told(story, "coin") == "Heads 1, tails 0: belief 0.33, disbelief 0.00, vacuity u 0.67; probability p 0.67."
    story.click("#triangle [data-do=many]")
    assert told(story, "triangle").startswith("e 11, ê 10: belief 0.48") and 'class="trail' in picture(story, "triangle")
    assert "e 11, ê 10" in picture(story, "coin"), "screen readers are told the same"
    story.wait_for_function("document.getElementById('live').textContent.includes('Heads 11')")
    story.click("#coin [data-do=again]")
    assert picture(story, "coin") == flat


def test_a_second_is_chosen_for_its_densities_and_its_curves(story):
    before = picture(story, "second"), picture(story, "video")
    story.locator("#second .which").fill("2")
    assert told(story, "second").startswith("2 to 3 s: sound e") and told(story, "video").startswith("At 2 to 3 s: audio")
    assert before[0] != picture(story, "second") and before[1] != picture(story, "video")
    assert story.locator("#video .which").get_attribute("aria-valuetext") == "2 to 3 s"


def test_muting_the_picture_lets_the_false_alarm_through(story):
    before = picture(story, "mute")
    assert told(story, "mute") == "With the picture 0 of 10 seconds are reported." and 'class="old' not in before
    story.click("[data-do=muted]")
    assert told(story, "mute") == "Without the picture 10 of 10 seconds are reported." and 'class="old' in picture(story, "mute")
    story.click("[data-do=muted]")
    assert picture(story, "mute") == before


def test_the_spike_decides_for_pooled_evidence_only(story):
    verdicts = lambda: story.locator(".verdicts output").all_inner_texts()  # noqa: E731
    closed, opened = verdicts()
    assert closed.endswith("closed") and opened.endswith("open")
    before = picture(story, "spike")
    story.locator("#loud").fill("0")
    assert all(verdict.endswith("open") for verdict in verdicts()) and picture(story, "spike") != before
    story.click("#spike [data-do=own]")
    assert verdicts() == [closed, opened] and picture(story, "spike") == before


def test_a_missing_picture_makes_it_surer(story):
    vacuity = float(told(story, "surer").split()[-1].rstrip("."))
    story.click("[data-do=missing]")
    assert float(told(story, "surer").split()[-1].rstrip(".")) < vacuity / 2 and 'class="old' in picture(story, "surer")


@pytest.mark.parametrize("width", [390, 800, 1280])
def test_nothing_is_wider_than_the_page(story, width):
    story.set_viewport_size({"width": width, "height": 720})
    story.wait_for_function("Math.abs(document.querySelector('#video svg').viewBox.baseVal.width - Math.min(1000, innerWidth)) < 330")
    assert story.evaluate("document.documentElement.scrollWidth") == width
    letters = story.evaluate("""[...document.querySelectorAll("section svg")].map((svg) =>
      12 * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width)""")
    assert min(letters) > 9.5, "12 units high letters stay legible"
