"""Options that several verbs share: which data, which trained run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ..data.naming import default_name

if TYPE_CHECKING:
    from ..checkpoint import Run
    from ..data import VideoSet

Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]
Split = Literal["train", "val", "test"]


@dataclass(frozen=True, kw_only=True)
class OnData:
    """What all verbs have that read a data set."""

    data: str = field(default_factory=default_name)
    """tiny, small, full (simulated), films (synthetic), llp, ave, avep (downloaded) or a folder; without it $CMPAE_DATA, else small"""
    missing: Literal["error", "skip", "blank"] = "error"  # a video that lacks feature files is refused, left out, or kept with blanks
    eval_audio: Literal["corrected", "2020"] | None = None  # LLP: which of the two published audio lists
    snippet_seconds: float | None = None  # how long a snippet of a folder lasts, where the folder does not say it
    background: Flag = False  # AVE: its background videos, too
    leaks: Literal["keep", "drop"] = "keep"  # AVEP: "drop" leaves out training videos that are in val or test, too
    repeated: Literal["keep", "merge"] = "keep"  # AVEP: "merge" makes one training video of the rows of one id

    def options(self) -> dict[str, Any]:
        """The options of `data.load` that were given; data for which there is no such option refuse it."""
        names = ("missing", "eval_audio", "snippet_seconds", "background", "leaks", "repeated")
        given = {name: getattr(self, name) for name in names}
        return {name: value for name, value in given.items() if value is not False and value not in ("error", "keep", None)}

    def load(self, split: str | None) -> VideoSet:
        """The split, after one line for each kind of oddity that reading found."""
        from .. import data
        from ..studies.identity import tell

        videos = data.load(self.data, split, **self.options())
        tell({split or "unlabelled": videos})
        return videos


@dataclass(frozen=True, kw_only=True)
class WithRun:
    """What the verbs have that use a trained run."""

    checkpoint: Path | None = None  # the folder of a trained run; without it the one that comes with the package

    def trained(self) -> Run:
        from ..checkpoint import load_run, shipped_run

        return shipped_run() if self.checkpoint is None else load_run(self.checkpoint)
