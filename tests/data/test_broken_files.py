"""Hundreds of broken lists, arrays, .h5 and JSON files and archives: each is refused in one sentence, warned of, or read.

`CASES` are made from good files by rules, the same in every run; hypothesis makes more. Nothing but InputError may come out,
and no pickle is ever loaded: the pickles here would make a file.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shutil
import struct
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from ave_folder import write_ave
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmpae_toolkit import data
from cmpae_toolkit.data import doctor, lists, load, load_folder, open_store, pack
from cmpae_toolkit.data.downloads import unpack
from cmpae_toolkit.errors import InputError, InputWarning

MARKER = Path(os.environ["CMPAE_HOME"]) / "a_pickle_was_loaded"
SHAPES = {"audio": (4, 3), "frames": (8, 5)}


class Evil:
    """Its pickle makes the marker file when it is loaded."""

    def __reduce__(self):
        return (open, (str(MARKER), "w"))


EVIL = pickle.dumps(Evil())


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: str, payload: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An .npy file with any header."""
    text = text + " " * (63 - (10 + len(text)) % 64) + "\n"
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text.encode("latin-1") + payload


def h5_bytes(key: str, values, **options) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5.create_dataset(key, data=values, **options)
    return file.getvalue()


DESCRIPTION = {"name": "birds", "simulated": False, "snippet_seconds": 1.0, "streams": {"frames": {"modality": "visual"}}}


def write_own(root: Path) -> Path:
    """Two val videos in the toolkit's own format."""
    (root / "annotations").mkdir(parents=True)
    (root / "categories.txt").write_text("Owl\nTit\n")
    (root / "dataset.json").write_text(json.dumps(DESCRIPTION))
    (root / "annotations" / "val.csv").write_text("filename\tevent_labels\nv1_0_4\tOwl,Tit\nv2_0_4\tTit\n")
    (root / "annotations" / "eval_audio.csv").write_text("filename\tonset\toffset\tevent_labels\nv1_0_4\t0\t2\tOwl\n")
    (root / "annotations" / "eval_visual.csv").write_text("filename\tonset\toffset\tevent_labels\nv2_0_4\t1\t4\tTit\n")
    for number, video in enumerate(("v1", "v2")):
        for stream, shape in SHAPES.items():
            (root / "feats" / stream).mkdir(parents=True, exist_ok=True)
            np.save(root / "feats" / stream / f"{video}.npy", np.random.default_rng(number).normal(size=shape).astype(np.float32))
    return root


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good folder of each kind; every test restores what it breaks."""
    root = tmp_path_factory.mktemp("good")
    own, old = write_own(root / "own"), write_own(root / "old")
    (old / "dataset.json").unlink()
    (old / "streams.json").write_text('{"audio": "audio", "frames": "visual"}\n')  # as an older version described a folder
    (old / "about.json").write_text('{"name": "birds", "simulated": false}\n')
    store = pack(own, "val", root / "store", progress=False)
    return {"own": own, "old": old, "ave": write_ave(root / "ave"), "store": store}


READ: dict[str, Callable[[Path], object]] = {
    "own": lambda folder: load_folder(folder, "val"),
    "old": lambda folder: load_folder(folder, "val"),
    "ave": lambda folder: load(folder, "val"),
    "store": open_store,
}


def cuts(content: bytes, count: int) -> list[tuple[str, bytes]]:
    places = sorted({int(len(content) * i / count) for i in range(count)} | {len(content) - 1})
    return [(f"cut at {place}", content[:place]) for place in places]


def flips(content: bytes, count: int, seed: int) -> list[tuple[str, bytes]]:
    rng = np.random.default_rng(seed)
    changed = []
    for number in range(count):
        copy = bytearray(content)
        for place in rng.integers(0, len(copy), 1 + number % 3):
            copy[place] = rng.integers(256)
        changed.append((f"flip {number}", bytes(copy)))
    return changed


ODD_FIELDS = {
    "climbing": "../../etc/passwd", "absolute": "/etc/passwd", "backslash": "..\\v1", "drive": "C:v1", "hidden": ".v1", "nul": "v\0",
    "tab in a name": "v1\t", "long": "v" * 100_000, "quoted": '"v1_0_4"', "spaces": "  v1_0_4  ", "empty": "", "dots": "..",
    "wide space": "v1\u2003x", "line separator": "v1\u2028x", "vertical tab": "v1\x0bx", "right to left": "v1\u202e4", "emoji": "🐦",
}
ODD_TIMES = ["nan", "inf", "-inf", "1e999", "-3", "1e18", "99", "1_0", "٣", "0x10", "", "1,5", "2.5", "-0", "9" * 5000, "None"]


def broken_text(content: bytes, first: str) -> list[tuple[str, bytes]]:
    """A list in other encodings, with other line ends and with odd bytes; `first` is a text in it that odd fields replace."""
    text = content.decode()
    made = {
        "windows": text.replace("\n", "\r\n").encode(), "macintosh": text.replace("\n", "\r").encode(), "mark": b"\xef\xbb\xbf" + content,
        "utf-16": text.encode("utf-16"), "utf-32": text.encode("utf-32"), "latin-1": text.replace(first, "Fußball").encode("latin-1"),
        "nul bytes": content.replace(b"\n", b"\0\n"), "only nul": b"\0" * 100, "only spaces": b"  \n\t\n", "no end": content.rstrip(),
        "blank lines": content.replace(b"\n", b"\n\n\n"), "twice": content + content, "padded": content.replace(b"\t", b" \t "),
        "form feed": content.replace(b"\n", b"\f\n"), "no header": content.split(b"\n", 1)[1], "only header": content.split(b"\n")[0],
        "random": bytes(np.random.default_rng(0).integers(0, 256, 500, np.uint8)), "pickle": EVIL, "archive": feats_like_zip(),
    }
    return [*made.items(), *((f"field {name}", text.replace(first, odd, 1).encode()) for name, odd in ODD_FIELDS.items())]


def feats_like_zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", npy(np.zeros((4, 3))))
    return file.getvalue()


def broken_npy() -> list[tuple[str, bytes]]:
    shape = (4, 3)
    plain = npy(np.ones(shape, np.float32))
    arrays = {
        "objects": np.array([[Evil()] * 3] * 4, object), "one object": np.array(Evil(), object), "words": np.full(shape, "x"),
        "bytes": np.full(shape, b"x"), "complex": np.ones(shape, complex), "bool": np.ones(shape, bool), "dates": np.zeros(shape, "M8[s]"),
        "records": np.zeros(shape, [("a", "f4")]), "records of objects": np.array([[(Evil(),)] * 3] * 4, [("a", object)]),
        "void": np.zeros(shape, "V8"), "big-endian": np.ones(shape, ">f4"), "fortran": np.asfortranarray(np.ones(shape, np.float32)),
        "int8": np.ones(shape, np.int8), "uint64": np.full(shape, 2**64 - 1, np.uint64), "float64": np.ones(shape),
        "nan": np.full(shape, np.nan), "inf": np.full(shape, np.inf, np.float16), "huge values": np.full(shape, 1e300),
        "scalar": np.float32(1), "no rows": np.ones((0, 3), np.float32), "no width": np.ones((4, 0), np.float32), "flat": np.ones(12),
        "other width": np.ones((4, 7)), "other length": np.ones((5, 3)), "deep": np.ones((1,) * 30 + (4, 3), np.int8),
    }
    headers = {
        "huge": "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000, 3), }",
        "huge product": "{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4), }",
        "negative": "{'descr': '<f4', 'fortran_order': False, 'shape': (-4, 3), }",
        "float shape": "{'descr': '<f4', 'fortran_order': False, 'shape': (4.0, 3), }",
        "no tuple": "{'descr': '<f4', 'fortran_order': False, 'shape': 12, }",
        "code": "__import__('os').system('true')",
        "call": "{'descr': open('x', 'w'), 'fortran_order': False, 'shape': (4, 3), }",
        "object": "{'descr': '|O', 'fortran_order': False, 'shape': (4, 3), }",
        "no type": "{'descr': 'nothing', 'fortran_order': False, 'shape': (4, 3), }",
        "key more": "{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), 'more': 1}",
        "no keys": "{}", "open": "{'descr': '<f4', ", "deep": "(" * 400 + ")" * 400, "long": "{" + " " * 60_000 + "}", "nul": "{'descr'\0}",
    }
    made = [(name, npy(array)) for name, array in arrays.items()]
    payload = np.ones(shape, np.float32).tobytes()
    made += [(f"header {name}", header(text, EVIL if name == "object" else payload)) for name, text in headers.items()]
    made += [("pickle", EVIL), ("archive", feats_like_zip()), ("version 9", header(headers["huge"], payload, (9, 9)))]
    made += [("long header", header(headers["huge"], payload, (2, 0))), ("trailing bytes", plain + b"more"), ("text", b"1 2 3\n")]
    return [*made, *cuts(plain, 20), *flips(plain, 40, 1)]


def broken_json(content: bytes, samples: list[str]) -> list[tuple[str, bytes]]:
    texts = [
        "", "null", "[]", "{}", "3", '"text"', "NaN", "[" * 100_000, '{"a":' * 50_000, "1" * 6000, "true", '{"name": ' + "9" * 6000 + "}",
        '{"audio": null}', '{"audio": ["visual"]}', '{"../../x": "audio"}', '{"audio": "visual", "audio": "audio"}', "{'a': 1}", *samples,
    ]
    made = [(text[:40], text.encode()) for text in texts]
    made += [("not UTF-8", content.replace(b"a", b"\xff")), ("utf-16", content.decode().encode("utf-16")), ("nul", content + b"\0")]
    return [*made, ("pickle", EVIL), ("mark", b"\xef\xbb\xbf" + content), *cuts(content, 8), *flips(content, 12, 2)]


ORDER = [5, 1]
BROKEN_H5 = {
    "audio_feature.h5": [
        ("key", h5_bytes("features", np.ones((9, 10, 4)))), ("float16", h5_bytes("avadataset", np.ones((9, 10, 4), np.float16))),
        ("bool", h5_bytes("avadataset", np.ones((9, 10, 4), bool))), ("texts", h5_bytes("avadataset", ["a"] * 9)),
        ("gzip", h5_bytes("avadataset", np.ones((9, 10, 4)), compression="gzip")),
        ("nan", h5_bytes("avadataset", np.full((9, 10, 4), np.nan))),
        ("huge values", h5_bytes("avadataset", np.full((9, 10, 4), 1e300))), ("pickle", EVIL), ("page", b"<html></html>"),
        ("pickle inside", h5_bytes("avadataset", np.void(EVIL))), ("rows", h5_bytes("avadataset", np.ones((8, 10, 4)))),
    ],
    "val_order.h5": [
        (f"order {values}"[:40], h5_bytes("order", np.array(values)))
        for values in ([], [1, 1], [-1], [9], [2**62], [1.5], [True], [[1]], 3, [7], [b"x"], list(range(500)), [5, 1])
    ],
    "mil_labels.h5": [
        (f"labels {name}", h5_bytes("avadataset", values))
        for name, values in {"zero": np.zeros((9, 29)), "all": np.ones((9, 29)), "nan": np.full((9, 29), np.nan)}.items()
    ],
}


def corpus(good) -> list[tuple[str, str, str, bytes]]:
    """(kind of folder, file, what was done, content)."""
    own, cases = good["own"], []
    for name, first in (("annotations/val.csv", "v1_0_4"), ("annotations/eval_audio.csv", "v1_0_4"), ("categories.txt", "Owl")):
        content = (own / name).read_bytes()
        cases += [("own", name, *case) for case in (*broken_text(content, first), *cuts(content, 10), *flips(content, 20, 3))]
    dense = (own / "annotations/eval_audio.csv").read_text()
    cases += [("own", "annotations/eval_audio.csv", f"time {t[:9]!r}", dense.replace("\t0\t", f"\t{t}\t").encode()) for t in ODD_TIMES]
    cases += [("own", f"feats/audio/{video}.npy", *case) for video in ("v1", "v2") for case in broken_npy()]
    wrong = [json.dumps(DESCRIPTION | {key: value}) for key in DESCRIPTION for value in (None, 3, -1, "x", [], {}, [None], 1e999, 10**400)]
    cases += [("own", "dataset.json", *case) for case in broken_json((own / "dataset.json").read_bytes(), wrong)]
    for name in ("streams.json", "about.json"):
        cases += [("old", name, *case) for case in broken_json((good["old"] / name).read_bytes(), [])]
    rows = (good["ave"] / "Annotations.txt").read_bytes()
    cases += [("ave", "Annotations.txt", *case) for case in (*broken_text(rows, "aaaaaaaaaa1"), *cuts(rows, 15), *flips(rows, 30, 4))]
    cases += [("ave", "Annotations.txt", f"time {t[:9]!r}", rows.replace(b"&2&5", f"&{t}&5".encode())) for t in ODD_TIMES]
    for name, made in BROKEN_H5.items():
        content = (good["ave"] / name).read_bytes()
        cases += [("ave", name, *case) for case in (*made, *cuts(content, 12), *flips(content, 30, 5))]
    about = json.loads((good["store"] / "store.json").read_bytes())
    wrong = [json.dumps(about | {key: value}) for key in about for value in (None, 3, "x", [], {}, [None])]
    less = [json.dumps({k: v for k, v in about.items() if k != key}) for key in about]
    tricks = [json.dumps(about | {"modalities": {"../../own/feats/audio/v1": "audio", "frames": "visual"}})]
    cases += [("store", "store.json", *case) for case in broken_json((good["store"] / "store.json").read_bytes(), wrong + less + tricks)]
    cases += [("store", name, *case) for name in ("audio.npy", "weak_labels.npy", "reference.npy") for case in broken_npy()]
    return cases


def outcome(action: Callable[[], object]) -> str:
    """`read`, `told` (with a warning or a notice) or `refused`; whatever else comes is an error of the test."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = action()
        except InputError as error:
            assert str(error).strip() and "\n" not in str(error)
            return "refused"
    assert all(issubclass(warning.category, InputWarning) for warning in caught), [str(warning.message) for warning in caught]
    return "told" if caught or getattr(result, "notices", ()) else "read"


def broken(folder: Path, file: str, content: bytes, read: Callable[[Path], object]) -> str:
    """The outcome of reading a folder with one file replaced, which is then put back."""
    path = folder / file
    whole = path.read_bytes()
    try:
        path.write_bytes(content)
        return outcome(lambda: read(folder))
    finally:
        path.write_bytes(whole)


def test_every_broken_file_is_refused_told_or_read(good):
    cases = corpus(good)
    escaped, found = [], Counter()
    for kind, file, what, content in cases:
        try:
            found[kind, Path(file).suffix, broken(good[kind], file, content, READ[kind])] += 1
        except Exception as error:
            escaped.append(f"{kind} {file}, {what}: {error!r}"[:300])
    assert not escaped, "\n".join(escaped[:40]) + f"\n{len(escaped)} in all"
    assert len(cases) >= 200 and not MARKER.exists()
    for kind, suffix in (("own", ".csv"), ("own", ".npy"), ("own", ".json"), ("ave", ".txt"), ("ave", ".h5"), ("store", ".json")):
        assert found[kind, suffix, "refused"] > 10 and sum(found[kind, suffix, how] for how in ("told", "read")) > 0, found


def test_the_doctor_survives_the_same_files(good):
    for kind, file, what, content in corpus(good)[::7]:
        path = good[kind] / file
        whole = path.read_bytes()
        try:
            path.write_bytes(content)
            report = doctor.examine(good[kind])
            assert isinstance(json.dumps(report), str), (kind, file, what)
        finally:
            path.write_bytes(whole)
    assert not MARKER.exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs links and pipes")
@pytest.mark.parametrize("how", ["to nothing", "to itself", "pipe", "folder"])
def test_what_only_looks_like_a_feature_file_is_missing(tmp_path, how):
    """Broken links are what a moved data disk leaves; a pipe would be waited for."""
    folder = write_own(tmp_path / "own")
    for video in ("v2", "v9"):  # a listed video and one that nobody asks for
        path = folder / "feats" / "audio" / f"{video}.npy"
        path.unlink(missing_ok=True)
        make = {"to nothing": lambda p: p.symlink_to(p.with_name("gone")), "to itself": lambda p: p.symlink_to(p),
                "pipe": os.mkfifo, "folder": Path.mkdir}[how]
        make(path)
    for read in (load, lambda *at: pack(*at, progress=False)):
        with pytest.raises(InputError, match=r"1 of 2 videos have no features, the first v2_0_4"):
            read(folder, "val")
    assert doctor.examine(folder)["splits"]["val"]["missing"]["count"] == 1
    with pytest.warns(InputWarning, match="1 of 2"):
        assert load(folder, "val", missing="skip").ids == ("v1",)


def test_a_file_too_large_for_one_video_is_refused_before_it_is_read(tmp_path):
    folder = write_own(tmp_path / "own")
    path = folder / "feats" / "audio" / "v1.npy"
    path.write_bytes(header("{'descr': '<f4', 'fortran_order': False, 'shape': (4, 2147483648), }"))
    os.truncate(path, path.stat().st_size + 4 * 4 * 2**31)  # a hole of 34 GB: as large as its header says
    for read in (load_folder, lambda *at: pack(*at, progress=False)):
        with pytest.raises(InputError, match=r"v1\.npy \(v1_0_4, line 2 of val\.csv\) claims 8,589,934,592 values, too many for one video"):
            read(folder, "val")


MISFITS = {
    "frames.npy": [np.ones((2, 7, 5), np.float16), np.ones((2, 8, 5), np.float32), np.ones((3, 8, 5), np.float16)],
    "reference.npy": [np.ones((2, 3, 4, 2), bool), np.ones((2, 2, 9, 2), bool), np.ones((2, 2, 4, 1), bool)],
    "weak_labels.npy": [np.full((2, 2), np.nan), np.full((2, 2), 0.5), np.full((2, 2), -1.0)],
}


@pytest.mark.parametrize(("name", "number"), [(name, number) for name, arrays in MISFITS.items() for number in range(len(arrays))])
def test_parts_of_a_store_that_do_not_fit_are_refused(tmp_path, name, number):
    store = pack(write_own(tmp_path / "own"), "val", tmp_path / "store", progress=False)
    np.save(store / name, MISFITS[name][number])
    with pytest.raises(InputError, match=rf"{re.escape(name)}: .* does not fit: remove .* and pack again"):
        open_store(store)
    assert not doctor.examine(store)["usable"]


@pytest.mark.parametrize("change", [
    {"modalities": {"audio": "audio", "frames": "smell"}}, {"categories": ["Owl", "Owl"]}, {"ids": ["v1", "v1"]},
    {"filenames": ["v1_0_4", "v1_0_4"]}, {"sha256": {}}, {"arrays": ["ids"]}, {"snippet_seconds": 1}, {"format": 1},
])
def test_descriptions_of_a_store_that_cannot_be_true(tmp_path, change):
    store = pack(write_own(tmp_path / "own"), "val", tmp_path / "store", progress=False)
    about = json.loads((store / "store.json").read_bytes())
    (store / "store.json").write_text(json.dumps(about | change))
    with pytest.raises(InputError, match="no finished packed store of this version"):
        open_store(store)


def test_a_name_that_would_move_the_cursor(tmp_path):
    folder = write_own(tmp_path / "own")
    (folder / "dataset.json").write_text(json.dumps({"name": "bi\x1b[31mrds\n", "simulated": False}))
    assert load_folder(folder, "val").name == "bi[31mrds"


def test_the_pickles_would_have_made_the_file():
    """Else the tests above would prove nothing."""
    pickle.loads(EVIL).close()
    assert MARKER.exists()
    MARKER.unlink()


def test_files_named_to_lead_elsewhere(tmp_path):
    folder = write_own(tmp_path / "own")
    for name in ("..%2f..%2fetc.npy", "-rf.npy", "v1\n.npy", "$(true).npy", " .npy", "\udce4.npy"):
        shutil.copy(folder / "feats" / "audio" / "v1.npy", folder / "feats" / "audio" / name)
    assert load_folder(folder, "val").ids == ("v1", "v2")
    assert outcome(lambda: load_folder(folder, None)) == "told"  # of names that only one stream has
    (folder / "feats" / "audio" / "v1.npy").unlink()
    (folder / "feats" / "audio" / "v1.npy").mkdir()
    assert outcome(lambda: load_folder(folder, "val")) == "refused"


MEMBERS = ["/abs", "../up", "a/../../up", "C:\\x", "a\\b", "a:b", "..", "./../x", "a\tb", "a\x7fb", "x" * 5000, "a/" * 3000 + "b"]


@pytest.mark.parametrize("name", MEMBERS, ids=range(len(MEMBERS)))
def test_archive_members_named_to_lead_elsewhere(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    assert outcome(lambda: unpack(tmp_path / "a.zip", tmp_path / "deep" / "out")) in ("refused", "read")
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "a.zip"]
    assert all(path.resolve().is_relative_to(tmp_path / "deep" / "out") for path in written)


def test_broken_archives(tmp_path):
    whole = feats_like_zip()
    for number, (_, content) in enumerate((*cuts(whole, 20), *flips(whole, 60, 6))):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(content)
        assert outcome(lambda path=path: unpack(path, tmp_path / path.stem)) in ("refused", "read")


STEADY = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@STEADY
@given(content=st.one_of(st.binary(max_size=300), st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_bytes_in_any_place(good, content):
    for kind, file in (
        ("own", "annotations/val.csv"), ("own", "annotations/eval_visual.csv"), ("own", "feats/audio/v1.npy"), ("own", "dataset.json"),
        ("old", "streams.json"),
        ("own", "categories.txt"), ("ave", "Annotations.txt"), ("ave", "val_order.h5"), ("store", "store.json"), ("store", "audio.npy"),
    ):
        broken(good[kind], file, content, READ[kind])


FIELD = st.one_of(st.sampled_from(["v1_0_4", "Owl", "Tit", "0", "2", "4.0", *ODD_FIELDS.values(), *ODD_TIMES]), st.text(max_size=8))


@STEADY
@given(rows=st.lists(st.lists(FIELD, min_size=1, max_size=5), max_size=6), separator=st.sampled_from("\t&,"))
def test_any_rows_below_a_right_header(good, rows, separator):
    below = "\n".join(separator.join(row) for row in rows).encode("utf-8", "surrogatepass")
    weak, dense = ("\t".join(columns).encode() + b"\n" + below for columns in (lists.WEAK_COLUMNS, lists.DENSE_COLUMNS))
    broken(good["own"], "annotations/val.csv", weak, READ["own"])
    broken(good["own"], "annotations/eval_audio.csv", dense, READ["own"])
    broken(good["ave"], "Annotations.txt", below, READ["ave"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["audio", "visual", "frames", "val", "../x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["audio", "frames", "name", "x"]), inner, max_size=3),
    max_leaves=8,
)


@STEADY
@given(value=JSON, key=st.sampled_from(["modalities", "ids", "filenames", "categories", "notices", "split", "weak_labels", "name"]))
def test_any_json(good, value, key):
    about = json.loads((good["store"] / "store.json").read_bytes())
    for file in ("streams.json", "about.json"):
        broken(good["old"], file, json.dumps(value).encode(), READ["old"])
    for changed in (value, {"streams": value}, {"streams": {"frames": value}}, {"snippet_seconds": value}, {"name": value}):
        broken(good["own"], "dataset.json", json.dumps(changed).encode(), READ["own"])
    broken(good["store"], "store.json", json.dumps(about | {key: value}).encode(), READ["store"])


def test_what_was_put_back_is_good(good):
    assert len(data.load_folder(good["own"], "val")) == len(open_store(good["store"])) == len(data.load(good["ave"], "val")) == 2
