"""Whether the quantiles of series' forecasts hold."""

from __future__ import annotations

from typing import Any

import altair as alt
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.series_folds import LEVELS, quantile_column
from foretell.plotting.look import GREY, PALETTE, finish

_SIDE = 400


def plot_quantiles(evaluation: Evaluation) -> Any:
    """Show which share of the held-back values lay below each forecast quantile.

    Parameters
    ----------
    evaluation : Evaluation
        Of series.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 4]})
    >>> evaluation = ft.evaluate(panel, horizon=3, models=["naive"], season=3)
    >>> plot_quantiles(evaluation).to_dict()["title"]["text"]
    'Values below each quantile: forecast against actual'
    """
    if "q0.2" not in evaluation.columns:
        raise ParameterError("only series are forecast by quantiles; of visits look at plot_pit")
    names = evaluation.table()["model"].to_list()
    shares = [(pl.col("y") <= pl.col(quantile_column(level))).mean().alias(str(level)) for level in LEVELS]
    below = evaluation.scan().group_by("model").agg(shares).collect()
    points = below.unpivot(index="model", variable_name="level", value_name="below").cast(
        {"level": pl.Float64}
    )
    points = points.drop_nulls().sort("level")
    n_values = int(evaluation.scan().select(pl.col("y").count()).collect().item()) // len(names)
    scale = alt.Scale(domain=[0, 1])
    axis = alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    x = alt.X("level:Q", title="forecast quantile", scale=scale, axis=axis)
    y = alt.Y("below:Q", title="share of the values below it", scale=scale, axis=axis)
    colours = alt.Scale(domain=names, range=[PALETTE[k % len(PALETTE)] for k in range(len(names))])
    legend = alt.Legend(title=None, orient="top-left", offset=8)
    diagonal = pl.DataFrame({"level": [0.0, 1.0], "below": [0.0, 1.0]})
    lines = alt.Chart(points).mark_line(point=True, strokeWidth=1.6)
    chart = alt.layer(
        alt.Chart(diagonal).mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        lines.encode(x=x, y=y, color=alt.Color("model:N", scale=colours, legend=legend)),
    ).properties(width=_SIDE, height=_SIDE)
    lines_of_text = [f"{n_values:,} values. On the dashed line the quantiles hold."]
    return finish(chart, "Values below each quantile: forecast against actual", lines_of_text)
