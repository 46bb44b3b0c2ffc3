"""A folder with every kind of odd and broken file, and a table of what becomes of each: `python tests/extract/odd_files.py`

The table is docs/odd_files.md, which a test compares with what happens.
"""

import os
import struct
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does
from films import make_film, picture

from cmpae_toolkit.extract import extract

PAGE = Path(__file__).parents[2] / "docs" / "odd_files.md"
SOUND = {"video": None}
ODD = {  # name: what is odd about it, and how it is made
    "plain.mp4": ("nothing: H.264 and AAC", {}),
    "matroska.mkv": ("MPEG-4 and AAC in Matroska", {"video": "mpeg4"}),
    "quicktime.mov": ("QuickTime", {"video": "mpeg4"}),
    "old.avi": ("MPEG-4 and MP2 in AVI", {"video": "mpeg4", "audio": "mp2"}),
    "web.webm": ("VP8 and Opus in WebM", {"video": "libvpx", "audio": "libopus", "rate": 48000}),
    "flash.flv": ("Flash", {"video": "flv", "audio": "libmp3lame", "rate": 44100}),
    "windows.wmv": ("Windows Media", {"video": "wmv2", "audio": "mp2"}),
    "broadcast.ts": ("a transport stream", {"video": "mpeg2video", "audio": "mp2", "fps": 25}),
    "disc.mpg": ("a program stream", {"video": "mpeg2video", "audio": "mp2", "fps": 25}),
    "pictures_as_jpeg.avi": ("each picture a JPEG", {"video": "mjpeg", "audio": "pcm_s16le"}),
    "lossless.mkv": ("FFV1 and FLAC", {"video": "ffv1", "audio": "flac"}),
    "hevc.mp4": ("H.265", {"video": "libx265"}),
    "ten_bits.mp4": ("10 bits a colour, 4:4:4", {"pixels": "yuv444p10le"}),
    "see_through.mov": ("pictures with an alpha channel", {"video": "png", "pixels": "rgba"}),
    "grey.mkv": ("16-bit grey", {"video": "ffv1", "pixels": "gray16le"}),
    "animation.gif": ("a GIF", {"video": "gif", "audio": None}),
    "silent.mp4": ("no sound track", {"audio": None}),
    "song.mp3": ("sound alone", SOUND | {"audio": "libmp3lame"}),
    "sound.wav": ("sound alone", SOUND | {"audio": "pcm_s16le"}),
    "sound.flac": ("sound alone", SOUND | {"audio": "flac"}),
    "sound.opus": ("sound alone", SOUND | {"audio": "libopus", "rate": 48000}),
    "sound.m4a": ("sound alone", SOUND | {"format": "mp4"}),
    "only_sound.mp4": ("a film's name, sound alone", SOUND),
    "telephone.wav": ("8 kHz, 8 bits", SOUND | {"audio": "pcm_u8", "rate": 8000}),
    "studio.wav": ("96 kHz, floating point", SOUND | {"audio": "pcm_f32le", "rate": 96000}),
    "odd_rate.wav": ("11,025 Hz", SOUND | {"audio": "pcm_s16le", "rate": 11025}),
    "cinema.mkv": ("AC-3 in 5.1", {"audio": "ac3", "rate": 48000, "layout": "5.1"}),
    "stereo.mp4": ("stereo at 44.1 kHz", {"layout": "stereo", "rate": 44100}),
    "late_sound.mkv": ("sound begins 0.4 s late", {"late_sound": 0.4}),
    "late_pictures.mkv": ("pictures begin 0.4 s late", {"late_pictures": 0.4}),
    "early.mkv": ("both begin half a second before zero", {"late_sound": -0.5, "late_pictures": -0.5, "video": "mpeg4", "audio": "flac"}),
    "short_sound.mp4": ("2 s of pictures, 0.7 s of sound", {"seconds": 2.0, "sound_seconds": 0.7}),
    "short_pictures.mp4": ("0.5 s of pictures, 2 s of sound", {"seconds": 0.5, "sound_seconds": 2.0}),
    "no_samples.mp4": ("a sound track with nothing in it", {"sound_seconds": 0.0}),
    "gap_in_sound.mkv": ("0.6 s of sound are missing", {"seconds": 2.0, "gap": (0.6, 1.2)}),
    "screen.mkv": ("pictures when something changes", {"times": [0, 0.1, 0.7, 0.75, 0.9]}),
    "one_frame.mp4": ("a tenth of a second", {"seconds": 0.1}),
    "still.mkv": ("one picture, a second of sound", {"times": [0.0]}),
    "leaping_stamps.mkv": ("the third picture is stamped 5,000 s", {"times": [0, 0.1, 5000]}),
    "pixel.mov": ("1 x 1 pixel", {"size": (1, 1), "video": "png", "pixels": "rgb24"}),
    "strip.mkv": ("512 x 4 pixels", {"size": (512, 4), "video": "ffv1"}),
    "eight_thousand.mkv": ("8K, one picture", {"size": (7680, 4320), "video": "mjpeg", "seconds": 1.0, "fps": 1, "audio": None}),
    "slow.mp4": ("one picture a second", {"seconds": 2.0, "fps": 1}),
    "fast.mkv": ("a picture each millisecond", {"seconds": 0.5, "fps": 1000, "video": "mpeg4"}),
    "long.mkv": ("longer than a video of the data set", {"seconds": 3.0}),
    "a film, with: spaces & #signs.mp4": ("what no list can hold", {}),
    "film.in.dots.mp4.mkv": ("two suffixes", {}),
    "LOUD.MP4": ("capitals", {}),
    "фильм.mp4": ("Cyrillic", {}),
    "cafe\u0301.mp4": ("an accent of its own (NFD)", {}),
    "twin.mp4": ("another film has this name in Matroska", {}),
    "twin.mkv": ("another film has this name in MP4", {}),
    "Twin.mp4": ("differs by a capital, which some systems do not see", {}),
    f"{'long_name_' * 24}.mp4": ("a name of 244 letters", {}),
}
IDENTITY = (1, 0, 0, 1)
TURNS = {  # name: what is odd about it, and the matrix by which it is shown
    "phone.mp4": ("held upright: turned by a quarter", (0, 1, -1, 0)),
    "selfie.mp4": ("mirrored", (-1, 0, 0, 1)),
}
BROKEN = {  # name: what is in it, of a whole film's bytes
    "empty.mp4": ("nothing in it", lambda whole: b""),
    "text.mp4": ("a text", lambda whole: b"This is no film.\n" * 40),
    "noise.mkv": ("noise", lambda whole: np.random.default_rng(0).bytes(20000)),
    "page.webm": ("a web page: a download that failed", lambda whole: b"<!doctype html><title>404</title>" * 9),
    "no_index.mp4": ("cut before its index", lambda whole: whole[: len(whole) // 2]),
    "only_head.mp4": ("30 bytes of a film", lambda whole: whole[:30]),
    "zeros.avi": ("zeros", lambda whole: bytes(5000)),
    "half_a_header.wav": ("half a header", lambda whole: b"RIFF\x10\0\0\0WAVEfmt "),
    "no_channels.wav": ("sound of no channel", lambda whole: wave(0)),
    "list.mp4": ("a list that names another file", lambda whole: b"ffconcat version 1.0\nfile plain.mp4\n"),
    "addresses.mp4": ("a list of addresses", lambda whole: b"#EXTM3U\n#EXTINF:1,\nhttp://localhost:9/a.mp4\n#EXT-X-ENDLIST\n"),
}


def wave(channels):
    """A WAV file of zeros with this many channels."""
    form = struct.pack("<HHIIHH", 1, channels, 16000, 32000 * channels, 2, 16)
    return b"RIFF" + struct.pack("<I", 136) + b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 100) + bytes(100)


def shown_by(film, matrix):
    """An mp4 film's bytes with the matrix (a, b, c, d) by which its pictures are shown, in place of the one that changes nothing."""
    old, new = (struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30) for a, b, c, d in (IDENTITY, matrix))
    place = film.index(old, film.index(b"tkhd"))
    return film[:place] + new + film[place + len(new) :]


def with_cover(path):
    """A song with the picture of its cover, which is no film."""
    import av

    with av.open(str(path), "w") as out:
        sound, cover = out.add_stream("libmp3lame", rate=44100), out.add_stream("png")
        (cover.width, cover.height), cover.pix_fmt = (64, 48), "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        out.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for each in (*av.AudioResampler(format="fltp", layout=sound.layout, rate=44100, frame_size=1152).resample(frame), None):
            out.mux(sound.encode(each))


def make_folder(folder):
    """Writes all of it; what is odd about each file, by its path below the folder."""
    odd = {name: about for name, (about, _) in (ODD | TURNS | BROKEN).items()}
    for name, (_, options) in ODD.items():
        make_film(folder / name, **options)
    whole = (folder / "plain.mp4").read_bytes()
    for name, (_, matrix) in TURNS.items():
        (folder / name).write_bytes(shown_by(whole, matrix))
    for name, (_, content) in BROKEN.items():
        (folder / name).write_bytes(content(whole))

    def more(name, about):
        odd[name] = about
        return folder / name

    with_cover(more("cover.mp3", "a song with a picture of its cover"))
    mkv = (folder / "matroska.mkv").read_bytes()
    more("cut.mkv", "cut after two thirds").write_bytes(mkv[: len(mkv) * 2 // 3])
    more("damaged.mp4", "60 bytes in its middle overwritten").write_bytes(whole[:2000] + bytes(range(60)) + whole[2060:])
    more("wrong_name.mp3", "a film with a sound's name").write_bytes(whole)
    more("link.mp4", "a link to a file that is gone").symlink_to(folder / "gone.mp4")
    os.mkfifo(more("pipe.mp4", "a pipe"))
    (folder / "folder.mp4").mkdir()
    more("folder.mp4/inside.mp4", "in a folder called as a film").write_bytes(whole)
    (folder / "folder.mp4" / "round").symlink_to(folder, target_is_directory=True)
    (folder / "notes.txt").write_text("no film")
    (folder / "cover.png").write_bytes(b"no film")
    (folder / ".hidden.mp4").write_bytes(whole)
    return odd


def extracted(folder, out):
    return extract(folder, out, networks="handmade", snippets=4, snippet_seconds=0.5, progress=False)


def outcome(film):
    """What became of a file, by its row of extraction.json."""
    if film["problem"]:
        said = film["problem"].split(": ", 1)[1]
        return f"left out: “{said[0].upper()}{said[1:]}”"
    videos = f" as {len(film['clips'])} videos" if len(film["clips"]) > 1 else ""
    return f"read{videos}{': ' if film['notices'] else ''}" + " ".join(f"“{text}”" for text in film["notices"])


def page(odd, films, folder):
    """docs/odd_files.md, of the rows of extraction.json."""
    rows = {os.path.relpath(film["path"], folder): film for film in films}
    lines = [f"| `{short(name)}` | {about} | {outcome(rows[name])} |" for name, about in odd.items()]
    return HEAD.format(all=len(odd), bad=sum(bool(film["problem"]) for film in films)) + "\n".join(lines) + "\n"


def short(name):
    return name if len(name) < 60 else f"{name[:20]}...{name[-8:]}"


HEAD = """# Odd and broken files

A folder of {all} files that a user's folder may hold, made by the tests, and what `cmpae extract` makes of each: {bad} are named and
left out, and the others read. What stands in quotation marks is what `extraction.json` says of the file. Hidden files, pictures and
other files are not looked at, and linked folders are not entered.

This page is written by `python tests/extract/odd_files.py > docs/odd_files.md`; a test compares it with what happens.

| file | what is odd about it | what becomes of it |
|---|---|---|
"""


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        found = make_folder(Path(place, "odd"))
        print(page(found, extracted(Path(place, "odd"), Path(place, "set")).films, Path(place, "odd")), end="")
