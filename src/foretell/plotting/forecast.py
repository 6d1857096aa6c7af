"""Forecasts of series, how errors grow with the step ahead, and what makes the difference."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, cast

import altair as alt
import numpy as np
import polars as pl

from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.plotting.charts import BLUE, GREY, INK, PALETTE, VERMILION, WIDTH, Chart, apart, colours, finish

if TYPE_CHECKING:
    from foretell.evaluation.tuning import SearchResult
    from foretell.explanations.explanation import Explanation
    from foretell.series.forecaster import SeriesForecaster

_HEIGHT = 320
LEVELS = (50, 80, 95)


def plot_forecast(
    source: SeriesForecaster | Evaluation,
    id: object = None,  # noqa: A002  # the option's name everywhere
    *,
    horizon: int | None = None,
    target: str | None = None,
    history: int | None = None,
    panel: Panel | None = None,
) -> Chart:
    """Show one series: its last steps, and the forecast with its 50, 80 and 95 % intervals.

    Parameters
    ----------
    source : SeriesForecaster or Evaluation
        An evaluation shows our model's forecast beside what really happened.
    id : optional
        The series; by default the first.
    horizon : int, optional
        Steps ahead, by default the trained horizon.
    target : str, optional
        By default the first.
    history : int, optional
        Steps to show before the forecast; by default four horizons.
    panel : Panel, optional
        Histories to forecast from, by default those the model was fitted to.

    Raises
    ------
    ParameterError
        There is no such series or target, or no model of ours in the evaluation.
    """
    if isinstance(source, Evaluation):
        if not source.ours:
            raise ParameterError(
                f"the evaluation has no model of ours, but {', '.join(source.names)}; add foretell"
            )
        name = source.ours[0]
        model = cast("SeriesForecaster", source.models[name])
        panel = source.train
        actual = source.fold(len(source.cutoffs) - 1).filter(pl.col("model") == name)
    else:
        model, panel, actual = source, source.panel_ if panel is None else panel, None
    target = panel.targets[panel.target_index(target)]
    series = panel.select([panel.ids[0] if id is None else id])
    steps = model.horizon if horizon is None else horizon
    table = model.predict(series, horizon=horizon, levels=LEVELS)
    last = min(series.n_rows, history or max(4 * steps, 24))
    values = series.values[-last:, panel.targets.index(target)]
    observed = pl.DataFrame({"ds": series.time_of(series.index[-last:]), "y": values})
    if actual is not None:
        truth = actual.filter(pl.col("unique_id") == series.ids[0])
        observed = pl.concat([observed, _of_target(truth, target).drop_nulls("y").select("ds", "y")])
    dated = series.grid.frequency.unit != "number"
    chart = fan(_of_target(table, target), model.name, observed, target, dated=dated)
    subtitle = [f"Blue: {model.name}'s median and 50, 80, 95% intervals. Black: observed."]
    return finish(chart, f"{series.ids[0]}: the next {steps} steps", subtitle)


def _of_target(table: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return the rows of a target; of panels with a single one no column names it."""
    return table.filter(pl.col("target") == target) if "target" in table.columns else table


def fan(table: pl.DataFrame, name: str, observed: pl.DataFrame, target: str, *, dated: bool) -> Chart:
    """Draw what was observed, and a forecast's median and intervals."""
    time = "ds:T" if dated else "ds:Q"
    x = alt.X(time, title=None, axis=alt.Axis(grid=False, labelOverlap="greedy"))
    y = alt.Y("y:Q", title=target, scale=alt.Scale(zero=False))
    layers = []
    for level in sorted(LEVELS, reverse=True):
        interval = table.select("ds", low=f"{name}-lo-{level}", high=f"{name}-hi-{level}")
        area = alt.Chart(interval).mark_area(color=PALETTE[0], opacity=0.16)
        layers.append(area.encode(x=x, y=alt.Y("low:Q", title=target), y2="high:Q"))
    lines = ((observed, "actual", INK, 1.4), (table.select("ds", y=name), name, PALETTE[0], 2.4))
    for data, what, colour, width in lines:
        finite = data.filter(pl.col("y").is_finite()).with_columns(what=pl.lit(what))
        drawn = alt.Chart(finite).mark_line(color=colour, strokeWidth=width)
        layers.append(drawn.encode(x=x, y=y, tooltip=[time, alt.Tooltip("y:Q", format=",.4~g")]))
    cut = alt.Chart(table.head(1).select("ds")).mark_rule(color=GREY, strokeDash=[5, 3])
    return alt.layer(*layers, cut.encode(x=x)).properties(width=WIDTH, height=_HEIGHT)


def plot_error_by_step(evaluation: Evaluation) -> Chart:
    """Show how each model's scaled error of series grows with the step ahead.

    Examples
    --------
    >>> evaluation = ft.evaluate(panel, horizon=3, models=["naive", "drift"], season=3)
    >>> plot_error_by_step(evaluation).to_dict()["title"]["text"]
    'Error by step ahead'
    """
    data = evaluation.error_by_step().filter(pl.col("mase").is_finite())
    names = evaluation.table()["model"].to_list()
    colour = alt.Color("model:N", scale=colours(names), legend=None)
    x = alt.X("step:Q", title="steps ahead", axis=alt.Axis(grid=False, tickMinStep=1))
    y = alt.Y("mase:Q", title="mean absolute scaled error", scale=alt.Scale(zero=True))
    lines = alt.Chart(data).mark_line(strokeWidth=2.2, point=evaluation.horizon == 1)
    lines = lines.encode(x=x, y=y, color=colour)
    ends = data.group_by("model", maintain_order=True).last()
    places = apart(ends["mase"].to_list(), 16 * float(np.max(data["mase"].to_numpy())) / _HEIGHT)
    labels = alt.Chart(ends.with_columns(place=pl.Series(places)))
    labels = labels.mark_text(align="left", dx=7, fontSize=13, fontWeight="bold").encode(
        x=x, y="place:Q", text="model:N", color=colour
    )
    subtitle = [f"{evaluation.headline}."]
    chart = alt.layer(lines, labels).properties(width=WIDTH - 90, height=_HEIGHT)
    return finish(chart, "Error by step ahead", subtitle)


def plot_explanation(explanation: Explanation) -> Chart:
    """Show how the parts of an explanation lead from the anchor to the forecast.

    Parameters
    ----------
    explanation : Explanation
        See `foretell.explain`.

    Examples
    --------
    >>> from foretell.explanations import Explanation
    >>> explanation = Explanation("a", "mean y", 3.0, 4.0, (("calendar", "", 1.0),), ("More is coming.",))
    >>> plot_explanation(explanation).to_dict()["title"]["text"]
    'a: what makes the mean y'
    """
    moved = [by for _, _, by in explanation.parts]
    ends = explanation.anchor + np.cumsum([0.0, *moved])
    form = ".1%" if explanation.share else ",.4~g"
    rows = [("anchor", 0.0, explanation.anchor, explanation.anchor, GREY)]
    rows += [
        (f"{what} ({value})" if value else what, float(begin), float(end), by, BLUE if by > 0 else VERMILION)
        for (what, value, by), begin, end in zip(explanation.parts, ends[:-1], ends[1:], strict=True)
    ]
    rows.append(("forecast", 0.0, explanation.forecast, explanation.forecast, INK))
    data = pl.DataFrame(rows, schema=["part", "from", "to", "by", "colour"], orient="row")
    data = data.with_columns(
        label=pl.Series([_signed(row[3], form, k in {0, len(rows) - 1}) for k, row in enumerate(rows)])
    )
    y = alt.Y("part:N", sort=None, title=None, axis=alt.Axis(labelLimit=330))
    # The anchor is far from zero where forecasts are large: the axis begins near it.
    low, high = min(ends.min(), explanation.forecast), max(ends.max(), explanation.forecast)
    room = 0.25 * (high - low) or 0.1 * abs(high) or 1.0
    least = 0.0 if low - 4 * room < 0.0 <= low else low - room
    data = data.with_columns(
        pl.when(pl.col("part").is_in(["anchor", "forecast"])).then(least).otherwise("from").alias("from")
    )
    scale = alt.Scale(domain=[least, high + room], zero=False, nice=False)
    base = alt.Chart(data.with_columns(right=pl.max_horizontal("from", "to"))).encode(y=y)
    chart = alt.layer(
        base.mark_bar(height={"band": 0.62}).encode(
            x=alt.X(
                "from:Q",
                scale=scale,
                title=explanation.quantity,
                axis=alt.Axis(format=form, grid=False, tickCount=6),
            ),
            x2="to:Q",
            color=alt.Color("colour:N", scale=None),
            tooltip=["part:N", alt.Tooltip("by:Q", format=form)],
        ),
        base.mark_text(align="left", dx=5, fontSize=12, color=INK).encode(
            x=alt.X("right:Q", scale=scale), text="label:N"
        ),
    ).properties(width=WIDTH - 250, height=28 * len(rows))
    lines = [line for word in explanation.words for line in textwrap.wrap(word, 90)]
    return finish(chart, f"{explanation.id}: what makes the {explanation.quantity}", lines)


def plot_importances(result: SearchResult) -> Chart:
    """Show each setting's share of what makes the difference between a search's trials.

    Parameters
    ----------
    result : SearchResult
        Of `foretell.tune`, with four finished trials or more: fewer cannot tell.

    Examples
    --------
    >>> plot_importances(result)  # doctest: +SKIP
    """
    shares = result.importances()
    if not shares:
        raise ParameterError(
            "fewer than four trials are finished, which cannot tell settings apart: search on"
        )
    data = pl.DataFrame({"setting": list(shares), "share": list(shares.values())})
    axis = alt.Axis(format="%", grid=False)
    x = alt.X("share:Q", title="share of the difference between trials", axis=axis)
    base = alt.Chart(data).encode(x=x, y=alt.Y("setting:N", sort="-x", title=None))
    label = alt.Text("share:Q", format=".0%")
    chart = alt.layer(
        base.mark_bar(color=BLUE, height={"band": 0.6}),
        base.mark_text(align="left", dx=6, color=INK, fontSize=12).encode(text=label),
    ).properties(width=WIDTH - 120, height=34 * len(shares))
    count = len(result.table())
    best = ", ".join(f"{name} {value}" for name, value in result.best.items())
    subtitle = [f"{count} trials by {result.objective}; best: {best} ({result.value:.4g})."]
    return finish(chart, "Which settings matter", subtitle)


def _signed(value: float, form: str, whole: bool) -> str:  # noqa: FBT001  # of two kinds of labels
    text = f"{value:.1%}" if form.endswith("%") else f"{value:,.4g}"
    return text if whole or value < 0 else f"+{text}"
