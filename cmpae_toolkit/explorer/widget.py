"""`Explorer(run, video_set).widget`: Figure 3 of any video with controls, in a notebook or served by Voila.

The controls are ipywidgets, a thin shell around `state.explore`; the picture is an anywidget that `view.js` draws in the browser.
"""

from __future__ import annotations

import contextlib
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets
from ipywidgets import Checkbox, Combobox, Dropdown, FloatSlider, HBox, IntSlider, SelectMultiple, Text, VBox

from .. import data
from .._files import home
from ..checkpoint import CONFIG, MODEL, SHIPPED, SHIPPED_ON_FILMS, Run, load_run
from ..config import MODALITIES, check_same_data
from ..data.videoset import VideoSet
from ..errors import InputError
from ..extract.media import Media
from ..inference import predict
from ..plots import ExplorerState
from .film import for_browser
from .page import HERE, packed, packed_media, why
from .state import LEVELS, Order, WhatIf, duration, explore, media_of, thresholds_of

PLACES = (".", "..")  # a notebook's folder and the one above, each with its `runs/`
MOST_LISTED = 2000  # videos in the dropdown: a browser is slow with more
GIVEN, OWN = "as given", -1
WIDE = ipywidgets.Layout(width="98%")
NARROW = {"description_width": "9em"}


def data_sets() -> list[str]:
    """Lists names that `data.load` knows: what the environment names, the simulated sets, and the published ones."""
    simulated = [*(f"simulated-{n}" for n in ("ave", "avep")), *(n for n in data.names if n != "full")]
    return list(dict.fromkeys([data.default_name(), *sorted(simulated, reverse=True), *data.published]))


def checkpoints(places: Sequence[str | Path] = PLACES) -> dict[str, Path]:
    """Finds every saved run, label -> folder: the shipped ones, then those in `runs/` of the places and under CMPAE_HOME."""
    found = {f"shipped: simulated small, preset {preset}": folder for preset, folder in SHIPPED.items()}
    found["shipped: synthetic films, preset paper"] = SHIPPED_ON_FILMS
    for place in (*places, home()):
        for config in sorted(Path(place).expanduser().glob(f"runs/*/{CONFIG}")):
            if (config.parent / MODEL).is_file():
                found.setdefault(f"runs/{config.parent.name}", config.parent)
    return found


class Picture(anywidget.AnyWidget):
    """The live figure, which `view.js` draws from these traits. `snippet` also follows the pointer and the film, `chosen` the chips.

    `video`: what `packed` gives, with `categories`, `scores` and `thresholds` {"video", "snippet"}; `media`: addresses of the frames
    and of the spectrogram, a note and the kind of `film`, a file's bytes; `chosen`: numbers of the categories that are drawn; `before`:
    the video without a what-if, with its `scores` and `name`, or {}.
    """

    _esm, _css = HERE / "view.js", HERE / "view.css"
    video, media, before = (traitlets.Dict().tag(sync=True) for _ in range(3))
    film = traitlets.Bytes().tag(sync=True)
    chosen = traitlets.List().tag(sync=True)
    snippet = traitlets.Int().tag(sync=True)
    level = traitlets.Unicode(LEVELS[0]).tag(sync=True)
    log = traitlets.Bool().tag(sync=True)

    def show(self, state: ExplorerState) -> None:
        """Draws a state; only what is new of it goes to the browser."""
        thresholds = {"video": state.video_thresholds.ravel().tolist(), "snippet": state.snippet_thresholds.ravel().tolist()}
        with self.hold_sync():
            self.video = packed(state) | {"categories": list(state.categories), "scores": state.scores, "thresholds": thresholds}
            part = None if state.end is None else (state.start, state.end)
            self.film, kind, begins = (b"", None, 0.0) if state.path is None else for_browser(state.path, part)
            self.media = packed_media(state) | ({"film": kind, "start": state.start - begins} if kind else {})
            old = state.before
            plain = "as it is" if old is None else old.title.partition("; what if: ")[2]
            self.before = {} if old is None else packed(old) | {"scores": old.scores, "name": plain or "as it is"}
            self.chosen = [state.categories.index(c) for c in state.chosen]
            self.snippet, self.level, self.log = state.snippet, state.level, state.log


class Explorer:
    """Shows one video at a time: its events, evidence, probability and opinions, and what if its features were others.

    The whole set is predicted once, here and where another data set, split or checkpoint is chosen. `.widget` is what a notebook
    shows, `.controls` holds the widgets by name, `.state` what is drawn now, `.picture` the widget that draws it. `source`: the name or
    folder from which `data.load` reads the set's other splits; `media`: a folder of the videos' media (see `find_media`).
    Raises InputError when the set is empty or does not fit the run.
    """

    def __init__(self, run: Run, video_set: VideoSet, *, source: str | None = None, media: str | Path | None = None) -> None:
        self.given, self.source = (run, video_set), source or video_set.name.removeprefix("simulated ")
        self.media_folder = media
        self.state: ExplorerState | None = None
        self._changing = False
        self._take(run, video_set)
        self.controls = self._make_controls()
        self.picture, self.found = Picture(), ipywidgets.HTML()
        self.widget = self._arrange()
        self._observe()
        self._fit_controls()
        self._list_videos()

    def _take(self, run: Run, video_set: VideoSet) -> None:
        """Takes another run or set and predicts all of it, once."""
        if not len(video_set):
            raise InputError(f"{video_set.title} holds no video to explore.")
        check_same_data(run.spec, video_set.spec, video_set.title)
        self.evidence = predict(run.model, video_set)
        self.run, self.video_set = run, video_set
        self._orders = Order(self.evidence, video_set, thresholds_of(run), run.model)
        self._media: tuple[int, Media] | None = None

    def _make_controls(self) -> dict[str, Any]:
        """Makes the controls by name; `_fit_controls` gives them what depends on data and run."""
        plain = {"style": NARROW, "layout": WIDE}
        unit = {"min": 0.0, "max": 1.0, "step": 0.01, **plain}
        scale = {"value": 1.0, "min": 0.0, "max": 3.0, "step": 0.1, **plain}
        return {
            "data": Combobox(value=GIVEN, options=[GIVEN, *data_sets()], description="data set", continuous_update=False, **plain),
            "split": Dropdown(options=list(dict.fromkeys([self.video_set.split, *data.splits])), description="split", **plain),
            "checkpoint": Dropdown(options=[(GIVEN, GIVEN), *checkpoints().items()], description="checkpoint", **plain),
            "search": Text(placeholder="category or id", description="search", continuous_update=False, **plain),
            "order": Dropdown(description="order by", **plain),
            "video": Dropdown(description="video", **plain),
            "categories": SelectMultiple(rows=6, description="categories", **plain),
            "level": Dropdown(options=[("each snippet", LEVELS[0]), ("the whole video", LEVELS[1])], description="level", **plain),
            "snippet": IntSlider(description="snippet", **plain),
            "log": Checkbox(description="evidence on a log axis", indent=False),
            "own": Checkbox(value=True, description="the run's thresholds", indent=False),
            "video_threshold": FloatSlider(description="video threshold", **unit),
            "snippet_threshold": FloatSlider(description="snippet threshold", **unit),
            **{f"mute_{m}": Checkbox(description=f"mute {m}", indent=False) for m in MODALITIES},
            **{f"scale_{m}": FloatSlider(description=f"scale {m}", **scale) for m in MODALITIES},
            "swap": Dropdown(description="visual track of", **plain),
            "alone": Checkbox(description="without cross-attention", indent=False),
        }

    def _fit_controls(self) -> None:
        """Sets options and ranges for this data and run; what the reader has set stays where it can."""
        videos, thresholds, c = self.video_set, thresholds_of(self.run), self.controls
        with self._quietly():
            before, orders = c["order"].value, self._orders.available
            c["order"].options = [(why(by), by) for by in orders]
            c["order"].value = before if before in orders else orders[0]
            c["categories"].options = [(n.replace("_", " "), n) for n in videos.categories]
            if c["own"].value:
                c["video_threshold"].value, c["snippet_threshold"].value = (float(x.mean()) for x in (thresholds.video, thresholds.snippet))
            names = self._orders.names[:MOST_LISTED]
            c["swap"].options = [("its own", OWN), *((text, i) for i, text in enumerate(names))]
            c["swap"].value = OWN

    def _arrange(self) -> VBox:
        """Puts three columns of controls above the picture."""
        c = self.controls

        def column(heading: str, *names: str, rest: tuple[Any, ...] = ()) -> VBox:
            return VBox([ipywidgets.HTML(f"<b>{heading}</b>"), *(c[n] for n in names), *rest], layout=ipywidgets.Layout(width="33%"))

        what_if = [n for n in c if n.startswith(("mute", "scale", "swap", "alone"))]
        columns = (
            column("Which video", "data", "split", "checkpoint", "search", "order", "video", rest=(self.found,)),
            column("What to show", "categories", "level", "snippet", "log"),
            column("What if", "own", "video_threshold", "snippet_threshold", *what_if),
        )
        return VBox([HBox(columns), self.picture])

    def _observe(self) -> None:
        handlers = {
            "data": self._load, "split": self._load, "checkpoint": self._load,
            "search": self._list_videos, "order": self._list_videos, "video": self._show_video,
            "video_threshold": self._own_thresholds_off, "snippet_threshold": self._own_thresholds_off,
        }
        for control, widget in self.controls.items():
            handler = handlers.get(control, self.update)
            widget.observe(lambda change, handler=handler: None if self._changing else handler(), names="value")
        self.picture.observe(lambda change: setattr(self.controls["snippet"], "value", change["new"]), names="snippet")
        self.picture.observe(self._take_chosen, names="chosen")

    def _take_chosen(self, change: dict[str, Any]) -> None:
        """Follows the chips above the picture."""
        self.controls["categories"].value = tuple(self.video_set.categories[c] for c in change["new"])

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """Lets controls be set without drawing for each of them."""
        before, self._changing = self._changing, True
        try:
            yield
        finally:
            self._changing = before

    def value(self, control: str) -> Any:
        return self.controls[control].value

    def _load(self) -> None:
        """Loads another data set, split or checkpoint. What cannot be read or does not fit is told, and the last picture stays."""
        run, videos = self.given
        chosen = self.value("data").strip()
        try:
            if chosen not in ("", GIVEN) or self.value("split") != videos.split:
                videos = data.load(self.source if chosen in ("", GIVEN) else chosen, self.value("split"))
            self._take(run if self.value("checkpoint") == GIVEN else load_run(self.value("checkpoint")), videos)
        except InputError as error:
            self.found.value = f"<b>{html.escape(str(error))}</b>"
            return
        self._fit_controls()
        self._list_videos()

    def _list_videos(self) -> None:
        """Lists the videos that the search finds, in the chosen order, and shows the first of them."""
        found = self._orders(self.value("order"), self.value("search"))
        self.found.value = f"{len(found)} of {len(self.video_set)} videos" + (
            f"; the first {MOST_LISTED} are listed" if len(found) > MOST_LISTED else ""
        )
        with self._quietly():
            self.controls["video"].options = [(self._orders.names[i], i) for i in found[:MOST_LISTED]]
            self.controls["video"].value = found[0] if found else None
        self._show_video()

    def _show_video(self) -> None:
        """Shows a new video, which starts with its own categories; thresholds, snippet and changes stay."""
        if self.value("video") is None:
            return
        state = self.compute(chosen=None)
        with self._quietly():
            self.controls["categories"].value = state.chosen
            self.controls["snippet"].max = duration(self.video_set, self.value("video")) - 1
        self._show(state)

    def _own_thresholds_off(self) -> None:
        with self._quietly():
            self.controls["own"].value = False
        self.update()

    def what_if(self) -> WhatIf:
        """Returns the changes that the controls ask for."""
        mute = tuple(m for m in MODALITIES if self.value(f"mute_{m}"))
        other = None if self.value("swap") == OWN else self.value("swap")
        return WhatIf(mute, other, tuple(self.value(f"scale_{m}") for m in MODALITIES))

    def media(self, index: int) -> Media:
        """Returns the video's frames and sound, which are read once for each video shown."""
        if self._media is None or self._media[0] != index:
            self._media = index, media_of(self.video_set, index, self.media_folder)
        return self._media[1]

    def compute(self, **options: Any) -> ExplorerState:
        """Computes the state that the controls ask for; the model runs only where something of the video is changed."""
        index = self.value("video")
        asked = {n: self.value(n) for n in ("snippet", "log", "level")} | {"chosen": self.value("categories")}
        if not self.value("own"):
            asked |= {n: self.value(n) for n in ("video_threshold", "snippet_threshold")}
        asked |= {"evidence": self.evidence, "media": self.media(index), "cross_attention": False if self.value("alone") else None}
        return explore(self.run, self.video_set, index, self.what_if(), **asked | options)

    def update(self) -> None:
        """Draws what the controls ask for."""
        if self.value("video") is not None:
            self._show(self.compute())

    def _show(self, state: ExplorerState) -> None:
        self.state = state
        self.picture.show(state)
