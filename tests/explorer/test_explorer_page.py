"""The exported explorer as a file: its numbers are the model's, it needs nothing else, and it says what it shows."""

import base64
import json
import re
import tomllib
from dataclasses import replace

import numpy as np
import pytest
from test_explorer import make_run, videos  # noqa: F401

from cmpae_toolkit import metrics
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.explorer import explore, export_html
from cmpae_toolkit.explorer.page import HERE, changes, interesting
from cmpae_toolkit.inference import predict


def numbers(text, kind, shape):
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def content(path):
    """The page's text and its numbers."""
    page = path.read_text(encoding="utf-8")
    return page, json.loads(re.search(r'<script type="application/json" id="data">(.*)</script>', page)[1])


@pytest.mark.parametrize("preset", ["paper", "jomold"])
def test_the_numbers_are_the_models(videos, tmp_path, preset):  # noqa: F811
    run = make_run(videos, preset)
    page, values = content(export_html(run, videos, tmp_path / "page.html", videos=[1, 4]))
    assert "simulated" in page and len(values["videos"]) == 2
    for video, index in zip(values["videos"], (1, 4), strict=True):
        shape = (2, videos.snippets, len(videos.categories))
        for packed, (text, change, cross) in zip(video["changes"], changes((index + 1) % len(videos)), strict=True):
            state = explore(run, videos, index, change, cross_attention=cross)
            np.testing.assert_allclose(numbers(packed["p"], "<f4", shape), state.probability, rtol=2e-6, err_msg=text)
            np.testing.assert_allclose(numbers(packed["video_p"], "<f4", shape[::2]), state.video_probability, rtol=2e-6)
            for short, array in (("e", state.presence), ("a", state.absence)):
                assert (short in packed) == (preset == "paper")
                if array is not None:
                    logs = numbers(packed[short], "<u2", shape) * packed["evidence_step"]
                    np.testing.assert_allclose(logs, np.log1p(array), atol=0.51 * packed["evidence_step"] + 1e-6)
                    assert packed["evidence_step"] < 1e-3 and packed["prior_weight"] == 2
            attention = numbers(packed["attention"], "u1", shape) * packed["attention_step"]
            np.testing.assert_allclose(attention, state.attention, atol=0.51 * packed["attention_step"])
        bits = np.unpackbits(numbers(video["reference"], "u1", -1))[: np.prod(shape)].reshape(shape)
        np.testing.assert_array_equal(bits, videos.reference[index])


def test_it_needs_nothing_else_and_hides_nothing(videos, tmp_path):  # noqa: F811
    page, _ = content(export_html(make_run(videos, "paper"), videos, tmp_path / "page.html"))
    assert set(re.findall(r"https?://[^\s\"'`]+", page)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"<(?:link|img|iframe)|@import|\bfetch\(|\bimport\(", page)
    assert "$" not in re.sub(r"\$\{", "", page)  # every place of the template is filled
    assert "prefers-color-scheme: dark" in page and '"aria-live", "polite"' in page
    for control in re.findall(r'<(?:select|input)[^>]* id="(\w+)"', page):
        assert f'for="{control}"' in page or re.search(rf'<label><input[^>]* id="{control}"', page), control


NASTY = ("</script><b>", "<!--<script>", "$x$ & \"y\" 'z' \\u003c")


def test_a_script_in_a_name_stays_text(videos, tmp_path):  # noqa: F811
    odd = replace(videos.subset([0, 1]), categories=NASTY, name="<!--<script>", ids=("<i>0", "</script>"), filenames=())
    page, values = content(export_html(make_run(odd, "paper"), odd, tmp_path / "page.html"))
    assert values["categories"] == list(NASTY) and values["videos"][1]["name"].startswith("</script>")
    assert page.count("</script>") == page.count("<script") == 2 and "<!--" not in page


def test_which_videos_are_exported(videos, tmp_path):  # noqa: F811
    run = make_run(videos, "paper")
    evidence = predict(run.model, videos)
    chosen = interesting(run, videos, evidence, each=1)
    assert [why for _, why in chosen] == [
        "good: F at the 90% quantile", "typical: F at the 50% quantile", "bad: F at the 10% quantile", "sight corrects hearing",
        "missing picture makes it surer", "most vacuous",  # and then there is no further video
    ]
    f = [metrics.mean_score(explore(run, videos, i, evidence=evidence).scores) for i in range(len(videos))]
    for quantile, (index, _) in zip((0.9, 0.5, 0.1), chosen, strict=False):
        left = [i for i in range(len(videos)) if i not in [j for j, _ in chosen[: chosen.index((index, _))]]]
        assert abs(f[index] - np.quantile(f, quantile)) == pytest.approx(min(abs(f[i] - np.quantile(f, quantile)) for i in left), abs=0.01)
    with pytest.raises(InputError, match="no video was chosen"):
        export_html(run, videos, tmp_path / "page.html", videos=[])
    with pytest.raises(InputError, match="not 99"):
        export_html(run, videos, tmp_path / "page.html", videos=[99])


def test_what_the_page_is_made_of_is_installed_with_the_package():
    root = HERE.parents[1]
    patterns = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["cmpae_toolkit"]
    installed = {path.name for pattern in patterns for path in HERE.parent.glob(pattern)}
    assert {"page.html", "view.css", "view.js"} <= installed
