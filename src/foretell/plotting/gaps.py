"""Gaps in pictures: two stores side by side, and forecast against truth."""

from __future__ import annotations

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError
from foretell.events.similarity import compare_gaps, quantile_points
from foretell.events.stores import gaps_by_store
from foretell.plotting.charts import BLUE, SIDE, VERMILION, Chart, equal_axes, finish

_MOST_POINTS = 3_000


def plot_qq(log: EventLog, first: object, second: object) -> Chart:
    """Show the gaps of two stores against each other, percentile by percentile.

    Points on the grey diagonal: the gaps have the same distribution. Points on another line: one is the other
    stretched (slope) and moved (intercept). A customer's gaps count for the store that it visits most.

    Parameters
    ----------
    log : EventLog
        With groups.
    first, second : object
        Two stores, as in ``log.group_names``.

    Raises
    ------
    ParameterError
        The log has no such store, or it has fewer than two gaps.

    Examples
    --------
    >>> import foretell as ft
    >>> log = ft.read_events(
    ...     ft.datasets.load_complete_journey(), id="household_id", time="timestamp", group="store_id"
    ... )
    >>> plot_qq(log, 367, 356).to_dict()["title"]["text"]
    'Gaps of store 367 and store 356'
    """
    gaps = [_gaps_of(log, store) for store in (first, second)]
    similarity = compare_gaps(*gaps)
    points = pl.DataFrame({"first": quantile_points(gaps[0]), "second": quantile_points(gaps[1])})
    most = 1.05 * max(float(points.to_numpy().max()), 1.0)
    ends = np.array([0.0, most])
    inside = np.clip((ends - similarity.intercept) / similarity.slope, 0.0, most)
    line = pl.DataFrame({"first": inside, "second": similarity.slope * inside + similarity.intercept})
    titles = (f"gaps of store {first}, {log.unit}s", f"gaps of store {second}, {log.unit}s")
    x, y, diagonal = equal_axes(("first", "second"), titles, (0.0, most))
    chart = alt.layer(
        diagonal,
        alt.Chart(line).mark_line(color=VERMILION, strokeWidth=1.6).encode(x=x, y=y),
        alt.Chart(points).mark_point(color=BLUE, filled=True, size=32, opacity=0.8).encode(x=x, y=y),
    ).properties(width=SIDE, height=SIDE)
    line_of = f"slope {similarity.slope:.2f}, intercept {similarity.intercept:.1f}"
    lines = [
        f"Percentiles 1 to 99 of {len(gaps[0]):,} and {len(gaps[1]):,} gaps. Largest distance of the",
        f"distributions (Kolmogorov-Smirnov): {similarity.statistic:.3f}. Orange line: {line_of}.",
    ]
    return finish(chart, f"Gaps of store {first} and store {second}", lines)


def _gaps_of(log: EventLog, store: object) -> npt.NDArray[np.int64]:
    if log.group_names is None:
        raise DataError("the log has no stores; read it with read_events(…, group='store_id')")
    names = log.group_names.to_list()
    if store not in names:
        some = ", ".join(repr(name) for name in names[:3])
        raise ParameterError(f"there is no store {store!r} in the log; it has {len(names)}, such as {some}")
    gaps = gaps_by_store(log)[names.index(store)]
    if len(gaps) < 2:
        raise ParameterError(
            f"store {store!r} has {len(gaps)} gaps; expected at least 2: choose a larger one"
        )
    return gaps


def plot_predicted(actual: npt.ArrayLike, predicted: npt.ArrayLike, *, what: str = "gap, days") -> Chart:
    """Show forecasts against what came, on logarithmic axes.

    Parameters
    ----------
    actual, predicted : array-like, shape (n,)
        Positive numbers, such as gaps; 0 is drawn at 1. Of many, every k-th pair is drawn.
    what : str
        What the numbers are.

    Examples
    --------
    >>> chart = plot_predicted([7, 14, 30], [8, 12, 45])
    >>> chart.to_dict()["title"]["text"]
    'Predicted against actual'
    """
    truth, forecast = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.shape != forecast.shape or truth.ndim != 1 or not len(truth):
        raise ParameterError(
            f"actual is of shape {truth.shape}, predicted of {forecast.shape}; expected one forecast for each"
        )
    step = -(-len(truth) // _MOST_POINTS)
    points = pl.DataFrame(
        {"actual": np.maximum(truth, 1.0)[::step], "predicted": np.maximum(forecast, 1.0)[::step]}
    )
    most = 1.3 * float(points.to_numpy().max())
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000) if tick <= most]
    titles = (f"actual {what}", f"predicted {what}")
    axis = alt.Axis(values=ticks)
    x, y, diagonal = equal_axes(("actual", "predicted"), titles, (0.8, most), kind="log", axis=axis)
    chart = alt.layer(
        diagonal,
        alt.Chart(points).mark_point(color=BLUE, filled=True, size=26, opacity=0.35).encode(x=x, y=y),
    ).properties(width=SIDE, height=SIDE)
    error = float(np.mean(np.abs(truth - forecast)))
    middle = float(np.median(np.abs(truth - forecast)))
    lines = [
        f"{len(truth):,} forecasts; mean absolute error {error:.1f}, median {middle:.1f}. Dashed: no error."
    ]
    return finish(chart, "Predicted against actual", lines)
