"""One thing at a time: which fields each row of a comparison may change, and that it changes no other."""

import pytest

from cmpae_toolkit.config import IMPROVED_NETWORK, IMPROVED_READING, RELEASED, Config, MethodConfig, presets
from cmpae_toolkit.studies import claims, improved_search, records
from cmpae_toolkit.studies.ablations import (
    ABLATIONS_OF_POOLED,
    ABLATIONS_OF_RELEASED,
    DIFFERENCES,
    EVIDENTIAL_LOSSES,
    OWN_WEIGHTS,
    SAME,
    TABLE_5,
    TABLE_6,
    table_runs,
)

MECHANISMS = {"EDL": {"evidential"}, "PAEC": {"absence_from"}, "JML": {"mutual_weight", "joint"}}
TABLE_6_FIELDS = {
    "both uni-modal": {"absence_from"}, "both cross-modal": {"presence_from"}, "exchange uni/cross": {"presence_from", "absence_from"},
    "w/o u_av": {"use_joint_vacuity"}, "w/o u_uni": {"use_unimodal_vacuity"}, "w/o delta(c)": {"use_modality_selector"}, "CMPAE": set(),
}
TABLE_5_MECHANISMS = {
    "backbone (JoMoLD)": set(), "EDL": {"EDL"}, "EDL + PAEC": {"EDL", "PAEC"}, "EDL + JML": {"EDL", "JML"},
    "EDL + PAEC + JML": set(MECHANISMS),
}
SETS = ("small", "real_media", "simulated-avep", "simulated-ave")


def changed(a: MethodConfig, b: MethodConfig) -> set[str]:
    return set(a.difference(b))


@pytest.mark.parametrize("name", SETS)
def test_rows_of_table_5_differ_in_their_mechanisms_only(name):
    """Reduction, loss weights, labels, schedule and decoding are those of every other row."""
    runs = table_runs(name)
    assert list(TABLE_5) == list(TABLE_5_MECHANISMS)
    for a in TABLE_5:
        for b in TABLE_5:
            apart = TABLE_5_MECHANISMS[a] ^ TABLE_5_MECHANISMS[b]
            may = set().union(*(MECHANISMS[m] for m in apart))
            assert changed(runs[SAME.get(a, a)], runs[SAME.get(b, b)]) <= may, (a, b)
            assert bool(apart) == (a != b) == bool(changed(runs[SAME.get(a, a)], runs[SAME.get(b, b)]))


@pytest.mark.parametrize("name", SETS)
def test_every_other_row_touches_what_its_name_says(name):
    runs = table_runs(name)
    full = runs["EDL + PAEC + JML"]
    assert {row: changed(runs[SAME.get(row, row)], full) for row in TABLE_6} == TABLE_6_FIELDS
    assert changed(runs["backbone, JoMoLD's weights"], runs["backbone (JoMoLD)"]) == {"audio_weight"} and len(OWN_WEIGHTS) == 1
    for label in ABLATIONS_OF_POOLED:
        assert changed(runs[label], runs[label.removesuffix(", opinions pooled")]) == {"pooling"}
    code = runs["released code"]
    released = {label.removeprefix("released code").strip(): changed(runs[label], code) for label in ABLATIONS_OF_RELEASED}
    # the released joint branch is no mechanism of its own: it stays without JML, and the text says so
    paec, jml = {"absence_from"}, {"mutual_weight"}
    assert released == {"": set(), "w/o PAEC": paec, "w/o JML": jml, "w/o both": paec | jml}


def test_claims_compare_rows_of_one_kind():
    """A claim's two rows lie one mechanism apart, or what else differs is written here."""
    more = {
        "both help the released code": {"absence_from", "mutual_weight"},
        "EDL helps the backbone, opinions pooled": {"evidential", "pooling"},
    }
    runs = table_runs("small")
    for claim, (better, worse) in (claims.CLAIMS | claims.MORE_CLAIMS).items():
        apart = changed(runs[SAME.get(better, better)], runs[SAME.get(worse, worse)])
        single = [*MECHANISMS.values(), *TABLE_6_FIELDS.values(), {"pooling"}, {"mutual_weight"}]
        assert apart == more.get(claim, apart) and (claim in more or any(apart <= fields for fields in single)), claim


def test_the_differences_of_the_released_code_are_single_and_complete():
    """Each stands for one choice; together, with the number of epochs, they are the preset."""
    fields = [set(changes) for changes in DIFFERENCES.values()]
    assert sum(map(len, fields)) == len(set().union(*fields)), "no field belongs to two differences"
    together: dict = {}
    for changes in DIFFERENCES.values():
        together |= changes
    assert {name: value for name, value in RELEASED.items() if name != "epochs"} == together
    assert {name for name, changes in DIFFERENCES.items() if len(changes) > 1} == {  # a choice that is more than one field
        "evidence temperature and clamp", "joint branch from the embedding", "loss weights 2, 0.6, 0.6",
        "lower thresholds, visual ones searched",
    }


def test_evidential_losses_differ_in_the_risk_from_their_yardstick():
    """Losses that were published with a KL term are compared with the paper's log risk with that term."""
    yardstick = Config(**EVIDENTIAL_LOSSES["log + KL"])
    assert changed(yardstick, presets["paper"]) == {"kl_weight"}
    own = {"EDL": {"risk"}, "I-EDL": {"risk"}, "R-EDL": {"risk", "prior_weight"}}  # R-EDL is its risk at another prior weight
    assert {name: changed(Config(**EVIDENTIAL_LOSSES[name]), yardstick) for name in own} == own


def test_the_preset_improved_is_what_the_search_found():
    """The chosen joined setting as a network, and the way to read it that was best on val over the joined settings."""
    network = Config(**improved_search.START | improved_search.JOINED[improved_search.CHOSEN])
    assert network == Config(**IMPROVED_NETWORK) and presets["improved"] == Config(**IMPROVED_NETWORK, **IMPROVED_READING)
    runs = records.collect("improved_search")
    worth = improved_search.worth(runs)["mean"]
    assert worth[improved_search.CHOSEN] > worth.max() - 0.3
    assert improved_search.decoding_worth(runs).index[0] == "mixture 0.3, snippet 0.4, half way"
    read = {"inference_self_share": 0.3, "snippet_threshold": 0.4, **improved_search.SEARCHED["half way"], "threshold_epoch": None}
    assert read == IMPROVED_READING
    assert set(runs["record"].map(lambda record: record["split"])) == {"val"}


def test_the_search_changes_one_choice_at_a_time():
    start = Config(**improved_search.START)
    two = {"visual and joint weight 0.6", "without JML", "fewer labels removed", "more labels removed"}
    for name, changes in improved_search.ONE_CHANGE.items():
        assert 1 <= len(changed(start.changed(**changes), start)) <= (2 if name in two else 1), name
