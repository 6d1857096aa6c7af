"""What makes the difference: the parts of a forecast, and the settings of a search."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import altair as alt
import numpy as np
import polars as pl

from foretell.errors import ParameterError
from foretell.plotting.charts import BLUE, GREY, INK, VERMILION, WIDTH, Chart, finish

if TYPE_CHECKING:
    from foretell.evaluation.tuning import SearchResult
    from foretell.explanations.explanation import Explanation


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
