"""``SeriesForecaster(model="auto")``: network, prior, rules, or a blend, by an inner backtest."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from foretell.baselines.rules import Drift, Naive, SeasonalNaive
from foretell.core import FloatArray
from foretell.core.constraints import Whole, check
from foretell.core.contracts import Described
from foretell.data.panel import Panel
from foretell.errors import DataError, ParameterError
from foretell.series.covariate_effect import CovariateEffect, prior_with
from foretell.series.covariates import not_given
from foretell.series.prior import Prior
from foretell.series.prior_forecast import first_season
from foretell.stats.blending import blend_weights, check_weights
from foretell.stats.metrics import naive_scale

NETWORK, PRIOR = "network", "prior"
# With fewer observed values the network has too little to learn from.
LEAST_VALUES = 200
# Of shorter series, half of them, the prior knows more than a network learns from them.
LEAST_LENGTH = 100
_LEVELS = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
# Horizons that are held back to choose by; all of them together take at most a quarter of the typical series.
_MOST_FOLDS, _HELD_BACK = 4, 0.25
_FAR_WORSE = 1.5  # times the least loss


class _Model(Protocol):
    def forecast(self, panel: Panel, horizon: int, quantiles: Sequence[float]) -> FloatArray: ...


@dataclasses.dataclass(frozen=True)
class SeriesChoice:
    """What an inner backtest chose.

    Attributes
    ----------
    weights : dict of str to float
        Convex weights of the quantiles, by model, the mean over their levels; ``"network"`` is the trained
        one.
    losses : dict of str to float
        Mean scaled pinball loss in the held-back part, of each model and of the ``"blend"``.
    too_little_data : bool
        The network was not trained and has no weight: there were too few values, series were too short, or it
        was not asked for.
    season : int
        Of the seasonal-naive rule.
    effect : CovariateEffect or None
        Of future covariates, beside the prior; None where there are none, or they do not help.
    by_level : dict of str to list of float, optional
        The weights at the levels .1, .2 … .9; between them they change evenly. By default they are the same
        at all levels.
    """

    weights: dict[str, float]
    losses: dict[str, float]
    too_little_data: bool
    season: int
    effect: CovariateEffect | None = None
    by_level: dict[str, list[float]] | None = None

    @classmethod
    def from_description(cls, kept: Described, future: Sequence[str]) -> SeriesChoice:
        """Return the choice that JSON describes, of a panel with future covariates of these names."""
        check("season", kept["season"], Whole())
        check_weights(kept["weights"], {NETWORK, *_rules(kept["season"])})
        effect = CovariateEffect.from_description(kept.get("effect"), future)
        by_level = kept.get("by_level")
        if by_level is not None:
            for k in range(len(_LEVELS)):
                check_weights({name: shares[k] for name, shares in by_level.items()}, set(kept["weights"]))
        losses, too_little_data = dict(kept["losses"]), bool(kept["too_little_data"])
        return cls(kept["weights"], losses, too_little_data, kept["season"], effect, by_level)

    def forecast(
        self, network: Callable[[], FloatArray], panel: Panel, horizon: int, quantiles: Sequence[float]
    ) -> FloatArray:
        """Return blended quantiles; what another does not know of a series is taken from the network.

        At steps whose future covariates are not given the prior stands for the network: its intervals hold
        without. The network is asked only where its answer counts.
        """
        rules = _rules(self.season)

        @functools.cache  # the prior may be asked twice
        def answer(name: str) -> FloatArray:
            if name == PRIOR:
                return prior_with(self.effect, panel, horizon, quantiles, self.season)
            return rules[name].fit(panel).forecast(panel, horizon, quantiles)

        @functools.cache
        def ours() -> FloatArray:
            unknown = not_given(panel, horizon)
            if not (self.weights.get(NETWORK) and unknown.any()):
                return network()
            prior, without = answer(PRIOR), np.asarray(unknown.any(axis=-1))[..., None, None]
            return np.where(without & ~np.isnan(prior), prior, network())

        blended = np.zeros(())
        for name, share in self.weights.items():
            by_level = share if self.by_level is None else np.interp(quantiles, _LEVELS, self.by_level[name])
            theirs = ours() if name == NETWORK else answer(name)
            missing = np.isnan(theirs)
            blended = blended + by_level * (np.where(missing, ours(), theirs) if missing.any() else theirs)
        return np.sort(blended, axis=-1)

    def report(self) -> str:
        """Return who answers, and why, in words."""
        lines = ["forecasts: " + ", ".join(f"{name} {share:.0%}" for name, share in self.weights.items())]
        if self.losses:
            judged = ", ".join(f"{name} {loss:.3f}" for name, loss in self.losses.items())
            lines.append(f"scaled pinball loss in horizons that were held back: {judged}")
        else:
            lines.append("nothing was held back to judge by")
        if self.too_little_data:
            lines.append(
                f"the network was not trained: fewer than {LEAST_VALUES} values, series of fewer than "
                f"{LEAST_LENGTH}, or not asked for"
            )
        if self.effect is not None:
            names = ", ".join(self.effect.code.names)
            lines.append(f"beside the prior: a regression of what it does not read, on {names}")
        return "\n".join(lines)


def choose(
    panel: Panel, horizon: int, network: Callable[[Panel], _Model] | None, season: int | None
) -> SeriesChoice:
    """Hold back the last horizons of a panel, and choose by them; models are fitted once, before all of them.

    Parameters
    ----------
    panel : Panel
    horizon : int
    network : callable, optional
        Fits one to a panel; None where there is too little for it to learn from.
    season : int, optional
        By default the one that the prior takes by itself: the shortest natural one of the panel's step.
    """
    only = NETWORK if network is not None else PRIOR  # where nothing can be held back
    n_folds = int(np.clip(_HELD_BACK * np.median(panel.lengths) // horizon, 1, _MOST_FOLDS))
    try:
        train = panel.tail_split(n_folds * horizon)[0]
        season = season or first_season(train)
        candidates: dict[str, _Model] = {name: rule.fit(train) for name, rule in _rules(season).items()}
        if network is not None:
            candidates[NETWORK] = network(train)
    except (ParameterError, DataError):  # too short to hold anything back
        return SeriesChoice({only: 1.0}, {}, network is None, season or 1)
    parts = [_fold(panel, horizon, back, candidates, season) for back in range(n_folds, 0, -1)]
    truth = np.concatenate([part[0] for part in parts])
    forecasts = {name: np.concatenate([part[1][name] for part in parts]) for name in candidates}
    lowest = np.stack([forecast[:, 0] for forecast in forecasts.values()])
    known = ~np.isnan(truth) & ~np.isnan(lowest).any(axis=0)
    # The steps of one series in one fold err together: they are one unit. Short series are not in all folds.
    n_targets = len(panel.targets)
    columns = np.arange(len(truth) // (horizon * n_targets))[:, None, None] * n_targets + np.arange(n_targets)
    units = np.repeat(columns, horizon, axis=1).ravel()
    units = np.unique(units[known], return_inverse=True)[1]
    truth, forecasts = truth[known], {name: forecast[known] for name, forecast in forecasts.items()}

    def loss(forecast: FloatArray, k: int) -> FloatArray:
        error = truth - forecast
        each = np.maximum(_LEVELS[k] * error, (_LEVELS[k] - 1.0) * error)
        return np.bincount(units, each) / np.bincount(units)

    if not len(truth):
        return SeriesChoice({only: 1.0}, {}, network is None, season)
    levels = range(len(_LEVELS))

    def mean_loss(forecast: FloatArray) -> float:
        return float(np.mean([loss(forecast[:, k], k).mean() for k in levels]))

    losses = {name: mean_loss(forecast) for name, forecast in forecasts.items()}
    # What the network has learned shows at few origins: the choice lies half-way to equal shares.
    start = {PRIOR: 1.0} if network is None else {PRIOR: 0.5, NETWORK: 0.5}
    # What so much worse a rule would mend is what all series had in common at few origins.
    judged = {
        name: forecasts[name]
        for name, its in losses.items()
        if name in start or its <= _FAR_WORSE * min(losses.values())
    }
    chosen = [
        blend_weights(
            functools.partial(loss, k=k), {name: part[:, k] for name, part in judged.items()}, start=start
        )
        for k in levels
    ]
    taken = [name for name in candidates if any(name in weights for weights in chosen)]
    by_level = {name: [weights.get(name, 0.0) for weights in chosen] for name in taken}
    weights = {name: float(np.mean(shares)) for name, shares in by_level.items()}
    losses["blend"] = mean_loss(
        np.sum([shares * forecasts[name] for name, shares in by_level.items()], axis=0)
    )
    return SeriesChoice(weights, losses, network is None, season, by_level=by_level)


def _fold(
    panel: Panel, horizon: int, back: int, candidates: dict[str, _Model], season: int
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return the truth of one held-back horizon, scaled and flat, and each model's quantiles of it."""
    before, after = panel.tail_split(back * horizon)
    bounds = zip(before.offsets[:-1], before.offsets[1:], strict=True)
    scale = np.stack([naive_scale(before.values[a:b], season) for a, b in bounds])[:, None]
    truth = after.values.reshape(before.n_series, back * horizon, -1)[:, :horizon] / scale
    forecasts = {
        name: (model.forecast(before, horizon, _LEVELS.tolist()) / scale[..., None]).reshape(-1, len(_LEVELS))
        for name, model in candidates.items()
    }
    return truth.ravel(), forecasts


def _rules(season: int) -> dict[str, Prior | Naive | SeasonalNaive | Drift]:
    rules: dict[str, Prior | Naive | SeasonalNaive | Drift] = {PRIOR: Prior(season=season)}
    return rules | {"seasonal naive": SeasonalNaive(season=season), "naive": Naive(), "drift": Drift()}
