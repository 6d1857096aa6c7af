"""The prior as a forecaster: nothing to train, all that the others can do."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import polars as pl

from foretell.baselines.statistic import SeriesStatistic
from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Maybe, Steps, Whole
from foretell.core.contracts import State
from foretell.data.panel import Panel
from foretell.series.covariate_effect import CovariateEffect, prior_with
from foretell.series.covariates import AS_USUAL, say_what_is_not_given
from foretell.series.prior_forecast import first_season


class Prior(SeriesStatistic):
    """Forecast series by a recurrent network that was trained on synthetic series alone.

    There is nothing to train: `fit` finds the seasons and keeps the panel. Each series is read by itself,
    with what a dozen classical forecasts say of it and how they would have done; the network weighs them for
    every step ahead and says how far the truth may lie. It reads no covariates: what those that are known
    ahead add is told by a ridge regression, where they help by more than chance.

    Parameters
    ----------
    season : int, optional
        Steps; by default the natural ones of the panel's step, such as a day and a week of hours, or what is
        found in steps that are bare numbers.
    horizon : int
        Steps ahead that `predict` forecasts by default.

    Attributes
    ----------
    effect_ : CovariateEffect or None
        Of future covariates.

    Examples
    --------
    >>> panel = Panel.from_arrays({"a": [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0]})
    >>> Prior(season=2).fit(panel).predict(horizon=2)["prior"].round(0).to_list()
    [1.0, 2.0]
    """

    name: ClassVar[str] = "prior"
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Steps(),
        "season": Maybe(Whole(1, of="steps")),
    }

    effect_: CovariateEffect | None

    def __init__(self, season: int | None = None, *, horizon: int = 1) -> None:
        super().__init__(horizon)
        self.season = season

    def _learn(self, panel: Panel) -> None:
        self.season_ = first_season(panel) if self.season is None else int(self.season)
        self.effect_ = CovariateEffect.fit(panel, self.season_)

    def predict(
        self,
        panel: Panel | None = None,
        *,
        horizon: int | None = None,
        levels: Sequence[float] = (50, 80, 95),
    ) -> pl.DataFrame:
        """Forecast the steps after each series' end, of the panel it was fitted to or of others.

        What is asked and the table are those of `SeriesForecaster.predict`, with the model's own name in the
        columns; null for a series without any observed value. Where future covariates are not given a
        `CovariateWarning` names them.
        """
        table = super().predict(panel, horizon=horizon, levels=levels)
        if self.effect_ is not None:
            asked = self.panel_ if panel is None else panel
            say_what_is_not_given(asked, self.horizon if horizon is None else horizon, AS_USUAL)
        return table

    def state(self) -> State:
        """Return the panel and what was learned from it, as plain values."""
        state = super().state()
        effect = dataclasses.asdict(self.effect_) if self.effect_ is not None else None
        return dataclasses.replace(state, described={**state.described, "effect": effect})

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted model that `state` described."""
        model = super().from_state(state)
        future = state.described["read_as"]["future"]
        model.effect_ = CovariateEffect.from_description(state.described.get("effect"), future)
        return model

    def _quantiles(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        return prior_with(self.effect_, panel, h, quantiles, self.season_)
