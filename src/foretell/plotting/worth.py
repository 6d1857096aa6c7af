"""What visits are worth: one customer's spend so far and to come, and the value of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt
import numpy as np
import polars as pl

from foretell.core.time import period_edges
from foretell.plotting.charts import BLUE, GREY, INK, WIDTH, Chart, finish, moments, spelled
from foretell.plotting.gaps import position

if TYPE_CHECKING:
    from foretell.data.tables import CountModel

_HEIGHT: Final = 320
_LEVELS: Final = (50, 80, 95)
_PARTS: Final = 10  # of the customers, by value


def plot_spend(
    model: CountModel,
    id: object,  # noqa: A002  # as in read_events
    *,
    horizon: str | int = "26w",
    mark: str = "amount",
) -> Chart:
    """Show what one customer has spent, added up, and how it may go on.

    Bands are the central 50, 80 and 95 % intervals of the sum at the end of each week.

    Parameters
    ----------
    model : forecaster of events
        Fitted; one that says how many visits to expect.
    id : object
        A customer of the model's log.
    horizon : str or int
        How far ahead.
    mark : str
        The log's mark that is an amount.

    Raises
    ------
    DataError
        The log has no such mark.
    ParameterError
        There is no such customer, or the model says no numbers of visits.

    Examples
    --------
    >>> rows = ft.datasets.load_cdnow(sample=True)
    >>> paid = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    >>> model = ft.baselines.ParetoNBD().fit(paid, as_of="1997-09-30")
    >>> plot_spend(model, 111).to_dict()["title"]["text"]
    'Customer 111: amount so far, and to come'
    """
    from foretell.spend.forecasts import predict_spend  # noqa: PLC0415  # its distributions are slow to load
    from foretell.spend.gamma_gamma import mark_of  # noqa: PLC0415

    log = model.log_
    place = position(log, id)
    own = slice(log.offsets[place], log.offsets[place + 1])
    amounts = np.nan_to_num(mark_of(log, mark)[own])
    so_far = float(amounts.sum())
    ends = period_edges(log.ticks_of(horizon), log.ticks_of("7d"))
    row = predict_spend(model, ends.tolist(), _LEVELS, [id], mark).row(0, named=True)
    reached = np.append(log.as_of, log.as_of + ends)
    ahead = {"ds": moments(reached + 1, log), "y": _upon(so_far, row, "expected_spend_{}t", ends.tolist())}
    for level in _LEVELS:
        for side in ("lo", "hi"):
            ahead[f"{side}-{level}"] = _upon(
                so_far, row, f"expected_spend_{{}}t-{side}-{level}", ends.tolist()
            )
    expected = pl.DataFrame(ahead)
    times = np.concatenate([log.times[own][:1], log.times[own], [log.as_of + 1]])
    sums = np.concatenate([[0.0], np.cumsum(amounts), [so_far]])
    past = pl.DataFrame({"ds": moments(times, log), "y": sums})
    last = expected.row(-1, named=True)
    visits = f"{len(amounts)} visit{'s' if len(amounts) > 1 else ''}"
    low, high = (f"{last[name] - so_far:,.0f}" for name in ("lo-80", "hi-80"))
    lines = [
        (
            f"{visits}, {so_far:,.0f} in all as of {spelled(log.as_of, log)}; one to come is worth "
            f"{row['spend_per_visit']:,.2f}."
        ),
        (
            f"Up to {spelled(int(reached[-1]), log)} expect {last['y'] - so_far:,.0f}; the 80% interval runs "
            f"from {low} to {high}."
        ),
    ]
    chart = _cumulative(past, expected, f"{mark}, added up")
    return finish(chart, f"Customer {id}: {mark} so far, and to come", lines)


def _upon(so_far: float, row: dict[str, float], name: str, ends: list[int]) -> list[float]:
    """Return what is there already, and upon it what comes by each end."""
    return [so_far, *(so_far + row[name.format(end)] for end in ends)]


def _cumulative(past: pl.DataFrame, expected: pl.DataFrame, title: str) -> alt.LayerChart:
    axis = alt.Axis(grid=False, format="%b %Y", labelOverlap="greedy", labelSeparation=14)
    x, y = alt.X("ds:T", title=None, axis=axis), alt.Y("y:Q", title=title, scale=alt.Scale(zero=True))
    tips = [
        alt.Tooltip("ds:T", format="%d %b %Y", title="up to"),
        alt.Tooltip("y:Q", format=",.2f", title=title),
    ]
    layers = []
    for level in sorted(_LEVELS, reverse=True):
        band = expected.select("ds", low=f"lo-{level}", high=f"hi-{level}")
        area = alt.Chart(band).mark_area(color=BLUE, opacity=0.16)
        layers.append(area.encode(x=x, y=alt.Y("low:Q", title=title), y2="high:Q"))
    steps = alt.Chart(past).mark_line(color=INK, strokeWidth=1.6, interpolate="step-after")
    layers.append(steps.encode(x=x, y=y, tooltip=tips))
    layers.append(alt.Chart(expected).mark_line(color=BLUE, strokeWidth=2.4).encode(x=x, y=y, tooltip=tips))
    cut = alt.Chart(expected.head(1).select("ds")).mark_rule(color=GREY, strokeDash=[5, 3]).encode(x=x)
    return alt.layer(*layers, cut).properties(width=WIDTH, height=_HEIGHT)


def plot_value(
    model: CountModel, horizon: str | int = "1y", *, discount: float = 0.1, mark: str = "amount"
) -> Chart:
    """Show which part of the value of today's customers lies with how few of them.

    Customers are sorted by the value of their visits to come, the best first, and split into ten equal parts.

    Parameters
    ----------
    model : forecaster of events
        Fitted; one that says how many visits to expect.
    horizon : str or int
        How far ahead visits count.
    discount : float
        Interest of a year.
    mark : str
        The log's mark that is an amount.

    Raises
    ------
    DataError
        The log has no such mark.
    ParameterError
        The model says no numbers of visits.

    Examples
    --------
    >>> rows = ft.datasets.load_cdnow(sample=True)
    >>> paid = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    >>> model = ft.baselines.ParetoNBD().fit(paid, as_of="1997-09-30")
    >>> plot_value(model).to_dict()["title"]["text"]
    "Value of today's customers until 30 Sep 1998"
    """
    from foretell.spend.forecasts import predict_value  # noqa: PLC0415

    log = model.log_
    values = np.sort(predict_value(model, horizon, discount, None, mark)["value"].to_numpy())[::-1]
    parts = np.array_split(values, min(_PARTS, len(values)))
    total = max(float(values.sum()), 1e-9)
    table = pl.DataFrame(
        {
            "part": np.arange(1, len(parts) + 1),
            "share": [float(part.sum()) / total for part in parts],
            "mean": [float(part.mean()) for part in parts],
            "least": [float(part.min()) for part in parts],
            "most": [float(part.max()) for part in parts],
            "customers": [len(part) for part in parts],
        }
    )
    lines = [
        f"{log.n_customers:,} customers known by {spelled(log.as_of, log)}, worth {total:,.0f} ({mark}).",
        f"At {100 * discount:g}% interest a year. Above the bars: what one customer is worth on average.",
    ]
    title = f"Value of today's customers until {spelled(log.as_of + log.ticks_of(horizon), log)}"
    return finish(_shares(table), title, lines)


def _shares(table: pl.DataFrame) -> alt.LayerChart:
    """Draw the share of each part in the whole."""
    top = 1.12 * float(np.max(table["share"].to_numpy()))
    base = alt.Chart(table.with_columns(label=pl.Series([_amount(mean) for mean in table["mean"]]))).encode(
        x=alt.X("part:O", title="customers by value, in ten equal parts", axis=alt.Axis(labelAngle=0)),
        y=alt.Y(
            "share:Q",
            title="share of the whole value",
            axis=alt.Axis(format="%"),
            scale=alt.Scale(domain=[0, top]),
        ),
        tooltip=[
            alt.Tooltip("customers:Q", format=","),
            alt.Tooltip("share:Q", format=".1%"),
            *(
                alt.Tooltip(f"{name}:Q", format=",.2f", title=f"{name} value")
                for name in ("most", "mean", "least")
            ),
        ],
    )
    return alt.layer(
        base.mark_bar(color=BLUE, opacity=0.85, width={"band": 0.8}),
        base.mark_text(dy=-8, color=INK, fontSize=12).encode(text="label:N"),
    ).properties(width=WIDTH, height=_HEIGHT)


def _amount(value: float) -> str:
    """Return an amount in few signs.

    Examples
    --------
    >>> _amount(1234.5), _amount(3.456)
    ('1,234', '3.5')
    """
    return f"{value:,.0f}" if value >= 10 else f"{value:,.1f}"
