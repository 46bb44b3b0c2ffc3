"""The verbs that show a run in a browser: explorer, watch."""

from __future__ import annotations

import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from .on_runs import networks_of
from .options import Flag, OnData, Split, WithRun


@dataclass(frozen=True, kw_only=True)
class Explorer(OnData, WithRun):
    """Show the evidence of every video in the browser, until Ctrl-C; writes no file."""

    split: Split = "test"  # which split
    media: Path | None = None  # a folder of the videos' films, frames or sounds
    port: int = 0  # 0 takes a free one
    no_browser: Flag = False  # only say the address

    def run(self) -> None:
        from ..explorer.server import Site, make_server

        with make_server(Site(self.trained(), self.load(self.split), self.media), self.port) as server:
            address = f"http://127.0.0.1:{server.server_port}/"
            print(f"{address}\nThe explorer is there until Ctrl-C.", flush=True)
            if not self.no_browser:
                webbrowser.open(address)
            server.serve_forever()


@dataclass(frozen=True, kw_only=True)
class Watch(WithRun):
    """Show what a run hears and sees in films of your own: extract, judge, write a page that plays them, open it."""

    videos: tyro.conf.Positional[tuple[Path, ...]]  # files of one folder, or the folder
    networks: str | None = None  # as in `cmpae extract`; without it those the run was trained with
    out: Path = Path("watched")  # the folder of the features and the page
    films: Literal["embed", "beside"] = "embed"  # in the page, or in a folder beside it
    no_browser: Flag = False  # only say where the page is

    def run(self) -> None:
        from ..explorer import watch

        networks = networks_of(self.checkpoint, self.networks)
        page = watch(self.trained(), self.videos, self.out, networks=networks, films=self.films)
        print(page)
        if not self.no_browser:
            webbrowser.open(page.resolve().as_uri())
