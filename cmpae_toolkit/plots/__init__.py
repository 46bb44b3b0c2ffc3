"""Pictures: arrays and plain values in, matplotlib Axes or a Figure out, without pyplot and without touching rcParams.

`videos`: Figures 1 and 3 of the paper; `opinions`: triangle, densities, risk; `training`, `results`, `calibration` and
`datasets`: what their names say; `figures`: Figure 3 composed, `live`: the same as SVG for the explorer. With `ax=None` a
function makes a new figure, `.figure` of the Axes it returns, which a notebook shows. The paper writes "uncertainty" for vacuity.
"""

from ..explorer.live import explorer_svg, style
from .calibration import reliability_diagram, risk_coverage_curves
from .datasets import category_frequencies, cooccurrence, durations, modality_shares, side_by_side
from .figure_3 import ExplorerState, figure_3
from .framework import framework
from .lessons import category_bars, certainty_maps, intervals, keep, lines, number_table, opinion_figure
from .opinions import beta_density, opinion_triangle, risk_curves, risk_surface
from .results import ablation_bars, category_scatter, f_over_thresholds, result_table
from .theme import png, use_theme
from .training import score_bars, threshold_curve, training_history
from .videos import attention_map, evidence_curves, frames, probability_with_vacuity, tracks, waveform

__all__ = [
    "ExplorerState", "ablation_bars", "attention_map", "beta_density", "category_bars", "category_frequencies",
    "category_scatter", "certainty_maps", "cooccurrence", "durations", "evidence_curves", "explorer_svg", "f_over_thresholds",
    "figure_3", "frames", "framework", "intervals", "keep", "lines", "modality_shares", "number_table", "opinion_figure",
    "opinion_triangle", "png", "probability_with_vacuity", "reliability_diagram", "result_table", "risk_coverage_curves",
    "risk_curves", "risk_surface", "score_bars", "side_by_side", "style", "threshold_curve", "tracks", "training_history",
    "use_theme", "waveform",
]
