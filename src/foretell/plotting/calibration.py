"""Whether forecasts come true as often as they say: coverage, quantiles, PIT histogram, reliability."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt
import numpy as np
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation.calibration import (
    coverage_by_level,
    has_pit,
    pit_histogram,
    recalibration_on_last_fold,
)
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.folds import LEVELS, quantile_column
from foretell.plotting.charts import (
    BLUE,
    PALETTE,
    SIDE,
    VERMILION,
    Chart,
    colours,
    cycled,
    equal_axes,
    finish,
    ours_first,
    spelled,
)
from foretell.stats import metrics

_WIDTH, _HEIGHT = 520, 280
_SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross")
_TICKS = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_LEGEND = alt.Legend(title=None, orient="top-left", offset=8)


def plot_coverage(evaluation: Evaluation, *, models: Sequence[str] | None = None) -> Chart:
    """Show how often the truth lay within the central intervals, over all folds.

    Parameters
    ----------
    evaluation : Evaluation
    models : sequence of str, optional
        By default all that forecast a distribution.

    Examples
    --------
    >>> evaluation = ft.backtest(panel, ["naive"], horizon=2, cutoffs=3)
    >>> plot_coverage(evaluation).to_dict()["title"]["text"]
    'How often the truth lay within the interval'
    """
    names = _distributional(evaluation) if models is None else list(models)
    parts = [
        coverage_by_level(evaluation, name).select(
            pl.lit(name).alias("model"), claimed=pl.col("level") / 100, observed="observed"
        )
        for name in names
    ]
    subtitle = [
        _folds(evaluation),
        "Below the dashed line they hold less than they claim: too narrow.",
    ]
    chart = _observed(pl.concat(parts), "model", names, ("interval claims", "share within it"))
    return finish(chart, "How often the truth lay within the interval", subtitle)


def plot_pit(evaluation: Evaluation, model: str, *, bins: int = 10) -> Chart:
    """Show the histogram of the probability integral transform (PIT), over all folds.

    Examples
    --------
    >>> evaluation = ft.backtest(panel, ["naive"], horizon=2, cutoffs=3)
    >>> plot_pit(evaluation, "naive").to_dict()["title"]["text"]
    'PIT histogram'
    """
    x = alt.X("low:Q", title="probability integral transform", axis=alt.Axis(format="%"), bin="binned")
    y = alt.Y("share:Q", title="share of the truths", axis=alt.Axis(format="%"))
    table = alt.Chart(pit_histogram(evaluation, model, bins))
    bars = table.mark_bar(color=BLUE, opacity=0.85, stroke="white").encode(x=x, x2="high:Q", y=y)
    level = alt.Chart(pl.DataFrame({"share": [1.0 / bins]}))
    line = level.mark_rule(color=VERMILION, strokeDash=[5, 3], strokeWidth=1.5).encode(y="share:Q")
    chart = alt.layer(bars, line).properties(width=_WIDTH, height=_HEIGHT)
    subtitle = [
        f"{model}; {_folds(evaluation)}",
        "Level with the dashed line: right. A U: too narrow. A hill: too wide. A slope: biased.",
    ]
    return finish(chart, "PIT histogram", subtitle)


def plot_recalibration(evaluation: Evaluation, model: str) -> Chart:
    """Show what recalibration that is learned from the earlier folds does to the last one.

    Of visits the reliability of P(return within 30 days); of series the coverage of central intervals.

    Parameters
    ----------
    evaluation : Evaluation
        At least two folds.
    model : str
    """
    table = recalibration_on_last_fold(evaluation, model)
    visits = has_pit(evaluation)
    if visits:
        what, titles = "A return within 30 days", ("forecast probability", "share that returned")
    else:
        what, titles = "Intervals", ("interval claims", "share within it")
    chart = _observed(table, "kind", ["as forecast", "recalibrated"], titles, root=visits)
    subtitle = [f"{model}; learned from the cut-offs before {evaluation.cutoffs[-1]}, shown there."]
    return finish(chart, f"{what}: as forecast, and recalibrated", subtitle)


def plot_quantiles(evaluation: Evaluation) -> Chart:
    """Show which share of the held-back values of series lay below each forecast quantile.

    Examples
    --------
    >>> evaluation = ft.evaluate(panel, horizon=3, models=["naive"], season=3)
    >>> plot_quantiles(evaluation).to_dict()["title"]["text"]
    'Values below each quantile: forecast against actual'
    """
    if "q0.2" not in evaluation.columns:
        raise ParameterError("only series are forecast by quantiles; of visits look at plot_pit")
    names = evaluation.table()["model"].to_list()
    shares = [(pl.col("y") <= pl.col(quantile_column(level))).mean().alias(str(level)) for level in LEVELS]
    below = evaluation.scan().group_by("model").agg(shares).collect()
    points = below.unpivot(index="model", variable_name="level", value_name="below")
    points = points.cast({"level": pl.Float64}).drop_nulls().sort("level")
    n_values = int(evaluation.scan().select(pl.col("y").count()).collect().item()) // len(names)
    titles = ("forecast quantile", "share of the values below it")
    axis = alt.Axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    x, y, diagonal = equal_axes(("level", "below"), titles, (0.0, 1.0), axis=axis)
    lines = alt.Chart(points).mark_line(point=True, strokeWidth=1.6)
    colour = alt.Color("model:N", scale=colours(names), legend=_LEGEND)
    chart = alt.layer(diagonal, lines.encode(x=x, y=y, color=colour)).properties(width=SIDE, height=SIDE)
    subtitle = [f"{n_values:,} values. On the dashed line the quantiles hold."]
    return finish(chart, "Values below each quantile: forecast against actual", subtitle)


def plot_reliability(evaluation: Evaluation, *, models: Sequence[str] | None = None, bins: int = 10) -> Chart:
    """Show how often customers returned within 30 days, against the forecast probability.

    Each model's customers are sorted by its probability and parted into bins of equal counts. Both axes are
    square-root scales: most probabilities are small.

    Parameters
    ----------
    evaluation : Evaluation
    models : sequence of str, optional
        By default all that forecast the probability.
    bins : int

    Raises
    ------
    ParameterError
        None of the models forecasts a probability, or the log ends within 30 days after the cut-off.

    Examples
    --------
    >>> evaluation = ft.evaluate(log, "1997-09-30", models=["bg/nbd"])
    >>> plot_reliability(evaluation).to_dict()["title"]["text"]
    'A return within 30 days: forecast against actual'
    """
    points = _reliability(evaluation, models, bins)
    names = points["model"].unique(maintain_order=True).to_list()
    # Room beyond the outermost point; a square picture, so that the diagonal is one.
    most = min(1.0, 1.08 * float(np.max(points.select("forecast", "high").to_numpy())))
    titles = ("forecast probability (mean of the bin)", "share of the bin that returned")
    axis = alt.Axis(format="%", values=[tick for tick in _TICKS if tick <= most])
    x, y, diagonal = equal_axes(("forecast", "observed"), titles, (0.0, most), kind="sqrt", axis=axis)
    colour = alt.Color("model:N", sort=names, scale=colours(names), legend=_LEGEND)
    shapes = alt.Scale(domain=names, range=cycled(_SHAPES, len(names)))
    shape = alt.Shape("model:N", sort=names, scale=shapes, legend=_LEGEND)
    base = alt.Chart(points)
    first = base.transform_filter(alt.datum.model == names[0])
    chart = alt.layer(
        diagonal,
        first.mark_rule(color=PALETTE[0], strokeWidth=1.2).encode(
            x=x, y=alt.Y("low:Q", scale=y["scale"]), y2="high:Q"
        ),
        base.mark_line(strokeWidth=1.2, opacity=0.6).encode(x=x, y=y, color=colour),
        base.mark_point(filled=True, size=70, opacity=0.95).encode(x=x, y=y, color=colour, shape=shape),
    ).properties(width=SIDE, height=SIDE)
    train = evaluation.train
    subtitle = [
        f"{train.n_customers:,} customers as of {spelled(train.as_of, train)}, in {bins} equal bins.",
        f"On the dashed line forecasts come true. Bars: 80% interval of chance, for {names[0]}.",
    ]
    return finish(chart, "A return within 30 days: forecast against actual", subtitle)


def _reliability(evaluation: Evaluation, models: Sequence[str] | None, bins: int) -> pl.DataFrame:
    """Return forecast and observed frequencies by model and bin, with an 80 % interval of chance."""
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
        columns = {
            "forecast": table.forecast,
            "observed": table.observed,
            "low": np.maximum(table.observed - spread, 0.0),
            "high": np.minimum(table.observed + spread, 1.0),
        }
        parts.append(pl.DataFrame(columns).select(pl.lit(name).alias("model"), pl.all()))
    if not parts:
        raise ParameterError("none of these models forecasts the probability of a return")
    return pl.concat(parts)


def _observed(
    table: pl.DataFrame, by: str, names: Sequence[str], titles: tuple[str, str], *, root: bool = False
) -> Chart:
    """Return points and lines of observed against claimed shares, and the diagonal."""
    most = min(1.0, 1.05 * float(table.select("claimed", "observed").to_numpy().max())) if root else 1.0
    x, y, diagonal = equal_axes(
        ("claimed", "observed"),
        titles,
        (0.0, most),
        kind="sqrt" if root else "linear",
        axis=alt.Axis(format="%"),
    )
    colour = alt.Color(f"{by}:N", sort=list(names), scale=colours(names), legend=_LEGEND)
    return alt.layer(
        diagonal,
        alt.Chart(table).mark_line(strokeWidth=1.5, opacity=0.7).encode(x=x, y=y, color=colour),
        alt.Chart(table).mark_point(filled=True, size=70, opacity=0.95).encode(x=x, y=y, color=colour),
    ).properties(width=SIDE, height=SIDE)


def _distributional(evaluation: Evaluation) -> list[str]:
    """Return the models that forecast a distribution."""
    names = []
    for name in evaluation.names:
        try:
            coverage_by_level(evaluation, name)
        except ParameterError:
            continue
        names.append(name)
    if not names:
        raise ParameterError("none of these models forecasts a distribution: there is no coverage to show")
    return names


def _folds(evaluation: Evaluation) -> str:
    n = len(evaluation.cutoffs)
    return f"{n} cut-off{'s' if n > 1 else ''}, {evaluation.cutoffs[0]} to {evaluation.cutoffs[-1]}."
