"""Of a folder with every kind of odd and broken file: what becomes of each, as docs/odd_files.md says it, and the data set."""

import json
import os

import odd_files
import pytest

from cmpae_toolkit import data
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.extract import extract, labels
from cmpae_toolkit.extract.run import find_films


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """The folder, what is odd about its files, and the report of extracting it."""
    folder, out = tmp_path_factory.mktemp("odd"), tmp_path_factory.mktemp("out") / "set"
    return folder, odd_files.make_folder(folder), odd_files.extracted(folder, out)


def test_the_page_says_what_becomes_of_each(odd):
    folder, about, report = odd
    assert len(about) >= 40
    made = odd_files.page(about, report.films, folder).splitlines()
    written = odd_files.PAGE.read_text(encoding="utf-8").splitlines()
    assert made == written, "write it anew: python tests/extract/odd_files.py > docs/odd_files.md"


def test_nothing_is_left_out_but_what_is_broken(odd):
    folder, about, report = odd
    assert {os.path.relpath(film["path"], folder) for film in report.films} == set(about)
    failed = {os.path.relpath(path, folder) for path in report.failed}
    assert failed == {*odd_files.BROKEN, "link.mp4", "pipe.mp4"}
    ids = [film["id"] for film in report.films]
    assert len({name.casefold() for name in ids}) == len(ids) and {"folder.mp4__inside", "caf\u00e9", "twin_mkv"} <= set(ids)
    assert max(len(name.encode()) for name in ids) <= labels.LONGEST


def test_the_folder_is_a_data_set(odd):
    report = odd[2]
    videos = data.load(report.folder, None)
    assert len(videos) == report.videos and videos.snippet_seconds == 0.5 and videos.snippets == 4
    where = {name: i for i, name in enumerate(videos.ids)}
    assert videos.present[where["silent"]].tolist() == [False, True]
    assert videos.present[where["song"]].tolist() == videos.present[where["cover"]].tolist() == [True, False]
    told = json.loads((report.folder / "extraction.json").read_text())
    assert told["networks"]["name"] == "handmade" and told["versions"]["av"] and len(told["films"]) == len(report.films)


def test_a_folder_of_broken_files_only(odd, tmp_path):
    with pytest.raises(InputError, match="none of the 1 files could be read"):
        extract(odd[0] / "empty.mp4", tmp_path / "a", networks="handmade", progress=False)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match="no film and no sound"):
        extract(tmp_path / "nothing", tmp_path / "b", networks="handmade", progress=False)
    with pytest.raises(InputError, match="there is no file"):
        extract(tmp_path / "gone", tmp_path / "c", networks="handmade", progress=False)


def test_a_folder_that_may_not_be_read_is_named(odd, tmp_path, monkeypatch):
    """Whoever runs the tests may read all, so that the system's answer is played."""
    (tmp_path / "in" / "closed").mkdir(parents=True)
    (tmp_path / "in" / "a.mp4").write_bytes((odd[0] / "plain.mp4").read_bytes())
    for name in ("scandir", "listdir"):
        monkeypatch.setattr(os, name, refusing(getattr(os, name)))
    report = odd_files.extracted(tmp_path / "in", tmp_path / "out")
    assert [*report.failed.values()] == ["closed: this cannot be read (Permission denied)."] and report.videos == 1


def refusing(call):
    def refuses(path="."):
        if os.path.basename(os.fspath(path)) == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return call(path)

    return refuses


def test_a_name_is_never_an_address(odd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a.mp4", "http:b.mp4"):
        (tmp_path / name).write_bytes((odd[0] / "plain.mp4").read_bytes())
        assert odd_files.extracted(name, tmp_path / f"of_{name[0]}").videos == 1


def test_labels_find_films_whatever_they_are_called(odd, tmp_path):
    folder = odd[0]
    names = ["a film, with: spaces & #signs.mp4", "see_through.mov", "animation.gif", "cafe\u0301.mp4", "folder.mp4/inside.mp4"]
    rows = "".join(f'"{name}",Dog\n' for name in names)
    (tmp_path / "labels.csv").write_text(f"filename,labels\n{rows}see_through.mov,Cat\n", encoding="utf-8")
    found = labels.read(tmp_path / "labels.csv").weak
    assert set(found) <= set(find_films(folder)) and len(found) == 5 and found["see_through"] == ["Dog", "Cat"]
    (tmp_path / "labels.csv").write_text("filename,labels\ntwin.mp4,Dog\ntwin.mkv,Cat\n", encoding="utf-8")
    with pytest.raises(InputError, match="mean one film"):
        labels.read(tmp_path / "labels.csv")
