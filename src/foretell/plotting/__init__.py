"""Pictures of what a model says and of how well it did; each function returns an altair chart.

Charts show themselves in a notebook; `save` writes them to PNG, SVG or HTML without a browser or a network.

In the examples ``log`` holds the visits of CDNOW's 1/10 sample, and ``panel`` one short series::

    import foretell as ft
    log = ft.read_events(ft.datasets.load_cdnow(sample=True), id="customer_id", time="date")
    panel = ft.Panel.from_arrays({"a": [1, 2, 4, 3, 5, 4] * 4})
"""

from __future__ import annotations

from foretell.plotting.calibration import (
    plot_coverage,
    plot_pit,
    plot_quantiles,
    plot_recalibration,
    plot_reliability,
)
from foretell.plotting.charts import FORMATS, save
from foretell.plotting.customers import plot_activity, plot_tracking
from foretell.plotting.effects import plot_customer_effects
from foretell.plotting.forecast import plot_error_by_step, plot_explanation, plot_forecast, plot_importances
from foretell.plotting.gaps import plot_next_event, plot_predicted, plot_qq
from foretell.plotting.network import plot_network, plot_training
from foretell.plotting.shop import plot_shop
from foretell.plotting.totals import plot_totals
from foretell.plotting.worth import plot_spend, plot_value

__all__ = [
    "FORMATS",
    "plot_activity",
    "plot_coverage",
    "plot_customer_effects",
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
    "plot_shop",
    "plot_spend",
    "plot_totals",
    "plot_tracking",
    "plot_training",
    "plot_value",
    "save",
]
