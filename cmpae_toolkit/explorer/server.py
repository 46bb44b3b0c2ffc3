"""The explorer's page by itself (`make explorer`): every video of a set, computed when it is opened. It writes no file, and this machine
alone is served."""

from __future__ import annotations

import json
import re
from functools import cached_property
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from ..checkpoint import Run
from ..data.videoset import VideoSet
from ..errors import InputError
from ..inference import predict
from .film import for_browser
from .page import check_parses, interesting, page_text, page_values, whole_video
from .state import media_of, name

LOOKED_AT = 100  # videos among which good, typical and bad ones are chosen, so that the page is there at once
FETCHED = "async (i) => (await fetch(`video/${i}`)).json()"  # how view.js gets a video


class Site:
    """What is served of a run and a set: `.page`, the text; `video(i)` and `film(i)`, the i-th video that the page lists, and its film.

    The first ones listed are those of `interesting` among the first `LOOKED_AT` videos. Raises InputError where there is no video,
    and for a localisation run.
    """

    def __init__(self, run: Run, video_set: VideoSet, media: str | Path | None = None) -> None:
        if not len(video_set):
            raise InputError(f"{video_set.title} holds no video to explore.")
        self.run, self.video_set, self.media_folder, self._lock = run, video_set, media, Lock()
        first = video_set.subset(range(min(LOOKED_AT, len(video_set))))
        evidence = predict(run.model, first)
        check_parses(run, evidence)
        chosen = [(i, why) for i, why in interesting(run, first, evidence) if why != "as listed"]
        self.listed = chosen + [(i, "all videos") for i in range(len(video_set))]

    @cached_property
    def page(self) -> str:
        videos = [{"name": name(self.video_set, i), "why": why} for i, why in self.listed]
        return page_text(page_values(self.run, self.video_set, videos), self.video_set, FETCHED)

    def video(self, position: int) -> dict[str, Any]:
        with self._lock:  # a reader who hurries from video to video does not make them compete
            index = self.listed[position][0]
            media = None if self.media_folder is None else media_of(self.video_set, index, self.media_folder)
            film = {}
            if media is not None and media.path is not None:
                _, kind, begins = for_browser(media.path, media.part)
                film = {"film": {"src": f"film/{position}", "type": kind, "start": media.start - begins}}
            return whole_video(self.run, self.video_set, index, None, media) | film

    def film(self, position: int) -> tuple[bytes, str]:
        media = None if self.media_folder is None else media_of(self.video_set, self.listed[position][0], self.media_folder)
        if media is None or media.path is None:
            raise InputError("this video has no film.")
        return for_browser(media.path, media.part)[:2]


def make_server(site: Site, port: int = 0) -> ThreadingHTTPServer:
    """Binds a server to this machine's own address; port 0 takes a free one. Raises InputError where the port is taken."""
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), {"site": site}))
    except (OSError, OverflowError) as error:
        raise InputError(f"port {port} cannot be used ({getattr(error, 'strerror', None) or error}): choose another with --port.") from None
    server.daemon_threads = True
    return server


class _Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        what, _, number = self.path.partition("?")[0].strip("/").partition("/")
        position = int(number) if number.isdigit() else -1
        try:
            if not what:
                return self._send(self.site.page.encode(), "text/html; charset=utf-8")
            if 0 <= position < len(self.site.listed) and what == "video":
                return self._send(json.dumps(self.site.video(position), allow_nan=False).encode(), "application/json")
            if 0 <= position < len(self.site.listed) and what == "film":
                return self._send(*self.site.film(position))
            self.send_error(HTTPStatus.NOT_FOUND)
        except InputError as error:
            self.send_error(HTTPStatus.NOT_FOUND, explain=str(error))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the reader has gone on

    def _send(self, content: bytes, kind: str) -> None:
        """Sends all, or the part that a player asks for: without parts, a film cannot be sought in."""
        asked, size = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")), len(content)
        start, end = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        partly = asked is not None and start <= end
        self.send_response(HTTPStatus.PARTIAL_CONTENT if partly else HTTPStatus.OK)
        if partly:
            self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
            content = content[start : end + 1]
        for header, value in (("Content-Type", kind), ("Content-Length", str(len(content))), ("Accept-Ranges", "bytes")):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Says nothing of every request."""
