"""Pictures of what a model says and of how well it did; each function returns an altair chart.

Charts show themselves in a notebook; `save` writes them to PNG, SVG or HTML without a browser or a network.
"""

from __future__ import annotations

from foretell.plotting.activity import plot_activity
from foretell.plotting.calibration import plot_coverage, plot_pit, plot_recalibration
from foretell.plotting.explanation import plot_explanation
from foretell.plotting.forecast import plot_error_by_step, plot_forecast
from foretell.plotting.gaps import plot_predicted, plot_qq, plot_training
from foretell.plotting.network import plot_network
from foretell.plotting.next_event import plot_next_event
from foretell.plotting.quantiles import plot_quantiles
from foretell.plotting.reliability import plot_reliability
from foretell.plotting.saving import FORMATS, save
from foretell.plotting.search import plot_importances
from foretell.plotting.tracking import plot_tracking

__all__ = [
    "FORMATS",
    "plot_activity",
    "plot_coverage",
    "plot_error_by_step",
    "plot_explanation",
    "plot_forecast",
    "plot_importances",
    "plot_network",
    "plot_next_event",
    "plot_pit",
    "plot_predicted",
    "plot_qq",
    "plot_quantiles",
    "plot_recalibration",
    "plot_reliability",
    "plot_tracking",
    "plot_training",
    "save",
]
