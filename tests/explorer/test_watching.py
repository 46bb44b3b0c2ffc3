"""Films in the explorer: what a browser is given, the served page without a browser, and from films to their page."""

import json
import threading
import urllib.error
import urllib.request
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from films import make_film
from test_explorer import make_run, videos  # noqa: F401
from test_explorer_page import content

from cmpae_toolkit import _commands
from cmpae_toolkit.data.folder import write_folder
from cmpae_toolkit.errors import InputError
from cmpae_toolkit.explorer import Explorer, export_html, watch
from cmpae_toolkit.explorer.film import for_browser
from cmpae_toolkit.explorer.server import Site, make_server
from cmpae_toolkit.extract.decoding import look_at, stills, whole_sound

av = pytest.importorskip("av", reason="PyAV is not installed: pip install av")


def test_a_browser_gets_what_it_can_play(tmp_path):
    common = make_film(tmp_path / "common.mp4", seconds=1)
    assert for_browser(common) == (common.read_bytes(), "video/mp4", 0)
    odd = make_film(tmp_path / "odd.avi", seconds=2, video="mpeg4", audio="pcm_s16le", size=(642, 482))
    content_, kind, _ = for_browser(odd)
    (tmp_path / "new.webm").write_bytes(content_)
    assert kind == "video/webm"
    with av.open(str(tmp_path / "new.webm")) as film:
        assert {s.codec_context.name.removeprefix("lib") for s in film.streams} <= {"vp8", "vpx", "opus"}
        assert film.streams.video[0].height == 360
        times = [frame.time for frame in film.decode(video=0)]
    assert len(times) == 20 and times[-1] == pytest.approx(1.9, abs=0.02)


@pytest.mark.parametrize(("name", "codecs"), [
    ("long.mp4", {}), ("long.webm", dict(video="libvpx", audio="libopus")), ("long.avi", dict(video="mpeg4", audio="pcm_s16le")),
])
def test_of_a_clip_only_its_part_is_given(videos, tmp_path, name, codecs):  # noqa: F811
    """As copied packets from the key frame before it on, or written anew; picture and sound are those of the clip's seconds."""
    film = make_film(tmp_path / name, seconds=40, **codecs)
    part, kind, begins = for_browser(film, (31.0, 34.0))
    (tmp_path / "part").write_bytes(part)
    assert begins <= 31 and kind.startswith("video/") and look_at(tmp_path / "part").seconds < 34 - begins + 0.5 < 20
    colours = [picture.reshape(-1, 3).mean(0).argmax() for picture in stills(tmp_path / "part", 3, (31 - begins, 34 - begins))]
    assert colours == [second % 3 for second in (31, 32, 33)]
    sound = whole_sound(tmp_path / "part", 8000)
    for second in (31, 32, 33):
        start = round((second + 0.2 - begins) * 8000)
        tone = np.abs(np.fft.rfft(sound[start : start + 4000])).argmax() * 2  # Hz: half a second
        assert tone == pytest.approx(500 * (1 + second % 10), abs=4)
    clips = replace(videos, ids=tuple(f"long_{t}_{t + 10}" for t in range(0, 10 * len(videos), 10)), filenames=None)
    page = export_html(make_run(videos, "paper"), clips, tmp_path / "page.html", [1, 3], media=tmp_path)
    starts = [video["film"]["start"] for video in content(page)[1]["videos"]]
    assert all(0 <= start < 13 for start in starts)  # VP8 has a key frame every 128 pictures
    assert page.stat().st_size < 700_000


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "absent"])
def test_a_film_that_cannot_be_read_is_said(tmp_path, damage):
    path = tmp_path / "film.mp4"
    whole = make_film(tmp_path / "whole.mp4", seconds=1).read_bytes()
    if damage != "absent":
        path.write_bytes({"empty": b"", "text": b"no film at all " * 99, "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(InputError, match=r"film\.mp4"):
        for_browser(path)


def test_the_widget_is_sent_the_film_once(videos, tmp_path):  # noqa: F811
    film = make_film(tmp_path / "video_0.mp4", seconds=1)
    explorer, sent = Explorer(make_run(videos, "paper"), videos, media=tmp_path), []
    explorer.controls["order"].value = "as listed"
    assert explorer.picture.film == film.read_bytes() and explorer.picture.media["film"] == "video/mp4"
    explorer.picture.observe(sent.append, names="film")
    explorer.controls["snippet"].value = 3
    assert not sent
    explorer.controls["video"].value = 1
    assert explorer.picture.film == b"" and "film" not in explorer.picture.media


def test_the_chips_choose_the_categories(videos):  # noqa: F811
    explorer = Explorer(make_run(videos, "paper"), videos)
    explorer.picture.chosen = [2]
    assert explorer.controls["categories"].value == (videos.categories[2],) == explorer.state.chosen


def test_what_was_before_a_change(videos):  # noqa: F811
    explorer = Explorer(make_run(videos, "paper"), videos)
    assert explorer.state.before is None and explorer.picture.before == {}
    plain = explorer.state
    explorer.controls["mute_visual"].value = True
    np.testing.assert_allclose(explorer.state.before.probability, plain.probability, rtol=1e-5)
    assert explorer.state.before.scores == plain.scores and explorer.picture.before["name"] == "as it is"
    explorer.controls["alone"].value = True
    np.testing.assert_array_equal(explorer.state.before.presence[0], explorer.state.presence[0])  # Eq. 3
    assert explorer.picture.before["name"] == "without cross-attention"
    explorer.controls["mute_visual"].value = False
    np.testing.assert_allclose(explorer.state.before.probability, plain.probability, rtol=1e-5)


@pytest.fixture
def address(videos, tmp_path):  # noqa: F811
    make_film(tmp_path / "video_2.mp4", seconds=1)
    server = make_server(Site(make_run(videos, "paper"), videos, tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_served_page_gives_its_videos_and_films(address, tmp_path):
    page = urllib.request.urlopen(address).read().decode()
    listed = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["videos"]
    assert listed[0]["why"].startswith("good: ") and "changes" not in listed[0] and listed[-1]["why"] == "all videos"
    position = next(i for i, video in enumerate(listed) if video["name"].startswith("video_2"))
    video = json.load(urllib.request.urlopen(f"{address}/video/{position}"))
    assert video["name"] == listed[position]["name"] and len(video["changes"]) == 12 and video["film"]["src"] == f"film/{position}"
    film = (tmp_path / "video_2.mp4").read_bytes()
    assert urllib.request.urlopen(f"{address}/film/{position}").read() == film
    for asked, part in (("bytes=10-19", film[10:20]), ("bytes=10-", film[10:])):
        answer = urllib.request.urlopen(urllib.request.Request(f"{address}/film/{position}", headers={"Range": asked}))
        assert answer.status == 206 and answer.read() == part
    for wrong in ("video/999", "video/x", "film/999", "../pyproject.toml", f"film/{(position + 1) % len(listed)}"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{address}/{wrong}")


def test_from_films_to_their_page(videos, tmp_path, monkeypatch):  # noqa: F811
    """With a stand-in for the extraction, whose own tests are elsewhere."""
    run, called = make_run(videos, "paper"), []
    make_film(tmp_path / "video_1.mp4", seconds=2), make_film(tmp_path / "video_4.mp4", seconds=2)

    def extract(films, out, *, networks):
        called.append((films, networks))
        write_folder(replace(videos.subset([1, 4]), reference=None, weak_labels=None), out)

    monkeypatch.setattr("cmpae_toolkit.extract.run.extract", extract)
    shown = partial(watch, run, out=tmp_path / "seen", networks="light")
    _, values = content(shown([tmp_path]))
    assert called == [([str(tmp_path)], "light")]
    assert [video["name"] for video in values["videos"]] == ["video_1", "video_4"]
    assert all(video["film"]["type"] == "video/mp4" and video["media"]["frames"][0] for video in values["videos"])
    with pytest.raises(InputError, match="no such film"):
        shown([tmp_path / "absent.mp4"])
    with pytest.raises(InputError, match="one folder"):
        shown([])


def test_the_command_takes_the_networks_from_the_run(videos, tmp_path, monkeypatch):  # noqa: F811
    make_run(videos, "paper").save(tmp_path / "run")
    with pytest.raises(InputError, match="--networks"):
        _commands.parse(["watch", str(tmp_path), "--checkpoint", str(tmp_path / "run")]).run()
    (tmp_path / "run" / "extraction.json").write_text(json.dumps({"networks": {"name": "handmade"}}))
    asked = []
    monkeypatch.setattr("cmpae_toolkit.explorer.watch", lambda run, videos, out, **options: asked.append(options) or out)
    _commands.parse(["watch", str(tmp_path), "--checkpoint", str(tmp_path / "run"), "--no-browser"]).run()
    assert asked == [{"networks": "handmade", "films": "embed"}]
