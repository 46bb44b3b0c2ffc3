"""Each choice in `improved` alone is taken back."""

from cmpae_toolkit.config import IMPROVED, Config
from cmpae_toolkit.studies import leave_one_out
from cmpae_toolkit.studies.ablations import table_runs


def test_every_field_of_the_preset_is_one_choice():
    fields = [field for fields in leave_one_out.CHOICES.values() for field in fields]
    assert sorted(fields) == sorted(IMPROVED)
    full = table_runs("small")["improved"]
    for name, changes in leave_one_out.variants().items():
        left = full.changed(**changes)
        back = set(leave_one_out.CHOICES.get(name.removeprefix("w/o "), ()))
        assert set(left.difference(full)) == back, name
        assert all(getattr(left, field) == getattr(Config(), field) for field in back)


def test_run(tmp_path, monkeypatch):
    quick = dict(width=16, epochs=2, estimator_epochs=1, batch_size=32)
    monkeypatch.setattr(leave_one_out, "table_runs", lambda name: {"improved": Config(**IMPROVED, **quick)})
    monkeypatch.setattr(leave_one_out, "CHOICES", {"pooled opinions": ("pooling",)})
    table = leave_one_out.run(["tiny"], seeds=1, out=tmp_path).set_index("variant")
    assert list(table.index) == ["improved", "w/o pooled opinions"] and table.loc["improved", "segment.type difference"] == 0
    assert table.loc["w/o pooled opinions", "segment.type"] != table.loc["improved", "segment.type"]
