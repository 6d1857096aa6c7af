"""Whether the quantiles of series' forecasts hold."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import polars as pl

from foretell.evaluation.series_leaderboard import LEVELS, SeriesLeaderboard
from foretell.plotting.look import GREY, PALETTE, finish

_SIDE = 400


def plot_quantiles(board: SeriesLeaderboard) -> Any:
    """Show which share of the held-back values lay below each forecast quantile.

    Parameters
    ----------
    board : SeriesLeaderboard

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4]})
    >>> board = ft.evaluate(panel, horizon=3, models=["naive"], season=3)
    >>> plot_quantiles(board).to_dict()["title"]["text"]
    'Values below each quantile: forecast against actual'
    """
    known = ~np.isnan(board.truth)
    names = [row.model for row in board.rows]
    parts = [
        pl.DataFrame(
            {
                "model": name,
                "level": LEVELS,
                "below": [
                    float(np.mean(board.truth[known] <= board.quantiles[name][known][:, k])) for k in range(9)
                ],
            }
        )
        for name in names
    ]
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    x = alt.X("level:Q", title="forecast quantile", scale=scale, axis=axis)
    y = alt.Y("below:Q", title="share of the values below it", scale=scale, axis=axis)
    colours = alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])
    legend = alt.Legend(title=None, orient="top-left", offset=8)
    diagonal = pl.DataFrame({"level": [0.0, 1.0], "below": [0.0, 1.0]})
    lines = alt.Chart(pl.concat(parts)).mark_line(point=True, strokeWidth=1.6)
    chart = alt.layer(
        alt.Chart(diagonal).mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        lines.encode(x=x, y=y, color=alt.Color("model:N", scale=colours, legend=legend)),
    ).properties(width=_SIDE, height=_SIDE)
    lines_of_text = [f"{int(known.sum()):,} values. On the dashed line the quantiles hold."]
    return finish(chart, "Values below each quantile: forecast against actual", lines_of_text)
