"""Pictures: arrays and plain values in, matplotlib Axes or a Figure out, without pyplot and without touching rcParams.

`videos` draws Figures 1 and 3 of the paper, `figure_3` the latter composed; `opinions` draws triangle, densities and calibration;
`lessons` draws what only the course needs; `datasets`, `training` and `results` draw what their names say. With `ax=None` a function
makes a new figure, `.figure` of the Axes that it returns. Names of categories, videos and curves, and titles, are shown as they are;
the labels of axes may hold matplotlib's formulas. The paper writes "uncertainty" for vacuity.
"""

from .datasets import category_frequencies, cooccurrence, durations, modality_shares, side_by_side
from .figure_3 import ExplorerState, figure_3
from .lessons import category_bars, certainty_maps, framework, interval_tables, lines, number_table, opinion_figure, overlaps
from .opinions import beta_density, opinion_triangle, reliability_diagram, risk_coverage_curves
from .results import category_scatter, f_over_thresholds, intervals, ranking, result_table
from .theme import figures_folder, keep, png, use_theme
from .training import score_bars, threshold_curve, training_history
from .videos import attention_map, evidence_curves, frames, probability_with_vacuity, tracks, waveform

__all__ = [
    "ExplorerState", "attention_map", "beta_density", "category_bars", "category_frequencies",
    "category_scatter", "certainty_maps", "cooccurrence", "durations", "evidence_curves", "f_over_thresholds",
    "figure_3", "figures_folder", "frames", "framework", "interval_tables", "intervals", "keep", "lines", "modality_shares",
    "number_table", "opinion_figure", "opinion_triangle", "overlaps", "png", "probability_with_vacuity", "ranking",
    "reliability_diagram", "result_table", "risk_coverage_curves", "score_bars", "side_by_side",
    "threshold_curve", "tracks", "training_history",
    "use_theme", "waveform",
]


def __dir__() -> list[str]:
    return __all__
