"""Gaps in pictures: two stores side by side, forecast against truth, a customer's next event."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import IntArray
from foretell.data.log import EventLog
from foretell.errors import DataError, ParameterError
from foretell.events.similarity import compare_gaps, quantile_points
from foretell.events.stores import gaps_by_store
from foretell.plotting.charts import (
    BLUE,
    GREY,
    INK,
    SIDE,
    VERMILION,
    WIDTH,
    Chart,
    equal_axes,
    finish,
    moments,
    needs_forecaster,
    needs_mixture,
    percent,
    spelled,
)

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster


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


_HEIGHT = 270
_STROKE = 34
_MOST_BARS = 130


def plot_next_event(
    model: EventForecaster,
    id: object,  # noqa: A002  # as in read_events
    *,
    actual: object = None,
) -> Chart:
    """Show one customer's visits and the distribution of the next one.

    Bars give the probability that the next visit falls on that day (or week, where it may be far away),
    given that the customer returns; the title says how likely a return is at all. Dark bars are the central
    80 % interval.

    Parameters
    ----------
    model : EventForecaster
        Fitted.
    id : object
        A customer of the model's log.
    actual : date or str, optional
        When the customer really came next, where that is known by now.

    Raises
    ------
    ParameterError
        The log has no such customer.

    Examples
    --------
    >>> model = ft.EventForecaster(model="prior").fit(log, as_of="1997-09-30")
    >>> chart = plot_next_event(model, 4)
    >>> chart.to_dict()["title"]["text"]
    'Customer 4: when is the next visit?'
    """
    log = model.log_
    needs_forecaster(model)
    if not model.answers_any_horizon:
        needs_mixture(model)
    one = log.take([position(log, id)])
    visits = one.times
    answer = model.predict(["30d"], [80], [id]).row(0, named=True)
    median, first, last = (
        _tick(answer[name], log) for name in ("next_event", "next_event-lo-80", "next_event-hi-80")
    )
    active, high = answer["p_active"], last - log.as_of
    visit = None if actual is None else log.last_tick(actual)
    # Past two years the axis would show little else than the tail.
    ahead = int(np.clip(np.ceil(1.5 * high), log.ticks_of("14d"), log.ticks_of("730d")))
    ahead = ahead if visit is None else max(ahead, visit + 1 - log.as_of)
    step, width = _bar(log, ahead)
    ahead = -(-ahead // step) * step
    edges = np.arange(0, ahead + 1, step)
    reached = np.append(0.0, np.asarray(model.return_chances(one, edges[1:]))[0]) / max(active, 1e-9)
    bars = _bars(np.diff(reached), log, edges, (first, last))
    left = max(int(visits[0]), log.as_of - max(2 * ahead, log.ticks_of("60d")))
    shown = visits[visits >= left]
    left = int(shown[0]) if len(shown) else left
    scale = alt.Scale(domain=moments([left - ahead // 40 - 1, log.as_of + ahead + 1], log), nice=False)
    layers = [
        _distribution(bars, scale, f"chance per {width}, given a return"),
        *_history(shown, len(visits), log),
        *_mark(log.as_of + 1, f"as of {spelled(log.as_of, log)}", log, GREY, align="right"),
    ]
    if median <= log.as_of + ahead:
        layers += _mark(median, f"median {spelled(median, log)}", log, INK, align="left")
    later = 1.0 - float(bars["chance"].sum())
    if later >= 0.02:
        label = f"{percent(later)} later →"
        layers.append(_text(log.as_of + ahead + 1, label, log, GREY, y=24, align="right", dx=-4))
    lines = [
        f"Still active: {percent(active)}. Returns within 30 days: {percent(answer['p_return_30d'])}.",
        _spelled_interval((first, last), log),
    ]
    if visit is not None:
        layers.append(_strokes([visit], log, VERMILION, 4.0))
        lines[0] += f" Came on {spelled(visit, log)} (orange)."
    chart = alt.layer(*layers).properties(width=WIDTH, height=_HEIGHT)
    return finish(chart, f"Customer {id}: when is the next visit?", lines)


def _spelled_interval(interval: tuple[int, int], log: EventLog) -> str:
    first, last = interval
    ends = spelled(last, log)
    if last - log.as_of > log.ticks_of("3653d"):
        ends = "a day more than ten years ahead"
    return f"Given a return, the 80% interval runs from {spelled(first, log)} to {ends} (dark bars)."


def position(log: EventLog, customer: object) -> int:
    """Return the place of a customer in a log; refuse one whom it does not know."""
    try:
        places = np.flatnonzero(log.ids.is_in([customer]).to_numpy())
    except (TypeError, pl.exceptions.PolarsError):
        places = np.array([], dtype=np.int64)
    if not len(places):
        some = ", ".join(repr(known) for known in log.ids.head(3).to_list())
        raise ParameterError(
            f"there is no customer {customer!r} in the log; its ids are {log.ids.dtype}, such as {some}"
        )
    return int(places[0])


def _tick(moment: object, log: EventLog) -> int:
    """Return the tick of a date of a table of answers."""
    return int(log.axis.last_step(np.datetime64(moment, "us").astype(np.int64)))  # type: ignore[call-overload]


def _bar(log: EventLog, ahead: int) -> tuple[int, str]:
    """Return the width of a bar, in ticks and by its name: the narrowest that leaves the bars readable."""
    steps = [(1, str(log.unit)), (log.ticks_of("1d"), "day"), (log.ticks_of("7d"), "week")]
    return next((pair for pair in steps if ahead / pair[0] <= _MOST_BARS), steps[-1])


def _bars(chances: npt.ArrayLike, log: EventLog, edges: IntArray, interval: tuple[int, int]) -> pl.DataFrame:
    """Return the probability of each bar given a return, and whether it touches the interval."""
    return pl.DataFrame(
        {
            "from": moments(log.as_of + 1 + edges[:-1], log),
            "to": moments(log.as_of + 1 + edges[1:], log),
            "chance": np.asarray(chances),
            "inside": (log.as_of + edges[1:] >= interval[0]) & (log.as_of + 1 + edges[:-1] <= interval[1]),
        }
    )


def _distribution(bars: pl.DataFrame, scale: alt.Scale, title: str) -> Chart:
    colours = alt.Scale(domain=[True, False], range=[BLUE, "#A9CDE3"])
    x_axis = alt.Axis(grid=False, labelOverlap=True, labelSeparation=10)
    y_axis = alt.Axis(format="~%", tickCount=5)
    return (
        alt.Chart(bars)
        .mark_bar(stroke="white", strokeWidth=0.4)
        .encode(
            x=alt.X("from:T", title=None, scale=scale, axis=x_axis),
            x2="to:T",
            y=alt.Y("chance:Q", title=title, axis=y_axis),
            y2=alt.datum(0),
            color=alt.Color("inside:N", scale=colours, legend=None),
            tooltip=[alt.Tooltip("from:T"), alt.Tooltip("chance:Q", format=".2%")],
        )
    )


def _history(shown: IntArray, n_visits: int, log: EventLog) -> list[Chart]:
    """Return the visits as strokes on the axis, and their number above them."""
    label = f"{n_visits} visit{'s' if n_visits > 1 else ''}"
    if len(shown) < n_visits:
        label += f", {len(shown)} of them shown"
    middle = (int(shown[0]) + log.as_of) // 2 if len(shown) else log.as_of - log.ticks_of("30d")
    text = _text(middle, label, log, INK, y=_HEIGHT - _STROKE - 10)
    return [_strokes(shown, log, INK, 1.6), text]


def _strokes(ticks: npt.ArrayLike, log: EventLog, colour: str, width: float) -> Chart:
    when = pl.Series("when", moments(ticks, log, middle=True), dtype=pl.Datetime("us"))
    line = alt.Chart(when.to_frame()).mark_rule(color=colour, strokeWidth=width)
    return line.encode(x="when:T", y=alt.value(_HEIGHT - _STROKE), y2=alt.value(_HEIGHT))


def _mark(tick: int, label: str, log: EventLog, colour: str, *, align: str) -> list[Chart]:
    """Return a vertical line, labelled at the top: in a tick's middle, or before its beginning."""
    line = alt.Chart(pl.DataFrame({"when": moments(tick, log, middle=align == "left")}))
    shift = 5 if align == "left" else -5
    return [
        line.mark_rule(color=colour, strokeWidth=1.5, strokeDash=[5, 3]).encode(x="when:T"),
        _text(tick, label, log, colour, y=6, align=align, dx=shift, fontWeight="bold"),
    ]


def _text(tick: int, label: str, log: EventLog, colour: str, *, y: float, **look: str | float) -> Chart:
    when = moments(tick, log, middle=look.get("align") == "left")
    data = alt.Chart(pl.DataFrame({"when": when, "label": [label]}))
    text = data.mark_text(color=colour, fontSize=12, **look)
    return text.encode(x="when:T", y=alt.value(y), text="label:N")
