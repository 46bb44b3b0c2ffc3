"""`Explorer(run, video_set).widget`: Figure 3 of any video with controls, in a notebook. A thin shell around `what_if.explore`."""

from __future__ import annotations

import contextlib
import gc
import html
from collections.abc import Iterator
from typing import Any

import ipywidgets
from ipywidgets import Checkbox, Dropdown, FloatSlider, HBox, IntSlider, SelectMultiple, Text, VBox

from . import plots
from .config import MODALITIES
from .data.videoset import VideoSet
from .errors import InputError
from .plots import ExplorerState
from .plots.theme import readable
from .runs import Run
from .train import predict
from .what_if import ORDERS, WhatIf, available_orders, describe, explore, name, order, thresholds_of

__all__ = ["ORDERS", "Explorer", "WhatIf", "draw", "explore", "order"]

MOST_LISTED = 2000  # videos in the dropdown: a browser is slow with more
WIDE = ipywidgets.Layout(width="98%")
NARROW = {"description_width": "8em"}


def draw(state: ExplorerState) -> Any:
    """The Figure of a state: `plots.figure_3`."""
    return plots.figure_3(state)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """No garbage collection inside: a figure's many small objects set off a full one in the middle of every other drawing,
    which takes as long as the drawing; afterwards they are young garbage and cost next to nothing."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Explorer:
    """One video at a time: its events, evidence, probability and opinions, and what if its features were others.

    The whole set is predicted once, here. `.widget` is what a notebook shows, `.controls` holds the widgets by name,
    `.state` what is drawn now. Raises InputError when the set is empty or does not fit the run.
    """

    def __init__(self, run: Run, video_set: VideoSet) -> None:
        if not len(video_set):
            raise InputError(f"{video_set.title} holds no video to explore.")
        self.run, self.video_set = run, video_set
        self.evidence = predict(run.model, video_set)
        self.state: ExplorerState | None = None
        self._changing = False
        self.controls = self._make_controls()
        self.picture = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", height="auto"))
        self.found, self.caption = ipywidgets.HTML(), ipywidgets.HTML()
        self.widget = self._arrange()
        self._observe()
        self._list_videos()
        self._show_video()

    def _make_controls(self) -> dict[str, Any]:
        """The controls by name, as they stand before the first video is shown."""
        thresholds, config = thresholds_of(self.run), {"continuous_update": False, "style": NARROW, "layout": WIDE}
        unit = {"min": 0.0, "max": 1.0, "step": 0.05, **config}
        scale = {"value": 1.0, "min": 0.0, "max": 3.0, "step": 0.1, **config}
        plain = {"style": NARROW, "layout": WIDE}
        categories = [(readable(c, 99), c) for c in self.video_set.categories]
        others = [("its own", None)] + [(name(self.video_set, i), i) for i in range(min(len(self.video_set), MOST_LISTED))]
        orders = available_orders(self.evidence, self.video_set)
        return {
            "search": Text(placeholder="category or id", description="search", continuous_update=False, **plain),
            "order": Dropdown(options=orders, description="order by", **plain),
            "video": Dropdown(description="video", **plain),
            "categories": SelectMultiple(options=categories, rows=8, description="categories", **plain),
            "snippet": IntSlider(min=0, max=self.video_set.snippets - 1, description="snippet", **config),
            "log": Checkbox(description="evidence on a log axis", indent=False),
            "own": Checkbox(value=True, description="the run's thresholds", indent=False),
            "video_threshold": FloatSlider(float(thresholds.video.mean()), description="video threshold", **unit),
            "snippet_threshold": FloatSlider(float(thresholds.snippet.mean()), description="snippet threshold", **unit),
            **{f"mute_{m}": Checkbox(description=f"mute {m}", indent=False) for m in MODALITIES},
            **{f"scale_{m}": FloatSlider(description=f"scale {m}", **scale) for m in MODALITIES},
            "swap": Dropdown(options=others, description="visual track of", **plain),
        }

    def _arrange(self) -> VBox:
        """Three columns of controls above the picture and its description."""
        c = self.controls

        def column(heading: str, *names: str, rest: tuple[Any, ...] = ()) -> VBox:
            return VBox([ipywidgets.HTML(f"<b>{heading}</b>"), *(c[n] for n in names), *rest], layout=ipywidgets.Layout(width="33%"))

        what_if = [n for n in c if n.startswith(("mute", "scale", "swap"))]
        columns = (
            column("Which video", "search", "order", "video", rest=(self.found,)),
            column("What to show", "categories", "snippet", "log", "own", "video_threshold", "snippet_threshold"),
            column("What if", *what_if),
        )
        return VBox([HBox(columns), self.picture, self.caption])

    def _observe(self) -> None:
        handlers = {
            "search": self._list_videos, "order": self._list_videos, "video": self._show_video,
            "video_threshold": self._own_thresholds_off, "snippet_threshold": self._own_thresholds_off,
        }
        for control, widget in self.controls.items():
            handler = handlers.get(control, self.update)
            widget.observe(lambda change, handler=handler: None if self._changing else handler(), names="value")

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """Set controls without drawing for each of them."""
        before, self._changing = self._changing, True
        try:
            yield
        finally:
            self._changing = before

    def value(self, control: str) -> Any:
        return self.controls[control].value

    def _list_videos(self) -> None:
        """The videos that the search finds, in the chosen order; the first of them is shown."""
        found = order(self.evidence, self.video_set, thresholds_of(self.run), self.value("order"), self.value("search"))
        self.found.value = f"{len(found)} of {len(self.video_set)} videos" + (
            f"; the first {MOST_LISTED} are listed" if len(found) > MOST_LISTED else ""
        )
        with self._quietly():
            self.controls["video"].options = [(name(self.video_set, i), i) for i in found[:MOST_LISTED]]
            self.controls["video"].value = found[0] if found else None
        if self.state is not None:
            self._show_video()

    def _show_video(self) -> None:
        """A new video starts with its own categories; thresholds, snippet and changes stay."""
        if self.value("video") is None:
            return
        state = self.compute(chosen=None)
        with self._quietly():
            self.controls["categories"].value = state.chosen
        self._show(state)

    def _own_thresholds_off(self) -> None:
        with self._quietly():
            self.controls["own"].value = False
        self.update()

    def what_if(self) -> WhatIf:
        """The changes that the controls ask for."""
        mute = tuple(m for m in MODALITIES if self.value(f"mute_{m}"))
        return WhatIf(mute, self.value("swap"), tuple(self.value(f"scale_{m}") for m in MODALITIES))

    def compute(self, **options: Any) -> ExplorerState:
        """The state that the controls ask for; the model runs only where something of the video is changed."""
        asked = {n: self.value(n) for n in ("snippet", "log")} | {"chosen": self.value("categories")}
        if not self.value("own"):
            asked |= {n: self.value(n) for n in ("video_threshold", "snippet_threshold")}
        return explore(self.run, self.video_set, self.value("video"), self.what_if(), evidence=self.evidence, **asked | options)

    def update(self) -> None:
        """Draw what the controls ask for."""
        if self.value("video") is not None:
            self._show(self.compute())

    def _show(self, state: ExplorerState) -> None:
        self.state = state
        with _collector_paused():
            self.picture.value = plots.png(draw(state))
        text = describe(state)
        self.picture.tooltip = text
        self.caption.value = f"<p style='color:inherit'>{html.escape(text)}</p>"
