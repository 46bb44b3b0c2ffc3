"""Labels of whole data sets without features: published lists where they are, else simulated; and their pictures side by side."""

from __future__ import annotations

import io

import numpy as np
import pytest
from ave_folder import write_ave, write_llp
from matplotlib.colors import to_hex
from PIL import Image

from cmpae_toolkit import plots
from cmpae_toolkit.data import AVE_CATEGORIES, AVEP_CATEGORIES, LLP_CATEGORIES, load, overview
from cmpae_toolkit.data.simulation.simulate import truth
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.plots.theme import COLORS

CATEGORIES = {"llp": LLP_CATEGORIES, "ave": AVE_CATEGORIES, "avep": AVEP_CATEGORIES}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty home, and nothing in the folder where one stands."""
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.mark.parametrize(("name", "size"), [("llp", "small"), ("ave", "ave"), ("avep", "avep")])
def test_without_the_published_lists_it_is_simulated_and_says_so(place, name, size):
    seen = overview(name)
    assert seen.simulated and seen.title == f"{name.upper()}-shaped (simulated {size})" and seen.categories == CATEGORIES[name]
    assert np.array_equal(seen.reference, np.concatenate([truth(size, "val"), truth(size, "test")]))
    assert np.array_equal(seen.weak_labels["train"], truth(size, "train").any((1, 2)))
    assert not place.exists()


def test_it_is_what_load_gives(place):
    seen, val = overview("llp"), load("small", "val")
    assert seen.categories == val.categories and np.array_equal(seen.reference[: len(val)], val.reference)
    assert np.array_equal(seen.weak_labels["val"], val.weak_labels)


def test_published_lists_are_preferred_and_need_no_features(place):
    write_llp(place / "llp"), write_ave(place / "ave", with_features=False)
    llp, ave, avep = (overview(name) for name in ("llp", "ave", "avep"))
    assert [s.title for s in (llp, ave, avep)] == [f"{name} (published lists)" for name in ("LLP", "AVE", "AVEP")]
    assert not (llp.simulated or ave.simulated or avep.simulated)
    assert {split: len(x) for split, x in llp.weak_labels.items()} == {"train": 2, "val": 1, "test": 1}
    dog = np.zeros((2, 2, 10, 25), bool)
    dog[:, :, 2:4, LLP_CATEGORIES.index("Dog")] = True
    assert np.array_equal(llp.reference, dog)
    assert len(ave.reference) == 2 + 2 and len(avep.reference) == (1 + 1) + (1 + 1)  # val, then test: of AVE-14 one each
    assert overview("llp", published=False).simulated


def test_lists_that_cannot_be_read_are_not_replaced_by_simulated_ones(place):
    path = write_llp(place / "llp") / "AVVP_val_pd.csv"
    path.write_text(path.read_text().replace("Dog", "Unicorn"))
    with pytest.raises(InputError, match=r"AVVP_val_pd\.csv, line 2: category 'Unicorn'"):
        overview("llp")
    assert overview("ave").simulated


def test_lists_without_dense_ones(place):
    folder = write_llp(place / "llp")
    for modality in ("audio", "visual"):
        (folder / f"AVVP_eval_{modality}.csv").unlink()
    with pytest.raises(InputError, match="no dense lists of val and test: run `cmpae download llp`"):
        overview("llp")


def test_only_the_three_have_an_overview(place):
    with pytest.raises(InputError, match="no data set 'small' to look at: use llp, ave, avep"):
        overview("small")


def test_published_counts(shared, place):
    place.mkdir()
    for name in ("llp", "ave"):
        (place / name).symlink_to(shared / "data" / name)
    counts = {name: [len(x) for x in overview(name).weak_labels.values()] for name in CATEGORIES}
    assert counts == {"llp": [10_000, 649, 1_200], "ave": [3_339, 402, 402], "avep": [11_581, 839, 1_390]}


def test_an_example_begins_or_ends_inside_the_video(place):
    seen = overview("ave")
    video = seen.example()
    seconds = seen.reference[:, 0].any(2).sum(1)
    assert 0 < seconds[video] < 10 and np.isin(seconds[:video], (0, 10)).all()
    shofar = seen.example(("Shofar",))
    assert seen.reference[shofar, 0, :, AVE_CATEGORIES.index("Shofar")].any()
    with pytest.raises(InputError, match=r"AVE-shaped \(simulated ave\): no video of val or test holds any"):
        seen.example(("Unicorn",))


def test_an_example_may_fill_the_video_if_all_do(place):
    write_llp(place / "llp")
    for modality in ("audio", "visual"):
        path = place / "llp" / f"AVVP_eval_{modality}.csv"
        path.write_text(path.read_text().replace("\t2\t4\t", "\t0\t10\t"))
    assert overview("llp").example() == 0


def size_of(figure):
    return Image.open(io.BytesIO(plots.png(figure))).size


@pytest.mark.parametrize("columns", [None, 1, 2])
def test_pictures_side_by_side(place, columns):
    sets = {s.title: s for s in map(overview, CATEGORIES)}
    figure = plots.side_by_side(
        lambda ax, s: plots.durations(s.reference, ax=ax, percent=True), sets, 7, 6, columns=columns, share="y"
    )
    assert [ax.get_title("left" if columns == 1 else "right") for ax in figure.axes] == list(sets)
    assert len(figure.legends) == 1 and not any(ax.get_legend() for ax in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["audible", "visible", "audi-visible"]
    assert sorted(ax.get_xlabel() for ax in figure.axes) == ["", "", "duration of the event (s)"]
    for ax in figure.axes:
        heights = np.array([bar.get_height() for bar in ax.patches]).reshape(3, 10)  # track, seconds
        np.testing.assert_allclose(heights.sum(1), 100)
        assert to_hex(ax.patches[0].get_facecolor()).upper() == COLORS["audio"]
    assert len({ax.get_ylim() for ax in figure.axes}) == 1 and size_of(figure) == (700, 600)


def test_frequencies_in_percent_and_pairs_without_names(place):
    seen = overview("llp")
    weak = seen.weak_labels["train"]
    ax = plots.category_frequencies(seen.categories, weak, seen.reference, percent=True)
    assert np.allclose([bar.get_width() for bar in ax.patches[:25]], sorted(100 * weak.mean(0), reverse=True))
    audible = [bar.get_width() for bar in ax.patches[25:50]]
    assert np.allclose(sorted(audible), sorted(100 * seen.reference[:, 0].any(1).mean(0))) and ax.get_xlabel() == "videos (%)"
    ax = plots.cooccurrence(seen.categories, weak, key=False, names=False)
    assert len(ax.figure.axes) == 1 and not [text for text in ax.get_yticklabels() if text.get_text()]
    ax = plots.cooccurrence(seen.categories, weak, key=False)
    assert [text.get_text() for text in ax.get_yticklabels()][:2] == ["Speech", "Car"] and not ax.get_xticklabels()
    assert size_of(ax.figure)
