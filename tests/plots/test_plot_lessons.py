"""The course's pictures: what is drawn is what was given."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from cmpae_toolkit import plots


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = dict(mpl.rcParams)
    yield
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(("presence", "absence"), [(0, 0), (3, 1), (0, 40), (1e4, 2.5)])
def test_opinion_figure_shows_one_opinion_twice(presence, absence):
    figure = plots.opinion_figure(presence, absence)
    assert isinstance(figure, Figure) and plots.png(figure)[:4] == b"\x89PNG"
    density, triangle = figure.axes
    assert density.get_title(loc="left") == f"Beta({presence + 1:g}, {absence + 1:g})"
    assert triangle.get_title(loc="left") == f"vacuity {2 / (presence + absence + 2):.2f}"


def test_certainty_maps_share_one_scale():
    maps = {f"map {i}": np.full((4, 6), i / 10) for i in range(4)}
    figure = plots.certainty_maps(maps, (-1, 1, -1, 1), np.array([[0.0, 0.5], [0.1, 0.2]]), np.array([0, 1]))
    panels = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title(loc="left") for ax in panels] == list(maps)
    assert all(ax.images[0].get_clim() == (0, 1) for ax in panels)
    np.testing.assert_array_equal(panels[3].images[0].get_array(), maps["map 3"])
    assert [tuple(line.get_xydata()[0]) for line in panels[0].lines] == [(0.0, 0.5), (0.1, 0.2)]
    assert plots.png(figure)


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("values", [[[0, 0.5], [2, 0]], [[0, 0], [0, 0]], [[3, 3], [3, 3]]])
def test_number_table_writes_every_number(values, log):
    ax = plots.number_table(np.array(values), ["a", "b"], ["x", "y"], log=log, title="norms")
    assert [t.get_text() for t in ax.texts] == [f"{v:.2g}" for row in values for v in row]
    assert plots.png(ax.figure)


def test_lines_and_intervals_keep_values():
    ax = plots.lines([1, 2], {"one": [3, 4], "two": [5, 6]}, xlabel="x", ylabel="y", title="t", markers=True)
    assert [line.get_ydata().tolist() for line in ax.lines] == [[3, 4], [5, 6]]
    ax = plots.intervals(["a", "b"], [1, 2], [0, 1], [3, 4], marks={"floor": [0.5, 0.6]}, xlabel="%")
    assert ax.lines[0].get_xdata().tolist() == [1, 2] and ax.lines[1].get_xdata().tolist() == [0.5, 0.6]
    assert plots.png(ax.figure)


def test_tables_of_intervals_stand_in_one_row_a_name():
    one = pd.DataFrame({"value": [1.0, 2.0], "±": [0.5, 0.25]}, index=["a", "b"])
    ax = plots.interval_tables({"real": one, "other": one.iloc[::-1] + 1}, line=0.5)
    assert [line.get_xdata().tolist() for line in ax.lines[:2]] == [[1, 2], [2, 3]]
    assert [path.vertices[:, 0].tolist() for path in ax.collections[0].get_paths()] == [[0.5, 1.5], [1.75, 2.25]]
    assert ax.lines[2].get_xdata() == [0.5, 0.5] and [t.get_text() for t in ax.get_legend().get_texts()] == ["real, 95 % interval", "other"]


@pytest.mark.parametrize(("reference", "estimate", "said"), [
    ((2, 6), (3, 7), "3 / 5 = 0.60, counts"), ((0, 10), (0, 4), "4 / 10 = 0.40, does not count"),
    ((2, 6), (3, 5), "2 / 4 = 0.50, counts"), ((0, 2), (5, 9), "0 / 6 = 0.00, does not count"),
])
def test_overlaps_divide_the_intersection_by_the_union(reference, estimate, said):
    figure = plots.overlaps({"Dog": (reference, estimate), "again": (reference, estimate)})
    ax = figure.axes[0]
    assert ax.get_title(loc="left") == f"Dog\nIoU = {said}" and plots.png(figure)
    assert [bar.get_width() for bar in ax.patches[:3]] == [reference[1] - reference[0], estimate[1] - estimate[0], int(said.split()[0])]


def test_category_bars_have_a_bar_for_each_modality_and_category():
    values = {"audio": np.array([0.1, 0.2, 0.3]), "visual": np.array([0.4, 0.5, 0.6])}
    ax = plots.category_bars(["a", "b_c", "d"], values, marks=values, mark="truth", xlabel="share")
    assert [bar.get_width() for bar in ax.patches] == [*values["audio"], *values["visual"]]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b c", "d"]
    assert {t.get_text() for t in ax.get_legend().get_texts()} == {"audio", "truth", "visual"}
    assert plots.png(ax.figure)


def test_keep_writes_where_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("CMPAE_FIGURES", str(tmp_path / "figures"))
    ax = plots.lines([1, 2], {"one": [3, 4]})
    for picture, name in ((ax, "a.png"), (ax.figure, "b.png")):
        shown = plots.keep(picture, name)
        told = {"alt": shown.alt, "width": shown.width}
        assert shown.figure is ax.figure and shown._repr_png_() == ((tmp_path / "figures" / name).read_bytes(), told)
        assert Image.open(io.BytesIO(shown.png)).width == 2 * shown.width == 200 * ax.figure.get_figwidth(), "sharper, not larger"
        assert len(shown.png) < len(plots.png(ax.figure, 200)) and repr(shown) == "<picture with 1 axes>"


@pytest.mark.parametrize("setting", [None, ""])
def test_keep_writes_into_a_temporary_folder_that_ends_with_the_process(tmp_path, setting):
    """A process of its own in an empty folder: nothing is left in it, and nothing in the temporary folder."""
    code = "from cmpae_toolkit import plots; ax = plots.lines([1, 2], {'one': [3, 4]}); plots.keep(ax, 'a.png'); plots.keep(ax, 'b.png'); "
    code += "folder = plots.figures_folder(); print(folder, *sorted(p.name for p in folder.iterdir()))"
    (tmp_path / "figures").mkdir(), (tmp_path / "notebooks").mkdir(), (tmp_path / "temporary").mkdir()
    own = {k: v for k, v in os.environ.items() if k != "CMPAE_FIGURES"}
    own |= {"TMPDIR": str(tmp_path / "temporary"), "MPLCONFIGDIR": str(tmp_path)}
    own |= {"PYTHONPATH": os.pathsep.join([str(Path(plots.__file__).parents[2]), os.environ.get("PYTHONPATH", "")])}
    own |= {} if setting is None else {"CMPAE_FIGURES": setting}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "notebooks", env=own, capture_output=True, text=True, check=True)
    folder, *files = done.stdout.split()
    assert files == ["a.png", "b.png"] and Path(folder).parent == tmp_path / "temporary"
    assert not any(any((tmp_path / name).iterdir()) for name in ("figures", "notebooks", "temporary"))


def test_notebooks_write_figures_through_keep_alone():
    """Reading the course must change no file: whatever a cell writes beside temporary folders goes through `figures_folder`."""
    root = Path(__file__).parents[2]
    for path in [*(root / "notebooks").glob("*.ipynb"), *(root / "docs").glob("*.ipynb")]:
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "code":
                assert not re.search(r"\.\./figures|savefig|print_png", source), source


def test_panels_of_one_scale_show_the_highest_of_all():
    def draw(ax, top):
        plots.evidence_curves(np.full((2, 3, 1), top), np.ones((2, 3, 1)), ("Dog",), ["Dog"], ax, True, ("audio",))

    figure = plots.side_by_side(draw, {"low": 2.0, "high": 800.0}, share="y")
    assert all(ax.get_ylim()[0] == 0 and ax.get_ylim()[1] >= 800 for ax in figure.axes)
