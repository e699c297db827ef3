"""Figures of the course: one style, alt text made from the data, shown once."""

from gantrans.metrics.spectrum import radial_spectrum
from gantrans.teaching.plots.curves import (
    Table,
    bars_with_intervals,
    contribution_figure,
    metric_table,
    spectrum_figure,
    training_curves,
)
from gantrans.teaching.plots.display import (
    Picture,
    committed_form,
    figures_without_alt,
    lighter_form,
    picture,
    readable_form,
    show,
)
from gantrans.teaching.plots.images import (
    alignment_figure,
    image_axes,
    image_grid,
    overlay_axes,
    scale_bar,
)
from gantrans.teaching.plots.style import COLOURS, MARKERS, alt_text, describe, new_axes, new_figure, styled

__all__ = [
    "COLOURS",
    "MARKERS",
    "Picture",
    "Table",
    "alignment_figure",
    "alt_text",
    "bars_with_intervals",
    "committed_form",
    "contribution_figure",
    "describe",
    "figures_without_alt",
    "image_axes",
    "image_grid",
    "lighter_form",
    "metric_table",
    "new_axes",
    "new_figure",
    "overlay_axes",
    "picture",
    "radial_spectrum",
    "readable_form",
    "scale_bar",
    "show",
    "spectrum_figure",
    "styled",
    "training_curves",
]
