"""The course's own rules: every notebook works when opened alone, is short-celled, ends in what to remember, and links to what is there.

The pages of docs that compute what they show keep the same rules, and begin with their verdict instead.
"""

import base64
import importlib.util
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "docs").glob("*.ipynb"))
ALONE = '''try:
    import cmpae_toolkit
except ModuleNotFoundError:
    raise SystemExit("The toolkit is not installed here: in a clone of the repository run `make lab`, or `pip install -e .`") from None'''
READ_ALOUD = ("00", "01", "02", "03", "04", "05", "06", "08", "09", "11")  # code as wide as a page, exercises that are code
SHARP = (*READ_ALOUD, "12")
_spec = importlib.util.spec_from_file_location("minutes", ROOT / "notebooks" / "minutes.py")
minutes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(minutes)
pytestmark = pytest.mark.parametrize("path", NOTEBOOKS + PAGES, ids=lambda p: p.stem)


def cells(path, kind=None):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    return [(c, "".join(c["source"])) for c in notebook["cells"] if kind in (None, c["cell_type"])]


def is_out_of_sight(cell):
    """Folded in JupyterLab, left out of the site: the tag is MyST-NB's."""
    return "remove-cell" in cell["metadata"].get("tags", []) and cell["metadata"].get("jupyter") == {"source_hidden": True}


def test_it_says_how_to_install_the_toolkit_when_opened_alone(path, monkeypatch):
    cell, source = cells(path, "code")[0]
    assert source == ALONE and is_out_of_sight(cell)
    monkeypatch.setitem(__import__("sys").modules, "cmpae_toolkit", None)  # what Python does where it is not installed
    with pytest.raises(SystemExit, match="pip install"):
        exec(source, {})


def test_its_head_and_its_end(path):
    everything = cells(path)
    head, end = everything[0][1], everything[-1][1]
    if path in PAGES:
        assert "\n**The verdict.** " in head, "a page to look things up in says first what it found"
        return
    assert re.match(rf"# {path.stem.partition('_')[0]} ", head)
    assert all(f"**{words}.**" in head for words in ("What you will see", "How long", "What you need"))
    assert re.search(r"(?m)^## What to remember\n(?!.*^## )", end), "the last cell says what to remember"
    exercises = "\n".join(source for _, source in cells(path, "markdown")).split("## Exercises")[1]
    assert 2 <= exercises.count("<details><summary>Answer</summary>") == exercises.count("</details>") <= 4


def test_cells_are_short_and_were_run_in_order(path):
    code = cells(path, "code")
    for cell, source in code:
        lines = [line for line in source.splitlines() if not line.startswith(("import ", "from "))]
        assert len(lines) <= 10, source
        assert not any(out["output_type"] == "error" for out in cell["outputs"]), source
    assert [cell["execution_count"] for cell, _ in code] == list(range(1, len(code) + 1)), "save it with `make notebooks`"
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"], "widget state does not belong into the file"


def test_its_links_lead_somewhere(path):
    for _, source in cells(path, "markdown"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", source):
            assert (path.parent / target).exists(), target


def test_its_equation_numbers_exist(path):
    for _, source in cells(path):
        for number in re.findall(r"Eq\. (\d+)", source):
            assert 1 <= int(number) <= 11, source


def test_its_pictures_are_described_and_sharp(path):
    """In whole sentences that say what is drawn, and not the title alone; and with twice the dots of their place on the page."""
    for cell, source in cells(path, "code"):
        pictures = [out for out in cell["outputs"] if "image/png" in out.get("data", {})]
        assert len(pictures) <= 1, f"the site takes one picture's text from a cell: {source}"
        for out in pictures:
            told = out["metadata"].get("image/png", {})
            assert re.fullmatch(r"Figure: .+\.", told.get("alt", ""), re.DOTALL), f"no alternative text: {source}"
            if path.stem.startswith(SHARP):
                assert len(told["alt"].split()) >= 10 and "Described in the text" not in told["alt"], told["alt"]
                width = int.from_bytes(base64.b64decode(out["data"]["image/png"])[16:20])
                assert abs(width - 2 * told["width"]) <= 1, f"{width} pixels on {told['width']}"


def test_below_its_controls_stands_a_still(path):
    """A saved page has no kernel, and its controls are dead."""
    code = [cell for cell, _ in cells(path, "code")]
    for i, cell in enumerate(code):
        shown = [out for out in cell["outputs"] if any("widget-view" in kind for kind in out.get("data", {}))]
        if path.stem.startswith(SHARP) and any(not minutes.progress(out) for out in shown):
            assert any("image/png" in out.get("data", {}) for after in code[i + 1 : i + 3] for out in after["outputs"])


def test_its_minutes_are_what_the_rule_says(path):
    """In the syllabus, and in the notebook's own head."""
    _, rounded = minutes.minutes(path)
    if path.stem.startswith(READ_ALOUD):
        row = re.search(rf"notebooks/{path.stem}\.ipynb\) \| (\d+) \|", (ROOT / "docs" / "syllabus.md").read_text(encoding="utf-8"))
        assert int(row[1]) == rounded and f"take about {rounded} minutes" in cells(path)[0][1]
        assert rounded <= 45


def test_its_code_fits_the_page(path):
    if path.stem.startswith(READ_ALOUD):
        wide = [line for cell, source in cells(path, "code") if source != ALONE for line in source.splitlines() if len(line) > 88]
        assert not wide, wide


def test_an_exercise_is_code_with_a_check_beside_it(path):
    kinds = [kind for cell, _ in cells(path) for kind in ("exercise", "check") if kind in cell["metadata"].get("tags", [])]
    assert kinds == ["exercise", "check"] * (len(kinds) // 2), "each exercise is followed by its check"
    assert not path.stem.startswith(READ_ALOUD) or len(kinds) in (2, 4)
