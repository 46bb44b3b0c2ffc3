"""Downloads from a server on this machine: right, tampered, cut, interrupted; archives that mean harm; a full disk."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import stat
import sys
import tarfile
import threading
import types
import zipfile
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import h5py
import numpy as np
import pytest

from cmpae_toolkit import cli, data
from cmpae_toolkit.data import download
from cmpae_toolkit.data import downloads as module
from cmpae_toolkit.data.downloads import unpack
from cmpae_toolkit.errors import InputError

GOOGLE_IS_BUSY = b"<!DOCTYPE html><html>Too many users have viewed or downloaded this file recently.</html>"


class Handler(BaseHTTPRequestHandler):
    """Serves `server.files`, with ranges; `server.breaks[path]` cuts the next answer of a path after so many bytes."""

    def do_GET(self):
        content = self.server.files.get(self.path)
        start = int(re.match(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))[1])
        self.server.asked.append((self.path, start))
        if content is None:
            self.send_error(404)
            return
        part = content[start:]
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        cut = self.server.breaks.pop(self.path, None)
        self.wfile.write(part if cut is None else part[:cut])
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.breaks, running.asked = {}, {}, []
        running.url = f"http://127.0.0.1:{running.server_port}/"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def hdf5(size: int = 10) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as h5:
        h5["avadataset"] = np.arange(size, dtype=np.float64)
    return file.getvalue()


def feats_zip(prefix: str = "feats/", extra=()) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for stream in ("vggish", "res152", "r2plus1d_18"):
            array = io.BytesIO()
            np.save(array, np.ones((10, 3), np.float32))
            archive.writestr(f"{prefix}{stream}/abcdefghijk.npy", array.getvalue())
        for name, content in extra:
            archive.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def place(server, monkeypatch, tmp_path):
    """The registry's names with made-up contents and their checksums, all on the server; home is a folder of the test."""
    monkeypatch.setenv("CMPAE_HOME", str(tmp_path / "home"))
    made = json.loads(json.dumps(module.registry()))
    for about in made.values():
        for entry in about["lists"] + about.get("background_lists", []):
            content = hdf5() if entry["name"].endswith(".h5") else f"the content of {entry['name']}\n".encode() * 50
            server.files[f"/{about['repository']}/{entry['path']}"] = content
            entry["sha256"] = entry["sha256"] and hashlib.sha256(content).hexdigest()
        for entry in about["features"] + about.get("background_features", []):
            server.files[f"/{entry['id']}"] = hdf5(500_000) if entry["name"].endswith(".h5") else feats_zip()
            entry["bytes"] = 1000
    monkeypatch.setattr(module, "registry", lambda: made)
    return made


def get(server, name, **options):
    return download(name, lists_url=server.url, features_url=server.url, progress=False, **options)


def entry_path(made, name, number=0):
    return f"/{made[name]['repository']}/{made[name]['lists'][number]['path']}"


class Gdown(types.ModuleType):
    """Stands in for gdown: the same call, without resuming."""

    def __init__(self, server):
        super().__init__("gdown")
        self.server = server

    def download(self, url, output, quiet, resume, use_cookies):
        with open(output, "wb") as file:
            file.write(self.server.files["/" + url.removeprefix(self.server.url)])
        return output


@pytest.fixture
def gdown(server, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", Gdown(server))


def test_llp_arrives_where_load_looks(server, place, gdown, tmp_path):
    folder = get(server, "llp")
    assert folder == tmp_path / "home" / "llp" == data.find_data("llp")
    assert {path.name for path in (folder / "annotations").iterdir()} == {entry["name"] for entry in place["llp"]["lists"]}
    assert {path.name for path in (folder / "feats").iterdir()} == {"vggish", "res152", "r2plus1d_18"}
    assert not list(folder.glob(".*"))
    asked = len(server.asked)
    get(server, "llp")
    assert len(server.asked) == asked  # all there and right: nothing is fetched again


def test_ave_arrives(server, place, gdown):
    folder = get(server, "ave", background=True)
    names = {"audio_feature.h5", "visual_feature.h5", "visual_feature_noisy.h5"}
    assert names <= {path.name for path in folder.iterdir()} and (folder / "annotations" / "labels_noisy.h5").is_file()
    assert h5py.is_hdf5(folder / "visual_feature.h5")


def test_lists_only(server, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    assert not (get(server, "llp", features=False) / "feats").exists()


def test_a_tampered_list_is_refused_and_not_kept(server, place):
    server.files[entry_path(place, "llp")] += b"one row more\n"
    said = r"AVVP_train\.csv could not be downloaded \(its content is not the published one.*open http.*save the file as"
    with pytest.raises(InputError, match=said):
        get(server, "llp", features=False)
    assert not [path for path in (data.home() / "llp" / "annotations").iterdir()]


def test_a_cut_list_is_refused_and_fetched_whole_the_next_time(server, place):
    server.breaks[entry_path(place, "llp")] = 40
    with pytest.raises(InputError, match=r"AVVP_train\.csv could not be downloaded"):
        get(server, "llp", features=False)
    folder = get(server, "llp", features=False)
    assert len(list((folder / "annotations").iterdir())) == 6


def test_a_list_of_ones_own_is_not_overwritten(server, place):
    path = data.home() / "llp" / "annotations" / "AVVP_train.csv"
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(InputError, match=r"this is not the published file \(its checksum differs\): move it away"):
        get(server, "llp", features=False)
    assert path.read_text() == "mine"


def test_a_missing_page_and_a_dead_server(server, place):
    del server.files[entry_path(place, "ave")]
    with pytest.raises(InputError, match=r"Annotations\.txt could not be downloaded \(404"):
        get(server, "ave", features=False)
    with pytest.raises(InputError, match=r"Annotations\.txt could not be downloaded"):
        download("ave", features=False, lists_url="http://127.0.0.1:9/", progress=False)


def test_no_hdf5_among_unchecked_files(server, place):
    server.files[f"/{place['ave']['repository']}/{place['ave']['background_lists'][0]['path']}"] = GOOGLE_IS_BUSY
    with pytest.raises(InputError, match="no HDF5 file came"):
        get(server, "ave", features=False, background=True)
    assert not (data.home() / "ave" / "annotations" / "audio_feature_noisy.h5").exists()


def test_steps_are_refused_as_downloads_are():
    with pytest.raises(InputError, match="no background videos"):
        module.manual_steps("llp", background=True)
    with pytest.raises(InputError, match="AVEP is made of the two"):
        module.manual_steps("avep")


def test_without_gdown_the_steps_by_hand_are_told(server, place, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(InputError) as caught:
        get(server, "llp")
    said = str(caught.value)
    assert "gdown is not installed" in said and "\n" not in said
    assert f"drive.google.com/file/d/{place['llp']['features'][0]['id']}/view" in said
    assert str(tmp_path / "home" / "llp" / "feats.zip") in said


def test_a_file_saved_by_hand_is_unpacked(server, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "gdown", None)
    (data.home() / "llp").mkdir(parents=True)
    (data.home() / "llp" / "whatever it was called.zip").write_bytes(feats_zip("a/b/"))
    assert (get(server, "llp") / "feats" / "res152" / "abcdefghijk.npy").is_file()


def test_when_google_refuses(server, place, gdown):
    server.files[f"/{place['llp']['features'][0]['id']}"] = GOOGLE_IS_BUSY
    with pytest.raises(InputError, match=r"a web page came, as Google sends when it refuses.*in a browser, save the file as"):
        get(server, "llp")
    assert not (data.home() / "llp" / "feats.zip").exists()
    server.files[f"/{place['ave']['features'][1]['id']}"] = b"\0" * 100
    with pytest.raises(InputError, match=r"visual_feature\.h5 could not be downloaded \(something else came"):
        get(server, "ave")


def test_gdown_goes_on_where_it_stopped(server, place):
    pytest.importorskip("gdown")
    path = f"/{place['ave']['features'][1]['id']}"
    server.breaks[path] = 1_200_000
    with pytest.raises(InputError, match=r"visual_feature\.h5 could not be downloaded"):
        get(server, "ave")
    folder = get(server, "ave")
    starts = [start for asked, start in server.asked if asked == path]
    assert max(starts) > 10**6, starts  # the second time from the middle
    assert (folder / "visual_feature.h5").read_bytes() == server.files[path] and not list(folder.glob("*.part"))


def test_real_gdown_and_an_error_page(server, place):
    pytest.importorskip("gdown")
    del server.files[f"/{place['llp']['features'][0]['id']}"]
    with pytest.raises(InputError, match=r"feats\.zip could not be downloaded \(404"):
        get(server, "llp")


def test_a_cut_archive_is_refused_and_leaves_nothing(server, place, gdown):
    path = f"/{place['llp']['features'][0]['id']}"
    whole = server.files[path]
    server.files[path] = whole[:-30]
    with pytest.raises(InputError, match="something else came"):
        get(server, "llp")
    server.files[path] = whole.replace(b"NUMPY", b"NUMPI", 1)
    with pytest.raises(InputError, match="cannot be unpacked"):
        get(server, "llp")
    folder = data.home() / "llp"
    assert not (folder / "feats").exists() and not (folder / ".unpacking").exists()


def test_an_archive_of_something_else(server, place, gdown):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    server.files[f"/{place['llp']['features'][0]['id']}"] = file.getvalue()
    with pytest.raises(InputError, match="no folder vggish/ in it"):
        get(server, "llp")


def test_streams_without_a_folder_around_them(server, place, gdown):
    server.files[f"/{place['llp']['features'][0]['id']}"] = feats_zip("", [("__MACOSX/._x", b"litter")])
    assert sorted(path.name for path in (get(server, "llp") / "feats").iterdir()) == ["r2plus1d_18", "res152", "vggish"]


Usage = namedtuple("Usage", "total used free")


def test_a_full_disk(server, place, gdown, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 0))
    with pytest.raises(InputError, match=r"the download needs .* GB and 0\.00 are free: make room, or set CMPAE_HOME"):
        get(server, "llp")
    assert not server.asked
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12, 10**7))
    place["llp"]["features"][0]["bytes"] = 10**8
    with pytest.raises(InputError, match=r"the download needs 0\.20 GB"):
        get(server, "llp")


def test_what_cannot_be_downloaded(tmp_path):
    with pytest.raises(InputError, match="no download 'avep': use llp or ave"):
        download("avep")
    with pytest.raises(InputError, match="llp has no background videos"):
        download("llp", background=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file: give a folder"):
        download("llp", tmp_path / "file")


def test_command_line(server, place, gdown, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(module.download, "__kwdefaults__", module.download.__kwdefaults__ | {"lists_url": server.url})
    assert cli.main(["download", "llp", "--lists-only", "--out", str(tmp_path / "here")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "here")
    assert cli.main(["download", "ave", "--steps"]) == 0
    steps = capsys.readouterr().out
    assert len(steps.splitlines()) == 6 + 2 + 1 and place["ave"]["features"][1]["id"] in steps and "visual_feature.h5" in steps
    server.files.clear()
    assert cli.main(["download", "ave"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("cmpae: Annotations.txt could not be downloaded")


def test_registry_holds_the_checksums_of_the_lists(shared):
    for name, about in module.registry().items():
        for entry in about["lists"]:
            assert module.sha256(shared / "data" / name / entry["name"]) == entry["sha256"]


def make_zip(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def make_tar(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for info, content in members:
            info = tarfile.TarInfo(info) if isinstance(info, str) else info
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def zip_link(target):
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


def tar_link(kind, target):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, target
    return info, b""


BAD_NAMES = ["/etc/evil", "../evil", "a/../../evil", "..", "C:evil", "a\\..\\evil", "a\nb", "a /b"]
MALICIOUS = {f"zip {name!r}": (make_zip, [("fine.txt", b"x"), (name, b"x")]) for name in BAD_NAMES}
MALICIOUS |= {f"tar {name!r}": (make_tar, [("fine.txt", b"x"), (name, b"x")]) for name in BAD_NAMES}
MALICIOUS |= {
    "zip link": (make_zip, [zip_link("/etc/passwd")]),
    "tar symbolic link": (make_tar, [tar_link(tarfile.SYMTYPE, "../../secret"), ("link/evil", b"x")]),
    "tar hard link": (make_tar, [tar_link(tarfile.LNKTYPE, "/etc/passwd")]),
    "tar device": (make_tar, [tar_link(tarfile.CHRTYPE, "")]),
    "tar pipe": (make_tar, [tar_link(tarfile.FIFOTYPE, "")]),
    "tar name twice": (make_tar, [("a", b"x"), ("a", b"y")]),
    "names that differ in case": (make_zip, [("a/b", b"x"), ("A/B", b"y")]),
}


@pytest.mark.parametrize("case", MALICIOUS)
def test_malicious_archives_are_refused_or_made_harmless(tmp_path, case):
    """Nothing lies outside the new folder, nothing in it is a link or a device, and what is refused leaves nothing."""
    make, members = MALICIOUS[case]
    archive = make(tmp_path / "archive", *members)
    before, folder = set(tmp_path.rglob("*")), tmp_path / "deep" / "folder"
    try:
        unpack(archive, folder)
    except InputError as error:
        assert "cannot be unpacked" in str(error) and not folder.exists()
    written = set(tmp_path.rglob("*")) - before - {folder.parent, folder}
    assert all(path.is_relative_to(folder) and not path.is_symlink() and (path.is_file() or path.is_dir()) for path in written)


def test_a_nul_byte_in_a_name(tmp_path):
    path = make_zip(tmp_path / "a.zip", ("fineXname", b"x"))
    path.write_bytes(path.read_bytes().replace(b"fineXname", b"fine\0name"))
    assert [each.name for each in unpack(path, tmp_path / "out").iterdir()] == ["fine"]


def test_good_archives_of_both_kinds(tmp_path):
    for make, name in ((make_zip, "a.zip"), (make_tar, "a.tgz")):
        archive = make(tmp_path / name, ("deep/one.txt", b"1"), ("two.txt", b"22"))
        folder = unpack(archive, tmp_path / f"out {name}")
        assert (folder / "deep" / "one.txt").read_bytes() == b"1" and (folder / "two.txt").read_bytes() == b"22"


def test_nothing_is_replaced(tmp_path):
    archive = make_zip(tmp_path / "a.zip", ("deep/one.txt", b"new"))
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match=r"out: something is here already and is not replaced"):
        unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_bombs_stop_at_the_limits(tmp_path, monkeypatch):
    archive = make_tar(tmp_path / "a.tgz", ("zeros", b"\0" * 10**6), ("more", b"x"))
    with pytest.raises(InputError, match=r"announces more than 0\.0 GB"):
        unpack(archive, tmp_path / "out", largest=10**5)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, 10))
    with pytest.raises(InputError, match="unpacking needs"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_member_with_a_false_size(tmp_path):
    path = make_zip(tmp_path / "a.zip", ("zeros", b"\0" * 1000))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02")
    content[at + 24 : at + 28] = (10).to_bytes(4, "little")  # the size in the central directory
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(path, tmp_path / "out")


def test_no_archive_and_none_there(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="neither a zip nor a tar"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    with pytest.raises(InputError, match="there is no such file"):
        unpack(tmp_path / "b.zip", tmp_path / "out")
