"""Who is still a customer: the map of visits so far and silence since the last one."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import altair as alt
import numpy as np
import polars as pl

from foretell.plotting.look import WIDTH, finish, needs_mixture, spelled

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

# Lower edges of the rows; customers with many visits are few, so that rows grow.
_EDGES = (1, 2, 3, 4, 5, 7, 10, 15, 25, 50, 100, 200, 500, 1000)
_COLUMNS = 10
_FEWEST = 0.004


def plot_activity(model: EventForecaster) -> Any:
    """Show the mean probability of being active by number of visits and weeks of silence.

    A cell stands for real customers of the log, and says how many they are; cells without any stay empty.

    Parameters
    ----------
    model : EventForecaster
        Fitted.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> model = ft.load("model/")  # doctest: +SKIP
    >>> plot_activity(model)  # doctest: +SKIP
    """
    log = model.log_
    needs_mixture(model)
    cells, rows, columns = _cells(model)
    x = alt.X("silence:O", sort=columns, title="weeks since the last visit", axis=alt.Axis(labelAngle=0))
    y = alt.Y("visits:O", sort=rows[::-1], title="visits so far")
    base = alt.Chart(cells).encode(x=x, y=y)
    ink = alt.when(alt.datum.p_active > 0.55).then(alt.value("white")).otherwise(alt.value("#222222"))
    height = 44 * len(rows)
    chart = alt.layer(
        base.mark_rect(stroke="white", strokeWidth=2).encode(
            color=alt.Color("p_active:Q", scale=alt.Scale(scheme="blues", domain=[0, 1]), legend=None),
            tooltip=[alt.Tooltip("p_active:Q", format=".1%"), "customers:Q"],
        ),
        base.mark_text(fontSize=13, fontWeight="bold", dy=-6).encode(
            text=alt.Text("p_active:Q", format=".0%"), color=ink
        ),
        base.mark_text(fontSize=10, dy=9, opacity=0.85).encode(
            text=alt.Text("customers:Q", format=","), color=ink
        ),
    ).properties(width=WIDTH, height=height)
    lines = ["Mean P(active) of the customers in each cell; below it, in small figures, how many they are."]
    lines.append(f"{log.n_customers:,} customers as of {spelled(log.as_of, log)}.")
    return finish(chart, "Who is still active?", lines)


def _cells(model: EventForecaster) -> tuple[pl.DataFrame, list[str], list[str]]:
    """Return one row per cell, and the labels of rows and columns in order."""
    log = model.log_
    active = model.predict(horizons=[], levels=[])["p_active"].to_numpy()
    silence = (log.as_of - log.last) // log.ticks_of("7d")
    width = max(1, math.ceil((int(silence.max()) + 1) / _COLUMNS))
    column = silence // width
    edges = [edge for edge in _EDGES if edge == 1 or np.mean(log.counts >= edge) >= _FEWEST]
    row = np.searchsorted(edges, log.counts, side="right") - 1
    rows = [_span(low, high - 1) for low, high in itertools.pairwise(edges)] + [f"{edges[-1]}+"]
    columns = [_span(k * width, (k + 1) * width - 1) for k in range(int(column.max()) + 1)]
    cells = (
        pl.DataFrame({"row": row, "column": column, "p_active": active})
        .group_by("row", "column")
        .agg(pl.col("p_active").mean(), customers=pl.len())
        .sort("row", "column")
        .with_columns(
            visits=pl.col("row").replace_strict(dict(enumerate(rows)), return_dtype=pl.String),
            silence=pl.col("column").replace_strict(dict(enumerate(columns)), return_dtype=pl.String),
        )
        .drop("row", "column")
    )
    return cells, rows, columns


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"
