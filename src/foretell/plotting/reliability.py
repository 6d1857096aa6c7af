"""Whether a forecast of 20 % comes true in 20 of 100 cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.plotting.look import GREY, PALETTE, finish, ours_first, spelled
from foretell.stats import event_metrics as metrics

_SIDE = 430
_WINDOW = "30d"
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")


def plot_reliability(evaluation: Evaluation, *, models: Sequence[str] | None = None, bins: int = 10) -> Any:
    """Show how often customers returned within 30 days, against the forecast probability.

    Each model's customers are sorted by its probability and parted into bins of equal counts. Both axes are
    square-root scales: most probabilities are small.

    Parameters
    ----------
    evaluation : Evaluation
    models : sequence of str, optional
        Which models; by default all that forecast the probability.
    bins : int

    Returns
    -------
    altair.LayerChart

    Raises
    ------
    ParameterError
        None of the models forecasts a probability, or the log ends within 30 days after the cut-off.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.datasets import load_cdnow
    >>> log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")
    >>> evaluation = ft.evaluate(log, "1997-09-30", models=["bg/nbd"])
    >>> plot_reliability(evaluation).to_dict()["title"]["text"]
    'A return within 30 days: forecast against actual'
    """
    points = _points(evaluation, models, bins)
    names = points["model"].unique(maintain_order=True).to_list()
    # Room beyond the outermost point; a square picture, so that the diagonal is one.
    most = min(1.0, 1.08 * float(np.max(points.select("forecast", "high").to_numpy())))
    scale = alt.Scale(type="sqrt", domain=[0, most], nice=False)
    axis = alt.Axis(format="%", values=[v for v in _GRID if v <= most])
    x = alt.X("forecast:Q", title="forecast probability (mean of the bin)", scale=scale, axis=axis)
    y = alt.Y("observed:Q", title="share of the bin that returned", scale=scale, axis=axis)
    legend = alt.Legend(title=None, orient="top-left", offset=8)
    colour = alt.Color(
        "model:N", sort=names, scale=alt.Scale(domain=names, range=_cycled(PALETTE, names)), legend=legend
    )
    shape = alt.Shape(
        "model:N", sort=names, scale=alt.Scale(domain=names, range=_cycled(_SHAPES, names)), legend=legend
    )
    diagonal = pl.DataFrame({"forecast": [0.0, most], "observed": [0.0, most]})
    base = alt.Chart(points)
    chart = alt.layer(
        alt.Chart(diagonal).mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        base.transform_filter(alt.datum.model == names[0])
        .mark_rule(color=PALETTE[0], strokeWidth=1.2)
        .encode(x=x, y=alt.Y("low:Q", scale=scale), y2="high:Q"),
        base.mark_line(strokeWidth=1.2, opacity=0.6).encode(x=x, y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=0.95).encode(x=x, y=y, color=colour, shape=shape),
    ).properties(width=_SIDE, height=_SIDE)
    train = evaluation.train
    lines = [
        f"{train.n_customers:,} customers as of {spelled(train.as_of, train)}, in {bins} equal bins.",
        f"On the dashed line forecasts come true. Bars: 80% interval of chance, for {names[0]}.",
    ]
    return finish(chart, "A return within 30 days: forecast against actual", lines)


_GRID = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def _cycled(values: Sequence[str], names: Sequence[str]) -> list[str]:
    return [values[k % len(values)] for k in range(len(names))]


def _points(evaluation: Evaluation, models: Sequence[str] | None, bins: int) -> pl.DataFrame:
    if "p_return" not in evaluation.columns:
        raise ParameterError("only visits have a probability of a return; of series look at plot_quantiles")
    rows = evaluation.rows().select("model", "returned", "p_return").drop_nulls("returned")
    if not len(rows):
        raise ParameterError(
            f"the log ends less than 30 days after the cut-off {evaluation.cutoff}: who returned is not "
            "known; choose an earlier cut-off"
        )
    evaluation.check_names(list(models or ()))
    parts = []
    for name in models or ours_first(evaluation):
        known = rows.filter(pl.col("model") == name).drop_nulls()
        if not len(known):
            continue
        table = metrics.reliability(known["returned"].to_numpy(), known["p_return"].to_numpy(), bins)
        spread = 1.2816 * np.sqrt(table.observed * (1.0 - table.observed) / table.size)
        parts.append(
            pl.DataFrame(
                {
                    "model": [name] * len(table.size),
                    "forecast": table.forecast,
                    "observed": table.observed,
                    "low": np.maximum(table.observed - spread, 0.0),
                    "high": np.minimum(table.observed + spread, 1.0),
                }
            )
        )
    if not parts:
        raise ParameterError("none of these models forecasts the probability of a return")
    return pl.concat(parts)
