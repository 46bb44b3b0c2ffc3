"""Writing: whole or not at all, plain files only, left-over drafts, and every failure in one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from cmpae_toolkit import _files
from cmpae_toolkit._files import remove_stale_drafts, save_array, write_atomically, write_json, write_text
from cmpae_toolkit.errors import InputError

posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and sockets")


@posix
def test_outputs_that_are_no_plain_files_are_refused_and_left_alone(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to pipe").symlink_to(tmp_path / "pipe")
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        before = sorted(tmp_path.iterdir())
        names = {"pipe": "a device, a pipe or a socket", "socket": "a device", "folder": "a folder", "link to pipe": "a device"}
        for name, what in names.items():
            with pytest.raises(InputError, match=f"{name} is {what}.*, not a plain file: give the name of a file"):
                write_json(tmp_path / name, {"a": 1})
        assert sorted(tmp_path.iterdir()) == before and (tmp_path / "pipe").is_fifo()


def test_a_link_is_followed_to_its_file(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "file.txt")
    for text in ("new", "newer"):  # the file is not there at first
        write_text(tmp_path / "link", text)
        assert (tmp_path / "link").is_symlink() and (tmp_path / "deep" / "file.txt").read_text() == text
    assert len(list((tmp_path / "deep").iterdir())) == 1


@pytest.mark.parametrize("write", [lambda p: write_text(p, "x"), lambda p: save_array(p, np.zeros(3)), lambda p: write_json(p, {})])
def test_a_file_in_a_folders_place_is_one_sentence(tmp_path, write):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.out cannot be written \(.*\): make room, or choose another place") as caught:
        write(tmp_path / "file" / "out")
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_the_old_file(tmp_path):
    write_text(tmp_path / "a", "old")

    def full(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match=r"a cannot be written \(No space left on device\)"):
        write_atomically(tmp_path / "a", full)
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_the_draft_of_a_killed_writer_goes_with_the_next_writing(tmp_path):
    """The writer kills itself halfway; a draft of a running process and a file of another kind stay."""
    code = (
        "import os, sys; from pathlib import Path; from cmpae_toolkit._files import write_atomically\n"
        "def write(file):\n    file.write(b'half'); file.flush(); os.kill(os.getpid(), 9)\n"
        "write_atomically(Path(sys.argv[1]) / 'out', write)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -9 and len(left := list(tmp_path.iterdir())) == 1 and left[0].name.endswith(".part")
    running = tmp_path / f".out.{_files.MACHINE}-{os.getppid()}-00ff.part"
    elsewhere = tmp_path / ".out.00000000-1-00ff.part"  # another machine's process 1
    for path in (running, elsewhere, tmp_path / "mine.part"):
        path.write_text("")
    write_text(tmp_path / "out", "whole")
    assert set(tmp_path.iterdir()) == {tmp_path / "out", running, elsewhere, tmp_path / "mine.part"}


def test_old_drafts_go_wherever_their_writer_ran(tmp_path):
    old, young = tmp_path / ".a.00000000-1-00ff.part", tmp_path / ".b.deadbeef.part"  # the second as an older version wrote them
    for path in (old, young):
        path.write_text("")
    then = time.time() - _files.STALE_AFTER - 1
    os.utime(old, (then, then))
    remove_stale_drafts(tmp_path)
    assert list(tmp_path.iterdir()) == [young]
