"""The prior as a forecaster: nothing to train, all that the others can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from foretell.baselines.statistic import SeriesStatistic
from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Maybe, Whole
from foretell.data.panel import Panel
from foretell.series.prior_forecast import first_season, prior_quantiles


class Prior(SeriesStatistic):
    """Forecast series by a recurrent network that was trained on synthetic series alone.

    There is nothing to train: `fit` finds the seasons and keeps the panel. Each series is read by itself,
    with what a dozen classical forecasts say of it and how they would have done; the network weighs them for
    every step ahead and says how far the truth may lie. Covariates are not read.

    Parameters
    ----------
    season : int, optional
        Steps; by default the natural ones of the panel's step, such as a day and a week of hours, or what is
        found in steps that are bare numbers.
    horizon : int
        Steps ahead that `predict` forecasts by default.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]})
    >>> Prior(season=2).fit(panel).predict(horizon=2)["prior"].round(0).to_list()
    [1.0, 2.0]
    """

    name: ClassVar[str] = "prior"
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Whole(1, of="steps"),
        "season": Maybe(Whole(1, of="steps")),
    }

    def __init__(self, season: int | None = None, *, horizon: int = 1) -> None:
        super().__init__(horizon)
        self.season = season

    def _learn(self, panel: Panel) -> None:
        self.season_ = first_season(panel) if self.season is None else int(self.season)

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        return prior_quantiles(panel, h, quantiles, self.season_)
