"""Calibration over folds: how often forecasts came true, where the truth fell, and the repair of both."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Self

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.optimize import isotonic_regression

from foretell.errors import ParameterError
from foretell.evaluation import metrics
from foretell.evaluation.backtest import Backtest
from foretell.evaluation.event_folds import EventFolds
from foretell.evaluation.series_folds import quantile_column
from foretell.evaluation.series_leaderboard import LEVELS

FloatArray = npt.NDArray[np.float64]

# With fewer forecasts than this nothing is repaired.
_ENOUGH = 50


def coverage_by_level(found: Backtest, model: str) -> pl.DataFrame:
    """Return how often the truth lay within central intervals: ``level`` (%), ``observed``, ``n``.

    Of series from the quantiles; of visits from the places of the next events in their forecast
    distributions given that the customer comes within the horizon, among those who came.
    """
    rows = _rows(found, model)
    if is_of_visits(found):
        low, high = (rows[name].to_numpy() for name in ("pit_lo", "pit_hi"))
        levels = np.array([20, 40, 60, 80, 90])
        inside = [_mass(low, high, 0.5 - one / 200, 0.5 + one / 200).mean() for one in levels]
        return pl.DataFrame({"level": levels, "observed": inside, "n": len(rows)})
    levels = np.array([20, 40, 60, 80])
    tails = [[quantile_column(round(0.5 + side * one / 200, 2)) for side in (-1, 1)] for one in levels]
    inside = [rows.select(pl.col("y").is_between(low, high).mean()).item() for low, high in tails]
    return pl.DataFrame({"level": levels, "observed": inside, "n": len(rows)})


def reliability_over_folds(found: Backtest, model: str, bins: int = 10) -> metrics.Reliability:
    """Return observed against forecast frequencies of a return within 30 days, over all folds."""
    rows = _returns(found, model)
    return metrics.reliability(rows["returned"].to_numpy(), rows["p_return"].to_numpy(), bins)


def pit_histogram(found: Backtest, model: str, bins: int = 10) -> pl.DataFrame:
    """Return where the truth fell in its forecast distribution: ``low``, ``high``, ``share`` of each bin.

    All shares are 1 / bins where the distributions are right; a U shape means that they are too narrow.
    What is known only to lie between two probabilities (a whole day; between two quantiles) is spread evenly
    between them. Of visits: among customers who came, given that they come within the horizon.

    References
    ----------
    Czado, Gneiting, Held (2009), "Predictive model assessment for count data", Biometrics 65(4): the
    non-randomised histogram for what is not continuous.
    """
    rows = _rows(found, model)
    if is_of_visits(found):
        low, high = (rows[name].to_numpy() for name in ("pit_lo", "pit_hi"))
    else:
        quantiles = rows.select([quantile_column(level) for level in LEVELS]).to_numpy()
        edges = np.array([0.0, *LEVELS, 1.0])
        truth = rows["y"].to_numpy()[:, None]
        # A truth on a quantile, or on several equal ones, is spread over both sides.
        low = edges[(quantiles < truth).sum(axis=1)]
        high = edges[(quantiles <= truth).sum(axis=1) + 1]
    cuts = np.linspace(0.0, 1.0, bins + 1)
    share = [float(_mass(low, high, a, b).mean()) for a, b in itertools.pairwise(cuts)]
    return pl.DataFrame({"low": cuts[:-1], "high": cuts[1:], "share": share})


@dataclasses.dataclass(frozen=True, eq=False)
class QuantileRepair:
    """Moves quantiles so that they would have held on out-of-fold forecasts (conformal).

    Each quantile moves by a share of the interval's width: the share that would have put the right part of
    the truths below it. Valid as far as the future is like the folds.

    Attributes
    ----------
    levels : tuple of float
    shares : float64 array, shape (n_levels,)

    References
    ----------
    Romano, Patterson, Candès (2019), "Conformalized quantile regression", NeurIPS; each side by itself, and
    scaled by the width.

    Examples
    --------
    >>> truth = np.random.default_rng(0).normal(0.0, 2.0, 4_000)
    >>> narrow = np.tile([-1.28, 0.0, 1.28], (4_000, 1))
    >>> repair = QuantileRepair.fit(truth, narrow, [0.1, 0.5, 0.9])
    >>> low, _, high = repair.apply(narrow).T
    >>> round(float(np.mean((low <= truth) & (truth <= high))), 2)
    0.8
    """

    levels: tuple[float, ...]
    shares: FloatArray

    @classmethod
    def fit(cls, truth: npt.ArrayLike, quantiles: npt.ArrayLike, levels: Sequence[float]) -> Self:
        """Learn from truths, shape (n,), and their forecasts, shape (n, n_levels); NaN is left out."""
        came, said = np.asarray(truth, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
        if said.shape != (len(came), len(levels)):
            raise ParameterError(
                f"quantiles has shape {said.shape}; expected {(len(came), len(levels))}: a row for each "
                "truth, a column for each level"
            )
        known = ~np.isnan(came) & ~np.isnan(said).any(axis=1)
        came, said = came[known], said[known]
        if len(came) < _ENOUGH:
            return cls(tuple(levels), np.zeros(len(levels)))
        scores = (came[:, None] - said) / _width(said)
        shares = [float(np.quantile(scores[:, k], level)) for k, level in enumerate(levels)]
        return cls(tuple(levels), np.array(shares))

    def apply(self, quantiles: npt.ArrayLike) -> FloatArray:
        """Return repaired quantiles, shape (…, n_levels), in ascending order."""
        said = np.asarray(quantiles, dtype=np.float64)
        moved: FloatArray = np.sort(said + self.shares * _width(said), axis=-1)
        return moved

    @classmethod
    def of(cls, found: Backtest, model: str) -> Self:
        """Learn from the folds of a backtest: of series the quantiles, of visits the next event's interval.

        Of visits in days (hours) after the cut-off, of the customers who came within the horizon, at the
        levels 0.1 and 0.9.
        """
        rows = _rows(found, model)
        if is_of_visits(found):
            waited = waits(rows, found.unit)
            return cls.fit(waited[:, 0], waited[:, 1:], [0.1, 0.9])
        said = rows.select([quantile_column(level) for level in LEVELS]).to_numpy()
        return cls.fit(rows["y"].to_numpy(), said, LEVELS)


@dataclasses.dataclass(frozen=True, eq=False)
class ProbabilityRepair:
    """Maps probabilities so that they would have come true on out-of-fold forecasts (isotonic regression).

    Attributes
    ----------
    forecast, observed : float64 array, shape (n_points,)
        Straight lines between these points, both ascending.

    References
    ----------
    Zadrozny, Elkan (2002), "Transforming classifier scores into accurate multiclass probability estimates",
    KDD.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> chance = rng.random(20_000)
    >>> happened = rng.random(20_000) < chance**2
    >>> repair = ProbabilityRepair.fit(happened, chance)
    >>> repair.apply([0.3, 0.8]).round(1)
    array([0.1, 0.6])
    """

    forecast: FloatArray
    observed: FloatArray

    @classmethod
    def fit(cls, happened: npt.ArrayLike, probability: npt.ArrayLike) -> Self:
        """Learn from what happened, shape (n,), and the probabilities that had been said."""
        said, came = np.asarray(probability, dtype=np.float64), np.asarray(happened, dtype=np.float64)
        if len(said) < _ENOUGH:
            return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
        # In bins, so that a step of the map stands for enough forecasts.
        table = metrics.reliability(came, said, bins=int(np.clip(len(said) // _ENOUGH, 2, 50)))
        fitted = isotonic_regression(table.observed, weights=table.size).x
        return cls(table.forecast, np.asarray(fitted, dtype=np.float64))

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Return repaired probabilities."""
        ends_in, ends_out = np.array([0.0]), np.array([1.0])
        x = np.concatenate([ends_in, self.forecast, ends_out])
        y = np.concatenate([ends_in, self.observed, ends_out])
        repaired: FloatArray = np.interp(np.asarray(probability, dtype=np.float64), x, y)
        return repaired

    @classmethod
    def of(cls, found: Backtest, model: str) -> Self:
        """Learn from the folds of a backtest of visits: P(return within 30 days)."""
        rows = _returns(found, model)
        return cls.fit(rows["returned"].to_numpy(), rows["p_return"].to_numpy())


def repair_on_last_fold(found: Backtest, model: str) -> pl.DataFrame:
    """Return what a repair that is learned from the earlier folds does to the last: an honest look at it.

    Returns
    -------
    polars.DataFrame
        ``kind`` (``"as forecast"``, ``"repaired"``), ``claimed``, ``observed``: of visits the reliability of
        P(return within 30 days), of series the coverage of central intervals.
    """
    if len(found.cutoffs) < 2:
        raise ParameterError("a repair is learned from earlier folds: backtest at two cut-offs or more")
    last = pl.col("cutoff") == found.cutoffs[-1]
    if is_of_visits(found):
        rows = _returns(found, model)
        before, now = rows.filter(~last), rows.filter(last)
        repair = ProbabilityRepair.fit(before["returned"].to_numpy(), before["p_return"].to_numpy())
        said, came = now["p_return"].to_numpy(), now["returned"].to_numpy()
        kinds = {"as forecast": said, "repaired": repair.apply(said)}
        points = {kind: metrics.reliability(came, chance) for kind, chance in kinds.items()}
        return pl.concat(
            [
                pl.DataFrame({"kind": [kind] * len(p.size), "claimed": p.forecast, "observed": p.observed})
                for kind, p in points.items()
            ]
        )
    rows = _rows(found, model)
    columns = [quantile_column(level) for level in LEVELS]
    before, now = rows.filter(~last), rows.filter(last)
    mend = QuantileRepair.fit(before["y"].to_numpy(), before.select(columns).to_numpy(), LEVELS)
    said, came = now.select(columns).to_numpy(), now["y"].to_numpy()[:, None]
    parts = []
    for kind, quantiles in {"as forecast": said, "repaired": mend.apply(said)}.items():
        k = np.arange(len(LEVELS) // 2)[::-1]
        inside = (quantiles[:, k] <= came) & (came <= quantiles[:, ::-1][:, k])
        claimed = [LEVELS[-1 - one] - LEVELS[one] for one in k]
        parts.append(
            pl.DataFrame({"kind": [kind] * len(k), "claimed": claimed, "observed": inside.mean(axis=0)})
        )
    return pl.concat(parts)


def is_of_visits(found: Backtest) -> bool:
    """Return whether a backtest is of visits, not of series."""
    return isinstance(found.folds, EventFolds)


def waits(rows: pl.DataFrame, unit: str) -> FloatArray:
    """Return next event, low and high end of its interval, in ticks after the cut-off; NaN without one."""
    per = {"day": 86_400_000_000, "hour": 3_600_000_000}[unit]
    names = ("next_event", "next_event-lo-80", "next_event-hi-80")
    moment, cut = pl.Datetime("us"), pl.col("cutoff").cast(pl.Datetime("us"))
    spans = [(pl.col(name).cast(moment) - cut).dt.total_microseconds() / per for name in names]
    return rows.select([span.alias(name) for span, name in zip(spans, names, strict=True)]).to_numpy()


def _width(quantiles: FloatArray) -> FloatArray:
    """Return the width of the outermost interval, at least a thousandth of the typical one."""
    width = quantiles[..., -1:] - quantiles[..., :1]
    least = 1e-3 * float(np.nanmean(width)) + 1e-12
    wide: FloatArray = np.maximum(width, least)
    return wide


def _mass(low: FloatArray, high: FloatArray, begin: float, end: float) -> FloatArray:
    """Return the part of each [low, high] that lies in [begin, end]; a point, in the lower one."""
    width = high - low
    overlap = np.clip(np.minimum(high, end) - np.maximum(low, begin), 0.0, None)
    point = ((low > begin) | (begin == 0.0)) & (low <= end)
    part: FloatArray = np.where(width > 0, overlap / np.where(width > 0, width, 1.0), point)
    return part


def _rows(found: Backtest, model: str, needed: Sequence[str] | None = None) -> pl.DataFrame:
    """Return a model's rows with a truth and a forecast distribution, or with all that is needed."""
    if model not in found.names:
        raise ParameterError(f"the backtest has no model {model!r}; it has {', '.join(found.names)}")
    if needed is None:
        needed = ["pit_lo"] if is_of_visits(found) else ["y", "forecast"]
    rows = found.scan().filter(pl.col("model") == model).drop_nulls(needed).collect()
    if not len(rows):
        raise ParameterError(
            f"{model} has no rows with {' and '.join(needed)}: it does not tell that, or nothing was "
            "observed; choose another model or earlier cut-offs"
        )
    return rows


def _returns(found: Backtest, model: str) -> pl.DataFrame:
    if not is_of_visits(found):
        raise ParameterError("only visits have a probability of a return; of series look at the quantiles")
    return _rows(found, model, ["returned", "p_return"])
