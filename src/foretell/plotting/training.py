"""How training went, and which settings of a search matter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import altair as alt
import polars as pl

from foretell.errors import ParameterError
from foretell.nn.training import Progress
from foretell.plotting.charts import BLUE, INK, VERMILION, WIDTH, Chart, finish

if TYPE_CHECKING:
    from foretell.evaluation.tuning import SearchResult

_HEIGHT = 270


def plot_training(epochs: Sequence[Progress]) -> Chart:
    """Show the loss after each epoch, of training and of held-out customers.

    Parameters
    ----------
    epochs : sequence of Progress
        What ``fit(…, progress=epochs.append)`` has collected.

    Examples
    --------
    >>> from foretell.nn.training import Progress
    >>> chart = plot_training([Progress(0, 1, 2, 4.1, 4.2), Progress(0, 2, 2, 4.0, 4.15)])
    >>> chart.to_dict()["title"]["text"]
    'Training, epoch by epoch'
    """
    if not epochs:
        raise ParameterError("epochs is empty; collect them by fit(…, progress=epochs.append)")
    panels = []
    for name, field, colour in (("training", "loss", BLUE), ("held out", "validation_loss", VERMILION)):
        rows = [{"epoch": e.epoch, "loss": getattr(e, field), "member": e.member} for e in epochs]
        # Two scales: other customers, with more or fewer visits, have another loss.
        loss = alt.Y("loss:Q", title=f"loss per customer, {name}", scale=alt.Scale(zero=False))
        panels.append(
            alt.Chart(pl.DataFrame(rows))
            .mark_line(strokeWidth=1.8, color=colour)
            .encode(x=alt.X("epoch:Q", axis=alt.Axis(tickMinStep=1, format="d")), y=loss, detail="member:N")
            .properties(width=WIDTH // 2 - 45, height=_HEIGHT)
        )
    members = len({epoch.member for epoch in epochs})
    networks = f"{members} network{'s' if members > 1 else ''}"
    subtitle = [f"{networks}; the epoch is kept that is best for held-out customers."]
    return finish(alt.hconcat(*panels), "Training, epoch by epoch", subtitle)


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
