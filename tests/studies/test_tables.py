"""Tables 1 to 6: every printed number, what may stand beside it, intervals worked by hand, files, and the command."""

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import cli, data, metrics
from cmpae_toolkit.config import presets
from cmpae_toolkit.data.folder import write_folder
from cmpae_toolkit.data.simulation.simulate import simulate
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.methods import get
from cmpae_toolkit.studies import ablations, claims, grid, records, tables
from cmpae_toolkit.studies.ablations import OTHERS, SAME, SCHEDULE, SIZE, TABLE_5, TABLE_6, table_config, table_runs
from cmpae_toolkit.studies.identity import identify
from cmpae_toolkit.studies.records import collect
from cmpae_toolkit.studies.rows import FULL, PAPER_TABLES, TEN, TYPE, WITH_BACKGROUND, paper_table

VIDEOS = 40


def place(name):
    """Where runs on a data set lie: by its checksum, or, where the data are not here, under its name."""
    return identify(name).folder if data.simulated_size(name) else name


def stored(folder, variant, seed, segment, title="simulated small (test)", name="small", **more):
    """A run's record with made-up scores: type F of each video around `segment`, all ten scores equal to it."""
    rng = np.random.default_rng([seed, len(variant)])
    per_video = np.clip(segment + rng.normal(0, 8, VIDEOS), 0, 100)
    per_video += segment - per_video.mean()
    scores = {level: {track: segment for track in metrics.SCORES} for level in metrics.LEVELS}
    record = {
        "variant": variant, "seed": seed, "data": {"title": title}, "scores": scores | more,
        "per_video": {level: per_video.tolist() for level in metrics.LEVELS},
        "per_category": {level: {t: [segment, None] for t in ("audio", "visual", "audio_visual")} for level in metrics.LEVELS},
        "thresholds": {"video": {"audio": {"Dog": 0.5, "Cat": 0.5}}},
    }
    path = Path(folder) / place(name) / f"{variant.replace('/', '_')}-{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))


@pytest.fixture
def results(tmp_path):
    for seed, (full, edl, backbone) in enumerate([(66, 64, 60), (67, 64, 63), (65, 64, 60)]):
        stored(tmp_path, FULL, seed, full)
        stored(tmp_path, "EDL", seed, edl)
        stored(tmp_path, "JoMoLD", seed, backbone)
    return tmp_path


def printed_rows(number):
    """(method, data, column, value) of every printed number of a table, read from the asset on another way than the code's."""
    asset = json.loads(PAPER_TABLES.read_text())
    if number == 1:
        sets = (("LLP, printed", "AVVP", "mean"), ("AVE, printed", "AVE", "accuracy"))
        return [(m, where, c, v) for where, key, c in sets for m, v in asset["table_1"][key].items()]
    if number == 3:
        return [(m, "AVE, printed", "accuracy", v) for m, v in asset["table_3_AVE_accuracy"].items()]
    if number in (2, 4):
        table, where = asset["table_2_AVVP" if number == 2 else "table_4_AVEP"], "LLP, printed" if number == 2 else "AVEP, printed"
        return [(m, where, c, v) for m, row in table["rows"].items() for c, v in zip(table["columns"], row, strict=True)]
    rows = []
    for m, row in asset[f"table_{number}"]["rows"].items():
        for column, v in zip(asset[f"table_{number}"]["columns"], row, strict=True):
            score, place = column.split()
            rows.append((m, {"AVVP": "LLP", "AVEP": "AVEP"}[place] + ", printed", score, v))
    return rows


@pytest.mark.parametrize("number", tables.NUMBERS)
def test_every_printed_number_is_there(number, results):
    frame = tables.make(number, results, ["small"]).frame
    rows = printed_rows(number)
    assert len(rows) >= 6
    for method, where, column, value in rows:
        found = frame.loc[(frame["method"] == method) & (frame["data"] == where), column]
        assert found.tolist() == [value], (method, where, column)


@pytest.mark.parametrize("number", tables.NUMBERS)
def test_what_was_measured_never_stands_under_the_name_of_a_real_set(number, results):
    table = tables.make(number, results, ["small"])
    measured = table.frame["n"].notna()
    assert set(table.frame.loc[measured, "data"]) <= {"simulated small (test)"}
    assert not table.frame.loc[~measured, "data"].str.contains("simulated").any()
    assert ("simulated" in table.title) == measured.any()
    assert not any(c.endswith(" - printed") for c in table.frame.columns)


def test_printed_sums_agree_but_for_the_known_slips():
    """Type is the mean of three scores, Table 1 the mean of Table 2's ten: but for the rows that the notes name."""
    slips = set()
    asset = paper_table("later_work_AVVP")
    printed = [paper_table(name)["rows"] for name in ("table_2_AVVP", "table_4_AVEP", "earlier_work_AVVP", "later_work_AVEP")]
    for rows in (*printed, asset["same_features"], asset["clip_clap_features"]):
        for method, row in rows.items():
            for level, start in (("segment", 0), ("event", 5)):
                if abs(np.mean(row[start : start + 3]) - row[start + 3]) > 0.11:
                    slips.add((re.split(r"\W\W", method)[0], level))
    both = {("MM-Pyramid", "segment"), ("MM-Pyramid", "event"), ("MA", "segment"), ("CoLeaF", "event"), ("PPL", "event"), ("DHHN", "event")}
    assert slips == both | {("HAN", "event"), ("MGN", "event")}  # the last two in Table 4
    for method, name in (("CMPAE", "CMPAE"), ("JoMoLD", "JoMoLD (ECCV 2022)")):
        assert paper_table("table_1")["AVVP"][method] == pytest.approx(np.mean(paper_table("table_2_AVVP")["rows"][name]), abs=0.06)


def test_differences_and_intervals_worked(results):
    """EDL against the full model: -2, -3, -1 over three seeds."""
    frame = tables.make(5, results, ["small"]).frame
    row = frame[(frame["method"] == "EDL") & frame["n"].notna()].iloc[0]
    assert row["n"] == 3 and row["segment.type"] == 64 and row["segment.type sd"] == 0 and row["segment.type - full"] == -2
    assert row["segment.type ±"] == pytest.approx(4.302653 * 1 / np.sqrt(3), rel=1e-6)  # Student's t, 2 degrees of freedom
    assert row["segment.type low"] < -2 < row["segment.type high"]
    printed = frame[(frame["method"] == "EDL") & (frame["data"] == "LLP, printed")].iloc[0]
    assert printed["segment.type - full"] == pytest.approx(61.0 - 63.3) and printed["event.type - full"] == pytest.approx(54.9 - 57.4)
    full = frame[(frame["method"] == FULL) & frame["n"].notna()].iloc[0]
    assert full["segment.type - full"] == 0 and pd.isna(full["segment.type ±"])
    assert "-2.0 ± 2.5 [" in tables.make(5, results, ["small"]).to_markdown()


def test_rows_that_were_not_run_are_named(results):
    stored(results, "w/o u_uni", 0, 61.0)
    notes = " ".join(tables.make(6, results, ["small"]).notes)
    assert "Not run yet" in notes and "w/o u_av on small" in notes and "both uni-modal" in notes and "CMPAE on" not in notes


def test_one_configuration_is_trained_once_and_shown_in_both(tmp_path):
    stored(tmp_path, "EDL + JML", 0, 61.5)
    stored(tmp_path, FULL, 0, 62.0)
    for number, name in ((5, "EDL + JML"), (6, "both uni-modal")):
        frame = tables.make(number, tmp_path, ["small"]).frame
        assert frame.loc[(frame["method"] == name) & frame["n"].notna(), "segment.type"].tolist() == [61.5]
    runs = table_runs("small")
    assert not set(runs) & set(SAME) and runs[FULL] == table_config("small")
    for label, changes in {**TABLE_5, **TABLE_6}.items():
        assert runs[SAME.get(label, label)] == table_config("small").changed(**changes)


def test_only_the_same_data_set_gives_a_difference_to_the_printed_number(tmp_path):
    stored(tmp_path, FULL, 0, 60.0, title="llp (test)", name="llp")
    stored(tmp_path, FULL, 0, 60.0, title="simulated small (test)")
    frame = tables.make(2, tmp_path, ["llp", "small"]).frame.set_index("data")
    printed = dict(zip(TEN, paper_table("table_2_AVVP")["rows"]["CMPAE"], strict=True))
    assert frame.loc["llp (test)", "event.audio - printed"] == pytest.approx(60.0 - printed["event.audio"])
    assert pd.isna(frame.loc["simulated small (test)", "event.audio - printed"])
    assert "60.0 (+3.4)" in tables.make(2, tmp_path, ["llp"]).to_markdown()
    assert " - printed" not in " ".join(tables.make(4, tmp_path, ["llp"]).frame.columns)  # Table 4 is AVEP's


def test_ablations_of_the_released_code_are_measured_against_it(tmp_path):
    stored(tmp_path, FULL, 0, 66.0)
    stored(tmp_path, "EDL", 0, 65.0)
    more = {"released code": 70.0, "released code w/o JML": 69.0, f"{FULL}, opinions pooled": 60.0, "EDL, opinions pooled": 62.0}
    for label, value in more.items():
        stored(tmp_path, label, 0, value)
    frame = tables.make(5, tmp_path, ["small"]).frame
    ours = frame[frame["n"].notna()].set_index("method")["segment.type - full"]
    assert ours["released code"] == 0 and ours["released code w/o JML"] == -1 and ours["EDL, opinions pooled"] == 2 and ours["EDL"] == -1


def test_accuracy_and_its_floors(tmp_path):
    stored(tmp_path, FULL, 0, 50.0, "simulated ave (test)", "simulated-ave", accuracy=74.5)
    (tmp_path / place("simulated-ave") / "floors.json").write_text(json.dumps({
        "title": "simulated ave (test)", "floors": {}, "accuracy": {"background everywhere": 16.9, "true category everywhere": 83.1}
    }))
    for number in (1, 3):
        frame = tables.make(number, tmp_path, ["simulated-ave"]).frame
        ours = frame[frame["data"] == "simulated ave (test)"].set_index("method")["accuracy"]
        assert ours.to_dict() == {"CMPAE, preset paper": 74.5, "background everywhere": 16.9, "true category everywhere": 83.1}


def test_accuracy_on_videos_with_background(tmp_path):
    """Table 3's second column: the videos that are not one event from end to end, of runs and of floors."""
    stored(tmp_path, FULL, 0, 50.0, "simulated tiny-ave (test)", "simulated-tiny-ave", accuracy=74.5)
    videos = data.load("simulated-tiny-ave", "test")
    others = [i for i, roll in enumerate(videos.reference) if not roll.any(-1).all()]
    (file,) = (tmp_path / place("simulated-tiny-ave")).glob("*.json")
    record = json.loads(file.read_text())
    record["per_video"]["accuracy"] = [30.0 + 40 * (i in others[:1]) if i in others else 100.0 for i in range(len(videos))]
    file.write_text(json.dumps(record))
    tables.write_floors("simulated-tiny-ave", tmp_path)
    frame = tables.make(3, tmp_path, ["simulated-tiny-ave"]).frame
    column = frame[frame["data"] == "simulated tiny-ave (test)"].set_index("method")[WITH_BACKGROUND]
    assert column["CMPAE, preset paper"] == pytest.approx(30 + 40 / len(others)) and 0 < len(others) < len(videos)
    event, background = (videos.reference[others].any(-1)[:, 0] == x for x in (True, False))
    assert column["true category everywhere"] == pytest.approx(100 * event.mean())
    assert column["background everywhere"] == pytest.approx(100 * background.mean())


def test_floors_of_llp_are_those_of_the_published_lists(shared):
    """The two rows that are not of the paper, measured again."""
    lists = data.read_annotations(shared / "data" / "llp", "test")
    floors = metrics.floors(lists.weak_labels, lists.reference(10)[0])
    for name, row in paper_table("floors_LLP_test")["rows"].items():
        assert row == pytest.approx([floors[name][level][track] for level in metrics.LEVELS for track in metrics.SCORES], abs=0.005)


def test_files_of_a_table(results, tmp_path):
    table = tables.make(5, results, ["small"])
    made = table.save(tmp_path / "out")
    assert [path.name for path in made] == ["table_5.csv", "table_5.md", "table_5.tex", "table_5.png"]
    pd.testing.assert_frame_equal(pd.read_csv(made[0]), table.frame.reset_index(drop=True), check_dtype=False)
    assert "simulated small (test)" in made[1].read_text() and "tick marks" in made[1].read_text()
    assert r"\begin{tabular}" in made[2].read_text() and made[3].read_bytes().startswith(b"\x89PNG")
    stored(tmp_path / "other", "HAN", 0, 60.0)  # Table 5 has no such row
    nothing = tables.make(5, tmp_path / "other", ["small"])
    assert "nothing measured yet" in nothing.title and len(nothing.save(tmp_path / "none")) == 3


def test_a_folder_without_runs_is_one_sentence(tmp_path, capsys):
    with pytest.raises(InputError, match="holds no finished run on small, llp as these data are now: `cmpae tables` trains them"):
        tables.make(5, tmp_path, ["small", "llp"])
    assert cli.main(["tables", "5", "--stored", "--data", "small", "--results", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not list(tmp_path.iterdir())


def test_runs_on_other_data_are_not_shown(tmp_path):
    """The stored runs are those of `tiny`; whoever asks for `small` gets none of them, whatever their folder is called."""
    stored(tmp_path, FULL, 0, 66.0, name="tiny")
    (tmp_path / place("tiny")).rename(tmp_path / "small")
    with pytest.raises(InputError, match="no finished run on small"):
        tables.make(5, tmp_path, ["small"])


def test_two_folders_of_one_name_stand_beside_each_other(tmp_path):
    folders = [tmp_path / version / "birds" for version in ("v1", "v2")]
    for number, folder in enumerate(folders):
        for split in data.splits:
            write_folder(simulate("tiny", split, seed=number), folder)
        stored(tmp_path / "runs", FULL, 0, 60.0 + number, title=f"birds {number}", name=identify(folder).folder)
    frame = tables.make(2, tmp_path / "runs", folders).frame
    assert sorted(frame.loc[frame["n"] == 1, "segment.type"]) == [60, 61]


def test_the_six_tables_of_the_stored_runs():
    names = ["small", "real_media", "simulated-ave", "simulated-avep"]
    made = tables.make_all(tables.NUMBERS, "tables", names)
    assert [table.number for table in made] == list(tables.NUMBERS)
    seeds = {n: [int((table.frame["n"] == n).sum()) for table in made] for n in (5, 3, 2, 1)}
    assert seeds == {  # rows with so many seeds
        5: [62, 62, 12, 62, 56, 28], 3: [12, 12, 0, 12, 0, 0], 2: [1, 1, 0, 1, 0, 0], 1: [34, 34, 4, 34, 0, 0],
    }
    assert all("real_media" in table.title for table in (made[1], made[4], made[5]))


class Seen(HTMLParser):
    """What a reader of a page sees, and with which tags."""

    def __init__(self):
        super().__init__()
        self.words, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)

    def handle_data(self, data):
        self.words.append(data)


NASTY = "Ka$$e_50%|<b>&amp; #1"


@pytest.mark.parametrize("name", [NASTY, "a\\b", "{x}^~`*[a](b)", "two\nlines"])
def test_names_are_text(name):
    frame = pd.DataFrame({"method": [name, "EDL"], "data": [f"{name} (test)", "d"], "n": [1, 1], "segment.type": [60.0, 50.0]})
    table = tables.Table(2, f"Table of {name}", frame, (f"Not run yet: {name}.",))
    plain = " ".join(name.split())
    cells = [re.sub(r"\\([\\`*_\[\]|$<>&~#])", r"\1", c.strip()) for c in re.split(r"(?<!\\)\|", table.to_markdown().splitlines()[4])[1:-1]]
    assert cells[:2] == [plain, f"{plain} (test)"] and len(cells) == 4
    row = table.to_latex().split("midrule")[1].splitlines()[1]
    unescaped = row.replace(r"\textbackslash{}", "\\").replace(r"\textasciitilde{}", "~").replace(r"\textasciicircum{}", "^")
    unescaped = unescaped.replace(r"\textless{}", "<").replace(r"\textgreater{}", ">").replace(r"\textbar{}", "|")
    assert len(re.findall(r"(?<!\\)&", row)) == 3 and re.sub(r"\\([&%$#_{}])", r"\1", unescaped).startswith(f"{plain} & {plain} (test) &")
    assert all(line.startswith("%") for line in table.to_latex().splitlines()[:2])
    seen = Seen()
    seen.feed(table.to_html())
    assert seen.words.count(plain) == 1 and f"{plain} (test)" in seen.words and f"Table of {plain}" in seen.words
    assert not seen.tags & {"a", "b"}


def test_per_category_means(results):
    table = claims.per_category(collect(results), FULL, "JoMoLD")
    assert table["category"].tolist() == ["Dog"] * 3 and set(table["track"]) == {"audio", "visual", "audio_visual"}
    assert table[FULL].tolist() == [66.0] * 3 and table["JoMoLD"].tolist() == [61.0] * 3
    csv = pd.read_csv(tables.write_categories(results, ["small"], results))
    row = csv[(csv["variant"] == "JoMoLD") & (csv["level"] == "event") & (csv["track"] == "visual")].iloc[0]
    assert (row["category"], row["mean"], row["count"]) == ("Dog", 61.0, 3) and row["std"] == pytest.approx(np.sqrt(3), abs=0.01)
    assert "Cat" not in set(csv["category"])  # it occurs in no roll
    with pytest.raises(InputError, match="no finished run of 'HAN'"):
        claims.per_category(collect(results), FULL, "HAN")


def test_rows_of_one_data_set_share_their_schedule():
    for name in ("small", "elsewhere/real_media", "simulated-avep", "my_folder"):
        runs = table_runs(name)
        for label in {SAME.get(row, row) for row in {**TABLE_5, **TABLE_6}}:
            assert all(getattr(runs[label], f) == getattr(runs[FULL], f) for f in SCHEDULE), (name, label)
        for label, method in OTHERS["parsing"].items():  # the authors' schedule, the data set's size
            published = get(method).Config().adopting(**{field: getattr(runs[FULL], field) for field in SIZE})
            assert runs[label] == published, label
            ours = f"{label}{ablations.OUR_SCHEDULE}"
            assert method == "jomold" or set(runs[ours].difference(published)) <= {*SCHEDULE, "milestones", "schedule", "warm_up_epochs"}
            assert method == "jomold" or all(getattr(runs[ours], f) == getattr(runs[FULL], f) for f in ("epochs", "learning_rate", "decay"))
        for label, (method, changes) in ablations.OURS["parsing"].items():  # nobody published a schedule of these
            on_ours = runs[f"{label}{ablations.OUR_SCHEDULE}"]
            assert label not in runs and on_ours.method == method and on_ours.epochs == runs[FULL].epochs
            assert all(getattr(on_ours, field) == value for field, value in changes.items())
        for label, (method, changes) in ablations.HAN_LABELS["parsing"].items():  # published schedules, and CMPAE's
            own, on_ours = runs[label], runs[f"{label}{ablations.OUR_SCHEDULE}"]
            assert own.method == method and own.learning_rate == get(method).Config().learning_rate and own.epochs <= ablations.LONGEST
            assert on_ours.learning_rate == runs[FULL].learning_rate and all(getattr(own, f) == v for f, v in changes.items())
        for label, (method, changes) in ablations.READINGS["parsing"].items():  # other labels or losses, and nothing else
            assert set(runs[label].difference(runs[label.partition(",")[0]])) == set(changes) and runs[label].method == method
    psp, avel = (table_runs("simulated-ave")[label] for label in ("PSP", "AVEL"))  # 300 epochs, less after 80 and 160; 250 and 277
    assert (psp.epochs, psp.milestones, avel.epochs, avel.decay_epochs) == (40, (11, 21), 40, 44)
    valor, uwav = (table_runs("small")[f"{label}, HAN's labels (ours)"] for label in ("VALOR", "UWAV"))  # of 60 and of 80 epochs
    assert (valor.epochs, valor.warm_up_epochs, uwav.warm_up_epochs) == (40, 7, 5)
    assert table_runs("my_folder")[FULL] == presets["paper"] and table_runs("real_media")[FULL].width == 128
    both = set(OTHERS["parsing"]) & set(OTHERS["localization"])
    ours = {**ablations.OURS["parsing"], **ablations.HAN_LABELS["parsing"]}
    of_others = {*OTHERS["parsing"], *OTHERS["localization"], *(label.partition(",")[0] for label in ours)}
    ave, parsing = ({label for label in table_runs(n) if label.partition(",")[0] not in of_others} for n in ("simulated-ave", "small"))
    assert ave == parsing
    assert both == {"JoMoLD", "HAN"} and {get(m).tasks for m in OTHERS["localization"].values()} >= {frozenset({"localization"})}


def test_verdicts_follow_the_interval(results):
    """EDL against the backbone is +4, +1, +4: 3 ± 4.3 sqrt(3) / sqrt(3), undecided; the full model against a worse row holds."""
    for seed in range(3):
        stored(results, "backbone (JoMoLD)", seed, (60, 63, 60)[seed])
        stored(results, "EDL + JML", seed, (62.0, 63.1, 60.9)[seed])
        stored(results, "w/o u_av", seed, (70.0, 71.1, 68.9)[seed])
    table = claims.claims_table(collect(results)).set_index("claim")
    assert table.loc["EDL helps the backbone", ["difference", "verdict"]].tolist() == [3, "undecided"]
    assert table.loc["EDL helps the backbone", "printed"] == pytest.approx(61.0 - 60.8)
    assert table.loc["EDL helps the backbone", "±"] == pytest.approx(4.302653 * np.sqrt(3) / np.sqrt(3), rel=1e-6)
    assert table.loc["PAEC helps EDL + JML", "verdict"] == "holds"  # 4, 3.9, 4.1
    assert table.loc["u_av helps", "verdict"] == "the reverse" and table.loc["u_av helps", "printed"] == pytest.approx(63.3 - 62.2)
    assert "JML helps EDL + PAEC" not in table.index
    assert table.loc["PAEC helps EDL + JML", "after Holm"] == "holds" and set(table["after Holm"]) <= {"holds", "the reverse", "undecided"}
    assert claims.claims_table(collect(results), which=claims.MORE_CLAIMS).empty
    assert set(label for pair in (claims.CLAIMS | claims.MORE_CLAIMS).values() for label in pair) <= set(table_runs("small"))


def test_unknown_table():
    with pytest.raises(InputError, match="no Table 7"):
        tables.labels_of(7)


def test_only_the_methods_that_are_named():
    named = tables.jobs_for([2, 5], ["small"], [0, 1], ["han", "coleaf"])
    assert {job.config.method for job in named} == {"han", "coleaf"} and len(named) == 8  # on both schedules
    assert [job.config.seed for job in named] == [0] * 4 + [1] * 4
    assert len(tables.jobs_for([2], ["small"], [0])) > 25
    for numbers, name in (([5], "han"), ([2], "psp"), ([2], "unheard_of")):
        with pytest.raises(InputError, match=f"of {name}"):
            tables.jobs_for(numbers, ["small"], [0], [name])


def test_the_command_trains_what_is_missing_and_reads_what_is_there(tmp_path, monkeypatch, capsys):
    genuine = table_runs("tiny")
    small = {n: dataclasses.replace(c, width=16, epochs=1, estimator_epochs=1) for n, c in genuine.items() if n in (FULL, "EDL", "JoMoLD")}
    monkeypatch.setattr(tables, "table_runs", lambda name: small)
    where = ["--data", "tiny", "--seeds", "2", "--results", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert cli.main(["tables", "2", "5", *where]) == 0
    told = capsys.readouterr().out
    assert "Table 2" in told and "Table 5" in told and "simulated tiny (test)" in told and "true weak labels everywhere" in told
    runs = collect(tmp_path / "runs", "tiny")
    assert sorted(runs["variant"]) == sorted([FULL, "EDL", "JoMoLD"] * 2) and set(TYPE) <= set(runs)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*-seed*.json")}
    assert cli.main(["tables", "5", "--stored", *where]) == 0
    assert cli.main(["tables", "5", *where]) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*-seed*.json")} == before
    assert cli.main(["tables", "5", *where, "--methods", "jomold"]) == 2 and "no row of Table 5" in capsys.readouterr().err
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results")
    records.freeze(tmp_path / "runs", "tables", tmp_path / "results")
    monkeypatch.setattr(grid, "run", lambda job, *others: pytest.fail(f"{job.variant} was trained again"))
    assert cli.main(["tables", "2", "5", "--extend", "--data", "tiny", "--seeds", "2", "--results", str(tmp_path / "taken_over")]) == 0
    pd.testing.assert_frame_equal(collect(tmp_path / "taken_over", "tiny"), runs)
    assert cli.main(["tables", "5", "--stored", "--extend", "--data", "tiny", "--out", str(tmp_path / "read")]) == 0
    assert (tmp_path / "read" / "table_5.csv").read_text() == (tmp_path / "taken_over" / "table_5.csv").read_text()
    broken = next(iter(before))
    broken.write_text(json.dumps({"error": "ValueError: made up", "variant": "EDL", "seed": 0}))
    assert cli.main(["tables", "5", "--stored", *where]) == 1 and "made up" in capsys.readouterr().err
