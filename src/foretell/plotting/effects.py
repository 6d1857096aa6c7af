"""A picture of what is known of customers, and how much more a newcomer is expected to come for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import altair as alt
import polars as pl

from foretell.plotting.charts import BLUE, GREY, Chart, finish, needs_forecaster

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster

_MOST: Final = 12  # values of one column
_WIDTH, _STEP = 420, 24


def plot_customer_effects(model: EventForecaster, horizon: str | int = "90d") -> Chart:
    """Show what is known of customers, and the factor on a newcomer's expected visits.

    It is association, not effect.

    Parameters
    ----------
    model : EventForecaster
        Fitted, with ``model="auto"`` or ``"prior"``, to a log that was read with ``static``.
    horizon : str or int

    Raises
    ------
    ParameterError
        Nothing is known of the customers, or the model has no prior.

    Examples
    --------
    >>> import polars as pl
    >>> known = log.to_polars().with_columns(channel=pl.lit("web"))
    >>> of_channels = ft.read_events(known, static=["channel"])
    >>> prior = ft.EventForecaster(model="prior").fit(of_channels)
    >>> plot_customer_effects(prior).to_dict()["title"]["text"]
    'What is known of customers'
    """
    needs_forecaster(model)
    table = model.customer_effects(horizon)
    expected, named = table.columns[3], model.log_.static_categories
    parts = []
    for (name,), rows in table.group_by("covariate", maintain_order=True):
        shown = rows.head(_MOST).with_columns(label=pl.col("value"))
        if name in named:
            counted = pl.col("customers").map_elements("{:,}".format, pl.String)
            shown = shown.with_columns(label=pl.format("{} ({})", "value", counted))
        bars = (
            alt.Chart(shown)
            .mark_bar(color=BLUE, height=_STEP - 8)
            .encode(
                x=alt.X("factor:Q", title="times as many visits", scale=alt.Scale(zero=True)),
                y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=220)),
                tooltip=[
                    "value:N",
                    alt.Tooltip("factor:Q", format=".2f"),
                    alt.Tooltip(f"{expected}:Q", title=f"visits in {horizon}", format=".2f"),
                    "customers:Q",
                ],
            )
        )
        rule = alt.Chart(pl.DataFrame({"factor": [1.0]})).mark_rule(color=GREY, strokeDash=[5, 3])
        heading = alt.TitleParams(str(name), anchor="start", fontSize=13, fontWeight="normal")
        height = _STEP * max(shown.height, 2)
        parts.append(
            alt.layer(bars, rule.encode(x="factor:Q")).properties(width=_WIDTH, height=height, title=heading)
        )
    chart = alt.vconcat(*parts, spacing=18).resolve_scale(x="shared", y="independent")
    subtitle = [
        f"Expected visits of a newcomer within {horizon}, in relation to one of whom nothing is known.",
        "In brackets: customers; of numbers the quartiles. It is association, not effect.",
    ]
    return finish(chart, "What is known of customers", subtitle)
