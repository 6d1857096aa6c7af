"""Which knobs of a search matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt
import polars as pl

from foretell.errors import ParameterError
from foretell.plotting.look import BLUE, INK, WIDTH, finish

if TYPE_CHECKING:
    from foretell.evaluation.tuning import SearchResult


def plot_importances(result: SearchResult) -> Any:
    """Show each knob's share of what makes the difference between a search's trials.

    Parameters
    ----------
    result : SearchResult

    Returns
    -------
    altair.LayerChart

    Raises
    ------
    ParameterError
        Too few trials are finished to tell.

    Examples
    --------
    >>> plot_importances(result)  # doctest: +SKIP
    """
    shares = result.importances()
    if not shares:
        raise ParameterError("fewer than four trials are finished, which cannot tell knobs apart: search on")
    data = pl.DataFrame({"knob": list(shares), "share": list(shares.values())})
    x = alt.X(
        "share:Q", title="share of the difference between trials", axis=alt.Axis(format="%", grid=False)
    )
    base = alt.Chart(data).encode(x=x, y=alt.Y("knob:N", sort="-x", title=None))
    chart = alt.layer(
        base.mark_bar(color=BLUE, height={"band": 0.6}),
        base.mark_text(align="left", dx=6, color=INK, fontSize=12).encode(
            text=alt.Text("share:Q", format=".0%")
        ),
    ).properties(width=WIDTH - 120, height=34 * len(shares))
    count = len(result.table())
    best = ", ".join(f"{name} {value}" for name, value in result.best.items())
    lines = [f"{count} trials by {result.objective}; best: {best} ({result.value:.4g})."]
    return finish(chart, "Which knobs matter", lines)
