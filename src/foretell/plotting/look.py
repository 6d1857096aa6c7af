"""The common look: colours that a colour-blind reader can tell apart, quiet axes, room for direct labels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np

from foretell.data.log import EventLog
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

# Okabe and Ito's palette, without its yellow, which is too light for lines.
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
)
INK, GREY, PALE = "#222222", "#777777", "#DDDDDD"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, GREY)
WIDTH = 690  # with the axis and its labels about 800 pixels, the width of a README


def finish(chart: Any, title: str, subtitle: Sequence[str] = ()) -> Any:
    """Give a chart its title and the common look."""
    heading = alt.TitleParams(
        title,
        subtitle=list(subtitle),
        anchor="start",
        frame="group",
        fontSize=17,
        subtitleFontSize=13,
        subtitleColor="#555555",
        subtitlePadding=5,
        offset=14,
        color=INK,
    )
    return (
        chart.properties(title=heading, padding={"left": 8, "right": 8, "top": 8, "bottom": 8})
        .configure(font="Helvetica Neue, Helvetica, Arial, DejaVu Sans, sans-serif", background="white")
        .configure_view(stroke=None)
        .configure_axis(
            labelFontSize=12,
            titleFontSize=12,
            titleFontWeight="normal",
            titleColor="#555555",
            labelColor="#555555",
            gridColor="#EEEEEE",
            domainColor="#AAAAAA",
            tickColor="#AAAAAA",
            titlePadding=8,
        )
        .configure_legend(labelFontSize=12, titleFontSize=12, titleFontWeight="normal")
    )


def ours_first(evaluation: Evaluation) -> list[str]:
    """Return the names of the models, the best first, but our best before all."""
    return sorted(evaluation.table()["model"], key=lambda name: name not in evaluation.ours)


def needs_mixture(model: EventForecaster) -> None:
    """Refuse a forecaster whose head does not know who is still active."""
    if model.model_.network.kind != "mixture":
        raise ParameterError(
            f"the head {model.model_.network.kind!r} does not know who is still active; expected a "
            "forecaster with head='mixture'"
        )


def spelled(tick: int, log: EventLog) -> str:
    """Return a tick's date as people write it: ``3 Oct 1997``, on an hourly clock with the hour."""
    moment = log.date(int(tick)).astype("datetime64[s]").item()
    day = f"{moment.day} {moment:%b %Y}"
    return day if log.unit == "day" else f"{day}, {moment:%H}:00"


def moments(ticks: Any, log: EventLog, *, middle: bool = False) -> list[dt.datetime]:
    """Return ticks as moments for a time axis: where each begins, or its middle."""
    half = dt.timedelta(hours=12 if log.unit == "day" else 0, minutes=0 if log.unit == "day" else 30)
    starts: list[dt.datetime] = log.dates(np.atleast_1d(ticks)).astype("datetime64[us]").tolist()
    return [start + half for start in starts] if middle else starts


def percent(share: float) -> str:
    """Return a probability in per cent, never rounded up to certainty or down to impossibility.

    Examples
    --------
    >>> percent(0.423), percent(0.9999), percent(0.0001)
    ('42%', '> 99%', '< 1%')
    """
    if 0.0 < share < 0.01:
        return "< 1%"
    if 0.99 < share < 1.0:
        return "> 99%"
    return f"{share:.0%}"


def apart(values: Sequence[float], least: float) -> list[float]:
    """Return values moved as little as needed to lie at least so far apart, so that labels do not overlap.

    Examples
    --------
    >>> apart([1.0, 1.2, 5.0], 1.0)
    [0.6, 1.6, 5.0]
    """
    order = np.argsort(values, kind="stable")
    # Each cluster of touching labels keeps its centre: [sum of centres, count].
    clusters: list[list[float]] = []
    for value in np.asarray(values, dtype=np.float64)[order]:
        clusters.append([float(value), 1.0])
        while len(clusters) > 1:
            (low, n_low), (high, n_high) = clusters[-2:]
            if high / n_high - low / n_low >= least * (n_low + n_high) / 2:
                break
            clusters[-2:] = [[low + high, n_low + n_high]]
    placed = [
        total / count + least * (k - (count - 1) / 2) for total, count in clusters for k in range(int(count))
    ]
    out = [0.0] * len(placed)
    for position, value in zip(order, placed, strict=True):
        out[int(position)] = round(value, 9)
    return out
