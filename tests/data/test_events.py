"""Events in the formats that people have: written and read again, as lists of a data set, broken ones in one sentence."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pympi
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmpae_toolkit.config import TRACKS
from cmpae_toolkit.data import VideoSet, load, load_folder, read_events, rolls_of, write_events
from cmpae_toolkit.data.annotations import read_annotations
from cmpae_toolkit.data.events import FORMATS
from cmpae_toolkit.errors import InputError

EVENTS = [
    {"filename": "a_0_10", "onset": 0.0, "offset": 2.5, "category": "Frying_(food)", "track": "audio", "probability": 0.875},
    {"filename": "a_0_10", "onset": 1.0, "offset": 10.0, "category": "Ka$$e<b>&_50%", "track": "visual", "probability": 0.5},
    {"filename": "a_0_10", "onset": 1.0, "offset": 2.5, "category": "Glühwürmchen", "track": "audio_visual", "probability": 1.0},
    {"filename": "b", "onset": 0.125, "offset": 0.5, "category": "Dog", "track": None, "probability": 0.25},
]
COLUMNS = ["filename", "onset", "offset", "category", "track"]
SUFFIX = {"csv": ".csv", "json": ".json"}


def rows(table: pd.DataFrame) -> list[list]:
    return sorted(table[COLUMNS].values.tolist(), key=str)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("events", [EVENTS, EVENTS[:1], []], ids=["some", "one", "none"])
def test_round_trip(tmp_path, format, events):
    path = write_events(tmp_path / f"events{SUFFIX.get(format, '')}", events, format, ["b", "silent"])
    read = read_events(path)
    assert rows(read) == sorted(([row[name] for name in COLUMNS] for row in events), key=str)
    if format not in SUFFIX:
        assert {file.stem for file in path.iterdir()} == {"b", "silent", *(row["filename"] for row in events)}
    again = write_events(tmp_path / f"again{SUFFIX.get(format, '')}", read, format, ["b"])
    assert rows(read_events(again)) == rows(read)


def test_tables_and_json_keep_further_columns(tmp_path):
    assert pd.read_csv(write_events(tmp_path / "a.csv", EVENTS, "csv"))["probability"].tolist() == [0.875, 0.5, 1.0, 0.25]
    videos = json.loads(write_events(tmp_path / "a.json", EVENTS, "json", ["silent"]).read_text())["videos"]
    assert videos[0] == {"filename": "silent", "events": []} and videos[2]["events"][0]["probability"] == 0.25


def test_an_independent_reader_of_elan(tmp_path):
    write_events(tmp_path / "a", EVENTS, "elan")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        file = pympi.Elan.Eaf(str(tmp_path / "a" / "a_0_10.eaf"))
    assert set(file.get_tier_names()) == set(TRACKS)
    assert [each[:3] for each in file.get_annotation_data_for_tier("visual")] == [(1000, 10000, "Ka$$e<b>&_50%")]


def test_elan_files_of_an_independent_writer(tmp_path):
    (tmp_path / "eafs").mkdir()
    file = pympi.Elan.Eaf()
    file.add_tier("audio")
    file.add_annotation("audio", 250, 4000, "Church bell")
    file.add_annotation("default", 0, 1000, "Dog")
    file.to_file(str(tmp_path / "eafs" / "film.eaf"))
    assert rows(read_events(tmp_path / "eafs")) == [["film", 0.0, 1.0, "Dog", None], ["film", 0.25, 4.0, "Church_bell", "audio"]]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.txt", "0,500000\t2.25\tChurch bell\n\\\t100\t200\n3\t4\taudio: Dog\n",
         [(0.5, 2.25, "Church_bell", None), (3, 4, "Dog", "audio")]),
        ("a.txt", "", []),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.500\nDog\nCat\n\n1\n01:00:00.000 --> 01:00:01.000 align:left\n<v Bob>Rain &amp; sea\n",
         [(1, 2.5, "Dog", None), (1, 2.5, "Cat", None), (3600, 3601, "Rain_&_sea", None)]),
        ("a.tsv", "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1\tDog\nb.wav\t\t\t\n", [(0.5, 1, "Dog", None)]),
        ("a.csv", 'filename,onset,offset,category,extra\na,0,1,"Rain, sea",x\n', [(0, 1, "Rain_sea", None)]),
        ("a.json", '[{"filename": "a", "onset": 1, "offset": 2, "category": "Dog", "track": "visual"}]', [(1, 2, "Dog", "visual")]),
    ],
)  # fmt: skip
def test_files_of_other_programs(tmp_path, name, content, expected):
    (tmp_path / name).write_text(content)
    assert read_events(tmp_path / name)[COLUMNS].values.tolist() == [["a", *row] for row in expected]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.txt", "0 1 Dog\n", r"a\.txt, line 1: '0 1 Dog' is no label"), ("a.txt", "0\t1\n", "line 1: .* is no label"),
        ("a.txt", "0\tx\tDog\n", "line 1"), ("a.vtt", "00:00.000 --> 00:01.000\nDog\n", "no WebVTT file"), ("a.vtt", "", "no WebVTT file"),
        ("a.eaf", "<a", "no readable ELAN file"), ("a.eaf", "", "no readable ELAN file"),
        ("a.eaf", '<A><TIER TIER_ID="audio"><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="t"/></TIER></A>', "no readable ELAN file"),
        ("a.csv", "filename,onset,category\n", "line 1: the columns are filename, onset, category"), ("a.csv", "", "the file is empty"),
        ("a.csv", "filename,onset,offset,category\na,x,1,Dog\n", "line 2: no event"), ("a.json", "{", "no events in it"),
        ("a.csv", "filename,onset,offset,category,track\na,0,1,Dog,smell\n", "line 2: no event: .* a track of audio, visual"),
        ("a.json", '{"videos": [3]}', "no events in it"), ("a.json", '[{"onset": 3}]', "line 1: no event"),
        ("a.json", "[" * 10**5, "no events in it"),
        ("a.csv", "filename,onset,offset,category\na,0,1,\n", "line 2: no event"),
    ],
)
def test_broken_files(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_events(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(["txt", "vtt", "eaf", "csv", "tsv", "json"]))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path, data, suffix):
    """Also good files with a few bytes changed."""
    whole = WHOLE[suffix]
    content = bytearray(data.draw(st.one_of(st.binary(max_size=80), st.just(whole))))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4)):
        if content:
            content[place % len(content)] = byte
    (tmp_path / f"a.{suffix}").write_bytes(bytes(content))
    try:
        read_events(tmp_path / f"a.{suffix}")
    except InputError as error:
        assert "\n" not in str(error)


WHOLE = {
    "txt": b"0\t1\tDog\n2.5\t3\taudio: Cat\n", "vtt": b"WEBVTT\n\n00:01.000 --> 00:02.500\nDog\n\n00:03.000 --> 00:04.000\nCat\n",
    "eaf": b'<A><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t" TIME_VALUE="10"/></TIME_ORDER><TIER TIER_ID="audio"><ANNOTATION>'
           b'<ALIGNABLE_ANNOTATION TIME_SLOT_REF1="t" TIME_SLOT_REF2="t"><ANNOTATION_VALUE>Dog</ANNOTATION_VALUE>'
           b'</ALIGNABLE_ANNOTATION></ANNOTATION></TIER></A>',
    "csv": b"filename,onset,offset,category,track\na,0,1,Dog,audio\nb,2,3,\"Cat, old\",\n",
    "tsv": b"filename\tonset\toffset\tevent_label\na\t0\t1\tDog\n",
    "json": b'{"videos": [{"filename": "a", "events": [{"onset": 0, "offset": 1, "category": "Dog", "track": "audio"}]}]}',
}  # fmt: skip


def test_entities_of_xml_lead_nowhere(tmp_path):
    (tmp_path / "secret").write_text("secret")
    secret = f'<!DOCTYPE a [<!ENTITY e SYSTEM "{tmp_path / "secret"}">]>'
    (tmp_path / "a.eaf").write_text(secret + '<A><TIER TIER_ID="audio">&e;</TIER></A>')
    with pytest.raises(InputError, match="no readable ELAN file"):
        read_events(tmp_path / "a.eaf")


def test_what_cannot_be_written_or_read(tmp_path):
    with pytest.raises(InputError, match="there is no format 'xml' of events: use csv, json, audacity, vtt, elan"):
        write_events(tmp_path / "a", EVENTS, "xml")
    with pytest.raises(InputError, match=r"'\.\./a' is not a plain file name"):
        write_events(tmp_path / "a", [EVENTS[0] | {"filename": "../a"}], "audacity")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no label files"):
        read_events(tmp_path / "empty")
    for suffix in ("txt", "vtt"):
        (tmp_path / "empty" / f"a.{suffix}").write_text("WEBVTT\n")
    with pytest.raises(InputError, match=r"a\.txt and a\.vtt are labels of one video"):
        read_events(tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file cannot be written"):
        write_events(tmp_path / "file", EVENTS, "vtt")
    with pytest.raises(InputError, match="there is no such file"):
        read_events(tmp_path / "nowhere.csv")


def example(**changes) -> VideoSet:
    rng = np.random.default_rng(4)
    fields: dict = dict(
        name="made up", split="val", categories=("Dog", "Ka$$e", "Sea"), ids=tuple("abcde"),
        features={"audio": rng.normal(size=(5, 6, 3)).astype(np.float32), "frames": rng.normal(size=(5, 6, 2)).astype(np.float32)},
        modalities={"audio": "audio", "frames": "visual"}, weak_labels=np.ones((5, 3), np.float32),
        reference=rng.random((5, 2, 6, 3)) > 0.6, snippet_seconds=0.3,
    )
    return VideoSet(**fields | changes)


def events_of(videos: VideoSet) -> list[dict]:
    """One event a snippet: neighbours touch and are one event again."""
    return [
        dict(filename=videos.ids[v], onset=t * 0.3, offset=(t + 1) * 0.3, category=videos.categories[c], track=TRACKS[m])
        for v, m, t, c in np.argwhere(videos.reference)
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_our_own_output_gives_the_same_rolls(tmp_path, format):
    videos = example()
    path = write_events(tmp_path / f"out{SUFFIX.get(format, '')}", events_of(videos), format)
    assert np.array_equal(rolls_of(read_events(path), videos), videos.reference)


def test_events_without_a_track_and_joint_ones_are_of_both():
    table = pd.DataFrame([dict(filename="b", onset=0.3, offset=0.9, category="Sea", track=None, line=1)])
    rolls = rolls_of(table, example())
    assert np.argwhere(rolls).tolist() == [[1, m, t, 2] for m in (0, 1) for t in (1, 2)]
    both = rolls_of(table.assign(track="audio_visual"), example())
    assert both.any() and np.array_equal(both[:, 0], both[:, 1])
    for without in (table.drop(columns="track"), table.assign(track=np.nan)):
        assert np.array_equal(rolls_of(without, example()), both)
    with pytest.raises(InputError, match="no track 'Audio'"):
        rolls_of(table.assign(track="Audio"), example())
    for change, said in (({"category": "Cat"}, "no category 'Cat', though 1 events"), ({"filename": "z"}, "no video 'z'")):
        with pytest.raises(InputError, match=said):
            rolls_of(table.assign(**change), example())


@pytest.mark.parametrize("format", ["audacity", "vtt", "elan"])
@pytest.mark.parametrize("one_folder", [False, True])
def test_label_files_take_the_place_of_lists(tmp_path, format, one_folder, monkeypatch):
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    videos = example(reference=example().reference & (np.arange(5) < 4)[:, None, None, None])
    folder = videos.to_folder(tmp_path / "set")
    lists, events = folder / "annotations", events_of(videos)
    whole = load_folder(folder, "val")
    for name in ("val", "eval_audio", "eval_visual"):
        (lists / f"{name}.csv").unlink()
    write_events(lists / "val", [dict(event, track=None) for event in events], format, videos.filenames)
    if one_folder:
        write_events(lists / "eval", events, format)
    else:
        for track in ("audio", "visual"):
            write_events(lists / f"eval_{track}", [dict(e, track=None) for e in events if e["track"] == track], format)
    read = load(folder, "val")
    assert np.array_equal(read.reference, whole.reference) and read.ids == whole.ids
    assert np.array_equal(read.weak_labels, whole.reference.any((1, 2)))
    assert [n.kind for n in read.notices if n.kind == "no_label"] == ["no_label"]


def test_broken_label_files_in_place_of_lists(tmp_path):
    folder = example().to_folder(tmp_path / "set")
    (folder / "annotations" / "val.csv").unlink()
    write_events(folder / "annotations" / "val", events_of(example()), "audacity")
    (folder / "annotations" / "val" / "a.txt").write_text("0\t1\tCat\n")
    with pytest.raises(InputError, match=r"val, line 1: category 'Cat' of a is unknown"):
        read_annotations(folder, "val")


def test_a_table_of_dcase_in_place_of_a_list(tmp_path):
    folder = example().to_folder(tmp_path / "set")
    path = folder / "annotations" / "eval_audio.csv"
    rows_ = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    lines = ["filename\tonset\toffset\tevent_label", "z.wav\t\t\t", *(f"{f}.wav\t{a}\t{b}\t{c}" for f, a, b, c in rows_)]
    before = load_folder(folder, "val").reference
    path.unlink()
    path.with_suffix(".tsv").write_text("\n".join(lines) + "\n")
    assert np.array_equal(load_folder(folder, "val").reference, before)
