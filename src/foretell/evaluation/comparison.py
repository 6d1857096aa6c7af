"""`evaluate`: one door to the leaderboards of visits and of series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from foretell.core.outlook import EventModel
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.data.seasons import find_season
from foretell.errors import DataError, ParameterError
from foretell.evaluation import leaderboard
from foretell.evaluation.leaderboard import Leaderboard
from foretell.evaluation.series_leaderboard import SeriesLeaderboard, SeriesModel, evaluate_series


@overload
def evaluate(
    data: EventLog,
    cutoff: object,
    horizon: str | int = "273d",
    models: Sequence[EventModel | str] | None = None,
    *,
    seeds: int = 1,
) -> Leaderboard: ...


@overload
def evaluate(
    data: Panel,
    cutoff: object = None,
    horizon: int | None = None,
    models: Sequence[SeriesModel | str] | None = None,
    *,
    season: int | None = None,
    seeds: int = 1,
) -> SeriesLeaderboard: ...


def evaluate(
    data: EventLog | Panel,
    cutoff: object = None,
    horizon: Any = None,
    models: Sequence[Any] | None = None,
    *,
    season: int | None = None,
    seeds: int = 1,
) -> Leaderboard | SeriesLeaderboard:
    """Compare models on a period that is held back from them.

    Parameters
    ----------
    data : EventLog or Panel
        What happened, to the end of the held-back period.
    cutoff : date, datetime or str
        Last day (step) that the models see. Of series, instead, the last ``horizon`` steps can be held back.
    horizon : str or int
        Length of the held-back period: of visits such as ``"273d"`` (the default), ``"26w"``, or ticks; of
        series in steps, by default as many as come after the cut-off.
    models : sequence of models or str, optional
        Models, or their names; they are copied before they are fitted. By default ours and the statistics
        and rules that it has to beat.
    season : int, optional
        Of series: steps of the season by which MASE is scaled and the seasonal-naive rule repeats; by default
        it is found in the data.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.

    Returns
    -------
    Leaderboard or SeriesLeaderboard

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]})
    >>> ft.evaluate(panel, horizon=3, models=["naive", "seasonal naive"], season=3).rows[0].model
    'seasonal naive'
    """
    if isinstance(data, EventLog):
        if cutoff is None:
            raise ParameterError(
                "evaluate needs a cutoff for visits: the last day that the models see, such as 1997-09-30"
            )
        return leaderboard.evaluate(data, cutoff, "273d" if horizon is None else horizon, models, seeds=seeds)
    if not isinstance(data, Panel):
        raise DataError(
            f"evaluate takes an EventLog or a Panel, got {type(data).__name__}; read one with "
            "foretell.read_events or foretell.read_series"
        )
    if horizon is not None and (isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer))):
        raise ParameterError(f"horizon={horizon!r}; expected a whole number of steps for series")
    panel = data
    if cutoff is not None:
        last = panel.grid.last_until(cutoff)
        after = int(panel.ends.max()) - last
        if after < 1:
            raise ParameterError(f"cutoff={cutoff!r}: no series goes on after it; choose an earlier date")
        horizon = after if horizon is None else int(horizon)
        if after < horizon:
            raise ParameterError(
                f"horizon={horizon}: only {after} steps come after the cut-off {cutoff!r}; hold back fewer"
            )
        panel = panel.up_to(last + horizon)
        panel = panel.take(panel.ends == last + horizon)
    elif horizon is None:
        raise ParameterError("evaluate needs a cutoff or a horizon: the number of steps to hold back")
    chosen = season if season is not None else find_season(panel.tail_split(horizon)[0])
    return evaluate_series(panel, int(horizon), models, season=chosen, seeds=seeds)
