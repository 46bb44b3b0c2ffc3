"""The story in docs/ is the one that `make story` writes: its scripts and words are today's, its numbers the shipped model's."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmpae_toolkit import checkpoint, data
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.explorer.page import HERE
from cmpae_toolkit.explorer.story import story_of

STORY = Path(__file__).parents[2] / "docs" / "story.html"


@pytest.fixture(scope="module")
def page():
    return STORY.read_text(encoding="utf-8")


def test_it_is_small_and_needs_nothing_else(page):
    assert STORY.stat().st_size <= 400_000 and "simulated" in page
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(?:link|img|iframe)|@import|\bimport\(", page)


def test_it_is_written_anew_when_its_sources_change(page):
    for file in ("view.css", "view.js", "story.js"):
        assert (HERE / file).read_text(encoding="utf-8") in page, "run `make story`"
    for part in re.split(r"\$\w+", (HERE / "story.html").read_text(encoding="utf-8")):
        assert part in page, "run `make story`"


def test_its_numbers_are_the_shipped_models(page):
    there = json.loads(re.search(r'id="data">(.*)</script>', page)[1])
    here, words = story_of(checkpoint.shipped_run(), data.load("small", "test"))
    assert [v["name"] for v in here["videos"]] == [v["name"] for v in there["videos"]]
    for name in ("presence", "absence", "weights"):
        np.testing.assert_allclose(here["story"]["spike"][name], there["story"]["spike"][name], rtol=1e-3)
    told = re.sub(r"\s+", " ", page)
    for name, unit in (("spike", " pieces of evidence"), ("u_without", ". The model"), ("mean_without", ", as it should")):
        assert f"{words[name]}{unit}" in told, name
    assert float(words["u_without"]) < float(words["u_with"]) / 2


def test_a_set_without_a_reference_tells_no_story():
    with pytest.raises(InputError, match="the story needs videos with a reference"):
        story_of(checkpoint.shipped_run(), replace(data.load("tiny", "test"), reference=None))
