"""Every study by its name: one signature, nothing imported early, and on tiny data the numbers that it promises."""

import inspect
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from cmpae_toolkit import data, studies
from cmpae_toolkit.config import Config
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.inference import predict
from cmpae_toolkit.model import CMPAE
from cmpae_toolkit.studies import differences, evidence_study, improved_search, one_sided, records, schedule_search
from cmpae_toolkit.studies.grid import Job, run_grid

SMALL = Config(width=16, batch_size=16, epochs=2, estimator_epochs=1, learning_rate=4e-3)


@pytest.mark.parametrize("name", studies.STUDIES)
def test_every_study_has_one_signature(name):
    first, *options = inspect.signature(studies.get(name)).parameters.values()
    assert first.name == "data" and first.default == ("small",)
    assert [o.name for o in options][:3] == ["seeds", "out", "workers"] and all(o.kind is o.KEYWORD_ONLY for o in options)
    assert all(o.default is not o.empty for o in options) and options[1].default.as_posix() == f"runs/{name}"


def test_names_lead_somewhere():
    with pytest.raises(InputError, match=r"no study 'search': use one of differences"):
        studies.get("search")
    assert studies.collect is records.collect and all(callable(getattr(studies, name)) for name in studies._HOMES)
    with pytest.raises(AttributeError, match="nothing_of_this_kind"):
        studies.nothing_of_this_kind  # noqa: B018


def test_the_room_opens_without_torch_and_pandas():
    code = "import sys, cmpae_toolkit.studies as s; s.STUDIES; print(*({'torch', 'pandas', 'matplotlib'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_differences(tmp_path, monkeypatch):
    monkeypatch.setattr(differences, "DIFFERENCES", {"sum over categories": {"reduction": "sum"}})
    monkeypatch.setattr(differences, "study_config", lambda name: SMALL)
    table = differences.run(["tiny"], seeds=1, out=tmp_path).set_index("variant")
    assert set(table.index) == {"paper", "released", "jomold", "sum over categories"}
    assert (table["n"] == 1).all() and table.loc["paper", "segment.type difference"] == 0
    configs = {run.variant: run.record["config"] for run in records.collect(tmp_path).itertuples()}
    assert all(c["epochs"] == SMALL.epochs and c["width"] == SMALL.width for c in configs.values()) and not configs["jomold"]["evidential"]


def test_schedule_search(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule_search, "SETTINGS", {"as it is": {}, "softplus": {"evidence_function": "softplus"}})
    monkeypatch.setattr(schedule_search, "study_config", lambda name: SMALL)
    table = schedule_search.run(["tiny"], seeds=1, out=tmp_path)
    assert table.index.tolist() == [("simulated tiny (val)", "as it is"), ("simulated tiny (val)", "softplus")]
    assert tuple(table.columns) == schedule_search.ROWS
    for run in records.collect(tmp_path).itertuples():
        setting, _, row = run.variant.partition(": ")
        assert table.loc[("simulated tiny (val)", setting), row] == max(run.record["history"]["chosen_by"])


def test_the_cheapest_setting_within_a_standard_error_is_taken():
    settings = list(schedule_search.SETTINGS)
    index = pd.MultiIndex.from_product([["a", "b"], settings], names=["data", "setting"])
    scores = pd.DataFrame(50.0, index=index, columns=list(schedule_search.ROWS))
    scores.loc[("a", settings[3])] = [60.0, 40.0, 60.0, 44.0]  # the best by 1 on average, with a standard error of 5.3
    scores.loc[("b", settings[2])] = [51.0, 51.5, 52.0, 51.0]
    assert schedule_search.choose(scores).to_dict() == {"a": settings[0], "b": settings[2]}


def test_shares_worked():
    reference, estimate = np.zeros((3, 2, 4, 2), bool), np.zeros((3, 2, 4, 2), bool)
    reference[:2, 0, 1, 0] = True  # two events that are only audible: one is heard, and both are "seen"
    estimate[0, 0, 3, 0] = estimate[:2, 1, 2, 0] = True
    assert one_sided.shares(estimate, reference) == {
        "audio": {"false alarms": None, "found": 50.0}, "visual": {"false alarms": 100.0, "found": None},
    }


def test_one_sided(tmp_path):
    runs = run_grid([Job("EDL", SMALL.changed(seed=seed), "tiny") for seed in range(2)], tmp_path)
    stored = [record["one_sided"]["visual"]["found"] for record in runs["record"]]
    table = one_sided.mean_shares(runs)
    assert table.loc[("simulated tiny (test)", "EDL"), ("visual", "found")] == pytest.approx(np.mean(stored)) and len(stored) == 2


def test_improved_search(tmp_path, monkeypatch):
    """Test is never scored; a way to read is worth what its rolls score; fixed thresholds are the run's own decoding."""
    monkeypatch.setattr(improved_search, "table_config", lambda name: SMALL)
    table = improved_search.run(["tiny"], seeds=1, out=tmp_path, settings=["start", "audio weight 1"])
    assert set(table.index) == {"start", "audio weight 1"} and (table["runs"] == 1).all()
    runs = records.collect(tmp_path)
    record = runs.loc[runs["variant"] == "start", "record"].iloc[0]
    assert record["split"] == "val" and record["config"]["pooling"] == "opinions"
    type_scores = [record["scores"][level]["type"] for level in ("segment", "event")]
    assert record["decodings"]["mixture 0.0, snippet 0.5, fixed"] == pytest.approx(np.mean(type_scores)) == table.loc["start", "mean"]
    ways = improved_search.decoding_worth(runs, ["start"])
    assert len(ways) == 4 * 6 * 3 and ways["mean"].is_monotonic_decreasing


def test_thresholds_of_a_fold_never_saw_it(tiny, monkeypatch):
    """Each fold's thresholds are chosen on the references of the other four."""
    val, seen = tiny[1], []
    evidence = predict(CMPAE(SMALL, val.spec).eval(), val)
    config = SMALL.changed(search_thresholds=("audio",))
    genuine = improved_search.choose_thresholds
    monkeypatch.setattr(improved_search, "choose_thresholds", lambda *args: (seen.append(args[2]), genuine(*args))[1])
    improved_search.cross_validated(config, evidence, val)
    for k, reference in enumerate(seen):
        np.testing.assert_array_equal(reference, val.reference[np.arange(len(val)) % 5 != k])
    assert len(seen) == 5


def test_evidence_study(tmp_path, monkeypatch):
    """Also: it goes on where it stopped, and other data get runs of their own."""
    monkeypatch.setattr(evidence_study, "study_config", lambda name: SMALL.changed(epochs=8, decay_epochs=8, width=32, denoise=False))
    genuine, trained = evidence_study.fit, []
    monkeypatch.setattr(evidence_study, "fit", lambda *args, **options: (trained.append(args), genuine(*args, **options))[1])
    table = evidence_study.run(["tiny"], seeds=1, out=tmp_path, losses=["EDL"], amount=True).set_index("variant")
    assert not records.failures(tmp_path) and set(table.index) == {"paper", "amount", "EDL", "ensemble"}
    assert 0 < table.loc["paper", "errors.all.visual.vacuity.aurc"] < 1
    assert 0 <= table.loc["EDL", "unknown.audio dropped.vacuity.auroc"] <= 1
    assert table.loc["ensemble", "mean disagreement.all"] == pytest.approx(0, abs=1e-6)  # of a single member
    assert np.isnan(table.loc["ensemble", "seed"]) and table.loc["amount", "amount.all.steps"] > table.loc["amount", "amount.quarter.steps"]
    count = len(trained)
    assert count == 5  # all, held out, a quarter, the same steps, EDL
    evidence_study.run(["tiny"], seeds=1, out=tmp_path, losses=["EDL"], amount=True)
    evidence_study.run(["tiny"], seeds=1, out=tmp_path / "again")
    assert len(trained) == count
    (file,) = tmp_path.glob("simulated*/ensemble-*.json")
    record = file.read_text()
    file.write_text(json.dumps(json.loads(record) | {"seeds": [0, 1, 2]}))  # an ensemble of other seeds is another result
    evidence_study.run(["tiny"], seeds=1, out=tmp_path)
    assert json.loads(file.read_text())["scores"] == json.loads(record)["scores"] and json.loads(file.read_text())["seeds"] == [0]
    load = data.load
    monkeypatch.setattr(data, "load", lambda name, split: load("tiny", split, seed=1))
    study = evidence_study.Study("tiny")
    assert study.run("all", 0).data["checksum"] == study.identity.checksums["train"] and len(trained) == count + 1


def test_runs_from_before_the_shares_are_left_out():
    runs = records.collect("full_size")
    assert len(runs) and one_sided.mean_shares(runs).empty
