"""Gaps in pictures: two stores side by side, forecast against truth, and how training went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError
from foretell.events.stores.plan import gaps_by_store
from foretell.events.stores.similarity import compare_gaps, quantile_points
from foretell.nn.training import Progress
from foretell.plotting.look import BLUE, GREY, VERMILION, WIDTH, finish

_SIDE = 430
_HEIGHT = 270
_MOST_POINTS = 3_000


def plot_qq(log: EventLog, first: Any, second: Any) -> Any:
    """Show the gaps of two stores against each other, percentile by percentile.

    Points on the grey diagonal: the gaps have the same distribution. Points on another line: one is the other
    stretched (slope) and moved (intercept). A customer's gaps count for the store that it visits most.

    Parameters
    ----------
    log : EventLog
        With groups.
    first, second : object
        Two stores, as in ``log.group_names``.

    Returns
    -------
    altair.LayerChart

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
    found = compare_gaps(*gaps)
    points = pl.DataFrame({"first": quantile_points(gaps[0]), "second": quantile_points(gaps[1])})
    most = 1.05 * max(float(points.to_numpy().max()), 1.0)
    ends = np.array([0.0, most])
    inside = np.clip((ends - found.intercept) / found.slope, 0.0, most)
    line = pl.DataFrame({"first": inside, "second": found.slope * inside + found.intercept})
    scale = alt.Scale(domain=[0, most], nice=False)
    x = alt.X("first:Q", title=f"gaps of store {first}, {log.unit}s", scale=scale)
    y = alt.Y("second:Q", title=f"gaps of store {second}, {log.unit}s", scale=scale)
    diagonal = pl.DataFrame({"first": ends, "second": ends})
    chart = alt.layer(
        alt.Chart(diagonal).mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        alt.Chart(line).mark_line(color=VERMILION, strokeWidth=1.6).encode(x=x, y=y),
        alt.Chart(points).mark_point(color=BLUE, filled=True, size=32, opacity=0.8).encode(x=x, y=y),
    ).properties(width=_SIDE, height=_SIDE)
    line_of = f"slope {found.slope:.2f}, intercept {found.intercept:.1f}"
    lines = [
        f"Percentiles 1 to 99 of {len(gaps[0]):,} and {len(gaps[1]):,} gaps. Largest distance of the",
        f"distributions (Kolmogorov-Smirnov): {found.statistic:.3f}. Orange line: {line_of}.",
    ]
    return finish(chart, f"Gaps of store {first} and store {second}", lines)


def _gaps_of(log: EventLog, store: Any) -> npt.NDArray[np.int64]:
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


def plot_predicted(actual: npt.ArrayLike, predicted: npt.ArrayLike, *, what: str = "gap, days") -> Any:
    """Show forecasts against what came, on logarithmic axes.

    Parameters
    ----------
    actual, predicted : array-like, shape (n,)
        Positive numbers, such as gaps; 0 is drawn at 1. Of many, every k-th pair is drawn.
    what : str
        What the numbers are.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> chart = plot_predicted([7, 14, 30], [8, 12, 45])
    >>> chart.to_dict()["title"]["text"]
    'Predicted against actual'
    """
    truth, said = np.asarray(actual, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    if truth.shape != said.shape or truth.ndim != 1 or not len(truth):
        raise ParameterError(
            f"actual is of shape {truth.shape}, predicted of {said.shape}; expected one forecast for each"
        )
    step = -(-len(truth) // _MOST_POINTS)
    points = pl.DataFrame(
        {"actual": np.maximum(truth, 1.0)[::step], "predicted": np.maximum(said, 1.0)[::step]}
    )
    most = 1.3 * float(points.to_numpy().max())
    scale = alt.Scale(type="log", domain=[0.8, most], nice=False)
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000) if tick <= most]
    x = alt.X("actual:Q", title=f"actual {what}", scale=scale, axis=alt.Axis(values=ticks))
    y = alt.Y("predicted:Q", title=f"predicted {what}", scale=scale, axis=alt.Axis(values=ticks))
    diagonal = pl.DataFrame({"actual": [0.8, most], "predicted": [0.8, most]})
    chart = alt.layer(
        alt.Chart(diagonal).mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        alt.Chart(points).mark_point(color=BLUE, filled=True, size=26, opacity=0.35).encode(x=x, y=y),
    ).properties(width=_SIDE, height=_SIDE)
    error = float(np.mean(np.abs(truth - said)))
    middle = float(np.median(np.abs(truth - said)))
    lines = [
        f"{len(truth):,} forecasts; mean absolute error {error:.1f}, median {middle:.1f}. Dashed: no error."
    ]
    return finish(chart, "Predicted against actual", lines)


def plot_training(epochs: Sequence[Progress]) -> Any:
    """Show the loss after each epoch, of training and of held-out customers.

    Parameters
    ----------
    epochs : sequence of Progress
        What ``fit(…, progress=epochs.append)`` has collected.

    Returns
    -------
    altair.HConcatChart

    Examples
    --------
    >>> from foretell.nn.training import Progress
    >>> chart = plot_training([Progress(0, 1, 2, 4.1, 4.2), Progress(0, 2, 2, 4.0, 4.15)])
    >>> chart.to_dict()["title"]["text"]
    'Training, epoch by epoch'
    """
    if not epochs:
        raise ParameterError("epochs is empty; collect them by fit(…, progress=epochs.append)")
    panels = []
    for name, colour in (("training", BLUE), ("held out", VERMILION)):
        field = "loss" if name == "training" else "validation_loss"
        rows = [{"epoch": e.epoch, "loss": getattr(e, field), "member": e.member} for e in epochs]
        # Two scales: other customers, with more or fewer visits, have another loss.
        loss = alt.Y("loss:Q", title=f"loss per customer, {name}", scale=alt.Scale(zero=False))
        panels.append(
            alt.Chart(pl.DataFrame(rows))
            .mark_line(strokeWidth=1.8, color=colour)
            .encode(x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")), y=loss, detail="member:N")
            .properties(width=WIDTH // 2 - 45, height=_HEIGHT)
        )
    members = len({one.member for one in epochs})
    networks = f"{members} network{'s' if members > 1 else ''}"
    lines = [f"{networks}; the epoch is kept that is best for held-out customers."]
    return finish(alt.hconcat(*panels), "Training, epoch by epoch", lines)
