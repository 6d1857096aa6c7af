"""Calibration over folds: coverage, the PIT histogram, and what recalibration brings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation import calibration
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.recalibration import recalibration_on_last_fold
from foretell.plotting.look import BLUE, GREY, PALETTE, VERMILION, finish

_SIDE, _WIDTH, _HEIGHT = 430, 520, 280
_BEFORE, _AFTER = "as forecast", "recalibrated"


def plot_coverage(evaluation: Evaluation, *, models: Sequence[str] | None = None) -> Any:
    """Show how often the truth lay within the central intervals, over all folds.

    Parameters
    ----------
    evaluation : Evaluation
    models : sequence of str, optional
        By default all that forecast a distribution.

    Returns
    -------
    altair.LayerChart

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 4, 3, 5, 4] * 4})
    >>> evaluation = ft.backtest(panel, ["naive"], horizon=2, cutoffs=3)
    >>> plot_coverage(evaluation).to_dict()["title"]["text"]
    'How often the truth lay within the interval'
    """
    names = _distributional(evaluation) if models is None else list(models)
    parts = [
        calibration.coverage_by_level(evaluation, name).select(
            pl.lit(name).alias("model"), claimed=pl.col("level") / 100, observed="observed"
        )
        for name in names
    ]
    subtitle = [
        _folds(evaluation),
        "Below the dashed line they hold less than they claim: too narrow.",
    ]
    chart = _against_diagonal(pl.concat(parts), "model", names, "interval claims", "share within it")
    return finish(chart, "How often the truth lay within the interval", subtitle)


def plot_pit(evaluation: Evaluation, model: str, *, bins: int = 10) -> Any:
    """Show the histogram of the probability integral transform (PIT), over all folds.

    Parameters
    ----------
    evaluation : Evaluation
    model : str
    bins : int

    Returns
    -------
    altair.LayerChart
    """
    table = calibration.pit_histogram(evaluation, model, bins)
    x = alt.X("low:Q", title="probability integral transform", axis=alt.Axis(format="%"), bin="binned")
    bars = (
        alt.Chart(table)
        .mark_bar(color=BLUE, opacity=0.85, stroke="white")
        .encode(x=x, x2="high:Q", y=alt.Y("share:Q", title="share of the truths", axis=alt.Axis(format="%")))
    )
    level = alt.Chart(pl.DataFrame({"share": [1.0 / bins]}))
    line = level.mark_rule(color=VERMILION, strokeDash=[5, 3], strokeWidth=1.5).encode(y="share:Q")
    chart = alt.layer(bars, line).properties(width=_WIDTH, height=_HEIGHT)
    subtitle = [
        f"{model}; {_folds(evaluation)}",
        "Level with the dashed line: right. A U: too narrow. A hill: too wide. A slope: biased.",
    ]
    return finish(chart, "PIT histogram", subtitle)


def plot_recalibration(evaluation: Evaluation, model: str) -> Any:
    """Show what recalibration that is learned from the earlier folds does to the last one.

    Of visits the reliability of P(return within 30 days); of series the coverage of central intervals.

    Parameters
    ----------
    evaluation : Evaluation
        At least two folds.
    model : str

    Returns
    -------
    altair.LayerChart
    """
    table = recalibration_on_last_fold(evaluation, model)
    visits = calibration.has_pit(evaluation)
    words = (
        ("forecast probability", "share that returned") if visits else ("interval claims", "share within it")
    )
    chart = _against_diagonal(table, "kind", [_BEFORE, _AFTER], *words, root=visits)
    what = "A return within 30 days" if visits else "Intervals"
    subtitle = [f"{model}; learned from the cut-offs before {evaluation.cutoffs[-1]}, shown there."]
    return finish(chart, f"{what}: as forecast, and recalibrated", subtitle)


def _against_diagonal(
    table: pl.DataFrame, by: str, names: Sequence[str], x_title: str, y_title: str, *, root: bool = False
) -> Any:
    """Return points and lines of observed against claimed shares, and the diagonal."""
    most = min(1.0, 1.05 * max(table["claimed"].max(), table["observed"].max())) if root else 1.0  # type: ignore[type-var, operator]
    scale = alt.Scale(type="sqrt" if root else "linear", domain=[0, most], nice=False)
    x = alt.X("claimed:Q", title=x_title, scale=scale, axis=alt.Axis(format="%"))
    y = alt.Y("observed:Q", title=y_title, scale=scale, axis=alt.Axis(format="%"))
    colours = [PALETTE[k % len(PALETTE)] for k in range(len(names))]
    colour = alt.Color(
        f"{by}:N",
        sort=list(names),
        scale=alt.Scale(domain=list(names), range=colours),
        legend=alt.Legend(title=None, orient="top-left", offset=8),
    )
    diagonal = alt.Chart(pl.DataFrame({"claimed": [0.0, most], "observed": [0.0, most]}))
    return alt.layer(
        diagonal.mark_line(color=GREY, strokeDash=[5, 3], strokeWidth=1.2).encode(x=x, y=y),
        alt.Chart(table).mark_line(strokeWidth=1.5, opacity=0.7).encode(x=x, y=y, color=colour),
        alt.Chart(table).mark_point(filled=True, size=70, opacity=0.95).encode(x=x, y=y, color=colour),
    ).properties(width=_SIDE, height=_SIDE)


def _distributional(evaluation: Evaluation) -> list[str]:
    """Return the models that forecast a distribution."""
    names = []
    for name in evaluation.names:
        try:
            calibration.coverage_by_level(evaluation, name)
        except ParameterError:
            continue
        names.append(name)
    if not names:
        raise ParameterError("none of these models forecasts a distribution: there is no coverage to show")
    return names


def _folds(evaluation: Evaluation) -> str:
    n = len(evaluation.cutoffs)
    return f"{n} cut-off{'s' if n > 1 else ''}, {evaluation.cutoffs[0]} to {evaluation.cutoffs[-1]}."
