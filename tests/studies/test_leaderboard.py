"""The leaderboard: ranks by stored runs, never without an interval, and the page in docs is what the stored runs say."""

import re
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import cli
from cmpae_toolkit._files import write_json
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.plots import results
from cmpae_toolkit.studies import leaderboard, records, tables
from cmpae_toolkit.studies.identity import identify
from cmpae_toolkit.studies.rows import SHOWN

ROOT = Path(__file__).parents[2]


def made(rng, **means):
    """Runs of two seeds and 200 videos, with a standard deviation of 1 over seeds and 20 over videos that all methods share."""
    videos, rows = rng.normal(0, 20, 200), []
    for method, mean in means.items():
        for seed in (0, 1):
            values = mean + rng.normal() + videos
            record = {"per_video": {"segment": values, "event": values}}
            rows.append({"method": method, "seed": seed, "record": record, "segment.type": values.mean(), "event.type": values.mean()})
    return pd.DataFrame(rows)


def test_a_rank_is_as_sure_as_the_difference():
    """Videos vary by far more than the methods differ, but all methods are scored on the same: only seeds blur the order."""
    table = leaderboard.ranking(made(np.random.default_rng(0), low=10, first=80, middle=50, twin=50)).set_index("method")
    assert list(table.index[[0, 3]]) == ["first", "low"] and list(table["segment.type rank"]) == [1, 2, 3, 4]
    low, high = table["segment.type rank low"], table["segment.type rank high"]
    assert (low["first"], high["first"]) == (1, 1) and (low["low"], high["low"]) == (4, 4)
    assert {low["middle"], low["twin"], high["middle"], high["twin"]} <= {2, 3}
    width = table["segment.type high"] - table["segment.type low"]
    assert width.between(2 * 1.5 * 20 / 200**0.5, 2 * 2.5 * 20 / 200**0.5).all()  # the videos' part alone: about 2 x 1.96 x 20 / sqrt(200)


def test_twins_share_their_ranks():
    runs = made(np.random.default_rng(1), one=50)
    table = leaderboard.ranking(pd.concat([runs, runs.assign(method="other")]))
    assert list(table["segment.type rank"]) == [1, 1]
    assert list(table["segment.type rank low"]) == [1, 1] and list(table["segment.type rank high"]) == [2, 2]


def test_scores_without_videos_are_drawn_over_seeds():
    runs = pd.DataFrame({"method": ["a", "a", "b", "b"], "seed": [0, 1, 0, 1], "record": [{}] * 4, "accuracy": [70.0, 80, 60, 61]})
    table = leaderboard.ranking(runs, ["accuracy"]).set_index("method")
    assert table.loc["a", ["accuracy", "accuracy low", "accuracy high"]].tolist() == [75, 70, 80]
    assert table["accuracy rank"].tolist() == table["accuracy rank high"].tolist() == [1, 2]


def test_accuracy_of_one_seed_has_an_interval_over_videos():
    """Runs on AVE keep the accuracy of each video."""
    values = np.repeat([0.0, 100.0], 50)
    runs = pd.DataFrame({"method": ["a"], "seed": [0], "record": [{"per_video": {"accuracy": values}}], "accuracy": [50.0]})
    table = leaderboard.ranking(runs, ["accuracy"])
    assert 38 < table["accuracy low"].item() < 43 and 57 < table["accuracy high"].item() < 62


def test_no_rank_is_shown_without_its_interval():
    stored = leaderboard.leaderboard()
    for table in stored.values():
        text = leaderboard.as_text(table)
        ranks = text.filter(like="rank")
        is_floor = text["seeds"] == "–"
        assert (ranks[is_floor] == "–").all(axis=None) and is_floor.sum() == 2
        assert ranks[~is_floor].map(lambda cell: bool(pd.Series(cell).str.fullmatch(r"\d+ \[\d+, \d+\]").all())).all(axis=None)


def test_means_are_those_of_the_stored_runs():
    runs = records.collect("tables", "small")
    table = leaderboard.leaderboard()["simulated small (test)"].set_index("method")
    for label, (shown, _) in SHOWN.items():
        of_label = runs.loc[runs["variant"] == label, "segment.type"]
        assert (shown in table.index) == bool(len(of_label))
        if len(of_label):
            assert table.loc[shown, "segment.type"] == pytest.approx(of_label.mean(), abs=0.01)  # videos are stored with two digits


def test_the_page_in_docs_is_what_the_stored_runs_say(tmp_path, capsys):
    """`cmpae leaderboard --out docs/leaderboard.md --figures figures` makes it anew."""
    assert cli.main(["leaderboard", "--out", str(tmp_path / "docs" / "page.md"), "--figures", str(tmp_path / "figures")]) == 0
    text = (tmp_path / "docs" / "page.md").read_text()
    assert text == (ROOT / "docs" / "leaderboard.md").read_text()
    assert "simulated small (test)" in capsys.readouterr().out
    links = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert sorted(Path(link).name for link in links) == sorted(p.name for p in (tmp_path / "figures").iterdir()) and len(links) == 4
    assert all((tmp_path / "docs" / link).read_bytes().startswith(b"\x89PNG") for link in links)


def test_a_picture_shows_each_method_with_its_seeds(tmp_path):
    runs = made(np.random.default_rng(0), first=80, second=50)
    runs = runs[(runs["method"] == "first") | (runs["seed"] == 0)]
    table = leaderboard.ranking(runs)
    ranked = pd.concat([table, pd.DataFrame([{"method": "floor", "segment.type": 10.0, "event.type": 9.0}])], ignore_index=True)
    with patch.object(results, "ranking", wraps=results.ranking) as drawn:
        assert leaderboard.draw({"any data (test)": ranked}, tmp_path) == {"any data (test)": tmp_path / "leaderboard_any_data.png"}
    (names, values, _, _, floors), _ = drawn.call_args
    assert list(names) == ["first", "second (1 seed)"] and list(values) == list(table["segment.type"]) and floors == {"floor": 10.0}


def test_reversals_are_surely_better_here_and_worse_in_print():
    tables = leaderboard.leaderboard()
    for title, pairs in leaderboard.reversals().items():
        ours = tables[title].set_index("method")
        score = "accuracy" if "accuracy" in ours else "segment.type"
        for pair in pairs.itertuples(index=False):
            assert ours.loc[pair.better, score] - ours.loc[pair.worse, score] == pytest.approx(pair.difference, abs=0.01)
            assert ours.loc[[pair.better, pair.worse], "n"].min() > 1  # of one run nobody knows what another seed would do
            assert ours.loc[pair.better, "printed"] < ours.loc[pair.worse, "printed"] and 0 < pair.low <= pair.difference <= pair.high
            on_ours = {m for m in (pair.better, pair.worse) if m.endswith("CMPAE's schedule") or m == "CMPAE, preset paper"}
            assert (len(on_ours) == 2) == (pair.schedule == "CMPAE's")
    named = leaderboard.reversals()["real_media (test)"]
    turned = set(zip(named["better"], named["worse"], strict=True))
    assert {(f"JoMoLD, {whose} schedule", "CMPAE, preset paper") for whose in ("its own", "CMPAE's")} <= turned


def test_one_method_is_no_ranking(tmp_path):
    with pytest.raises(InputError, match="no data set with runs of two methods"):
        leaderboard.leaderboard("full_size")
    assert cli.main(["leaderboard", "--results", str(tmp_path)]) == 2


def test_runs_of_ones_own_stand_beside_the_stored_ones(tmp_path):
    """In Table 2 and on the leaderboard, from several sources at once; without `also` they are left out."""
    stored = records.read("tables")
    file, record = next((f, r) for f, r in stored.items() if f.startswith("small/HAN-seed0"))
    place = tmp_path / identify("small").folder / file.rpartition("/")[2]
    write_json(place, record | {"variant": "mine"})
    table = tables.make(2, ["tables", tmp_path], ["small"], also=["mine"]).frame.set_index("method")
    assert table.loc["mine", "segment.type"] == record["scores"]["segment"]["type"] and table.loc["mine", "n"] == 1
    assert "mine" not in set(tables.make(2, ["tables", tmp_path], ["small"]).frame["method"])
    ranks = leaderboard.leaderboard(["tables", tmp_path], ["mine"])["simulated small (test)"].set_index("method")
    assert ranks.loc["mine", "segment.type"] == pytest.approx(record["scores"]["segment"]["type"], abs=0.01)
