"""Calibration over folds: how often forecasts came true, the PIT histogram, and recalibration.

Recalibration (conformal, by the PIT, isotonic) is learned from out-of-fold forecasts. It is worth having if
what was wrong at the earlier cut-offs is wrong at the next one too. So with two folds or more each says what
a share of what the others teach would have brought it: to the coverage of its central intervals, or to the
Brier score. The best share is taken if the folds agree, by more than chance, that it is better than none.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core import FloatArray
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.folds import LEVELS, quantile_column
from foretell.stats import metrics
from foretell.stats.blending import surely_positive

Mask = npt.NDArray[np.bool_]
Learned = TypeVar("Learned")

# With fewer forecasts than this nothing is recalibrated.
_ENOUGH = 50
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Parts of a distribution, counted from its middle, by which the recalibration of levels is judged.
_CENTRAL = (0.5, 0.8, 0.9)


def coverage_by_level(evaluation: Evaluation, model: str) -> pl.DataFrame:
    """Return how often the truth lay within central intervals: ``level`` (%), ``observed``, ``n``.

    Of series from the quantiles; of visits from the probability integral transforms of the next events, given
    that the customer comes within the horizon, among those who came.
    """
    rows = rows_of(evaluation, model)
    if has_pit(evaluation):
        levels = [20, 40, 60, 80, 90]
        low, high = (rows[name].to_numpy() for name in ("pit_lo", "pit_hi"))
        inside = [mass_within(low, high, 0.5 - level / 200, 0.5 + level / 200).mean() for level in levels]
    else:
        levels = [20, 40, 60, 80]
        ends = [[quantile_column(round(0.5 + side * level / 200, 2)) for side in (-1, 1)] for level in levels]
        inside = [rows.select(pl.col("y").is_between(low, high).mean()).item() for low, high in ends]
    return pl.DataFrame({"level": levels, "observed": inside, "n": len(rows)})


def reliability_over_folds(evaluation: Evaluation, model: str, bins: int = 10) -> metrics.Reliability:
    """Return observed against forecast frequencies of a return within 30 days, over all folds."""
    rows = returns_of(evaluation, model)
    return metrics.reliability(rows["returned"].to_numpy(), rows["p_return"].to_numpy(), bins)


def pit_histogram(evaluation: Evaluation, model: str, bins: int = 10) -> pl.DataFrame:
    """Return the histogram of the probability integral transform: ``low``, ``high``, ``share`` of each bin.

    All shares are 1 / bins where the distributions are right; a U shape means that they are too narrow.
    What is known only to lie between two probabilities (a whole day; between two quantiles) is spread evenly
    between them. Of visits: among customers who came, given that they come within the horizon.

    References
    ----------
    Czado, Gneiting, Held (2009), "Predictive model assessment for count data", Biometrics 65(4): the
    non-randomised histogram for what is not continuous.
    """
    rows = rows_of(evaluation, model)
    if has_pit(evaluation):
        low, high = (rows[name].to_numpy() for name in ("pit_lo", "pit_hi"))
    else:
        quantiles = rows.select([quantile_column(level) for level in LEVELS]).to_numpy()
        edges = np.array([0.0, *LEVELS, 1.0])
        truth = rows["y"].to_numpy()[:, None]
        # A truth on a quantile, or on several equal ones, is spread over both sides.
        low = edges[(quantiles < truth).sum(axis=1)]
        high = edges[(quantiles <= truth).sum(axis=1) + 1]
    cuts = np.linspace(0.0, 1.0, bins + 1)
    share = [float(mass_within(low, high, a, b).mean()) for a, b in itertools.pairwise(cuts)]
    return pl.DataFrame({"low": cuts[:-1], "high": cuts[1:], "share": share})


def has_pit(evaluation: Evaluation) -> bool:
    """Return whether the rows hold PIT values, as of visits, instead of quantiles."""
    return "pit_lo" in evaluation.columns


def mass_within(low: FloatArray, high: FloatArray, begin: float, end: float) -> FloatArray:
    """Return the part of each [low, high] that lies in [begin, end]; a point, in the lower one."""
    width = high - low
    overlap = np.clip(np.minimum(high, end) - np.maximum(low, begin), 0.0, None)
    point = ((low > begin) | (begin == 0.0)) & (low <= end)
    part: FloatArray = np.where(width > 0, overlap / np.where(width > 0, width, 1.0), point)
    return part


def rows_of(evaluation: Evaluation, model: str, needed: Sequence[str] | None = None) -> pl.DataFrame:
    """Return a model's rows with a truth and a forecast distribution, or with all that is needed."""
    evaluation.check_names([model])
    if needed is None:
        needed = ["pit_lo"] if has_pit(evaluation) else ["y", "forecast"]
    rows = evaluation.scan().filter(pl.col("model") == model).drop_nulls(needed).collect()
    if not len(rows):
        raise ParameterError(
            f"{model} has no rows with {' and '.join(needed)}: it does not forecast that, or nothing was "
            "observed; choose another model or earlier cut-offs"
        )
    return rows


def returns_of(evaluation: Evaluation, model: str) -> pl.DataFrame:
    """Return a model's rows of visits with a probability of a return within 30 days and what came of it."""
    if not has_pit(evaluation):
        raise ParameterError("only visits have a probability of a return; of series look at the quantiles")
    return rows_of(evaluation, model, ["returned", "p_return"])


def steady_share(
    folds: npt.ArrayLike | None,
    learn: Callable[[Mask], Learned],
    error: Callable[[Learned, Mask, float], float],
) -> float:
    """Return which share of recalibration to take: the best over the folds left out in turn, or none.

    Parameters
    ----------
    folds : array, shape (n,), optional
        The fold of each forecast; with fewer than two the whole recalibration is taken.
    learn : callable
        Of rows: the whole recalibration that they show.
    error : callable
        Of recalibration, rows to try it on, and the share of it that is taken.
    """
    labels = np.zeros(1) if folds is None else np.unique(np.asarray(folds))
    if len(labels) < 2:
        return 1.0
    of = np.asarray(folds)
    without = [(learn(of != label), of == label) for label in labels]
    values = np.array([[error(learned, rows, share) for learned, rows in without] for share in _SHARES])
    best = int(np.argmin(values.mean(axis=1)))
    return _SHARES[best] if surely_positive(values[0] - values[best]) else 0.0


@dataclasses.dataclass(frozen=True, eq=False)
class ConformalRecalibration:
    """Moves quantiles so that they would have held on out-of-fold forecasts (conformal).

    Each quantile moves by a part of the interval's width: the part that would have put the right share of
    the truths below it. Valid as far as the future is like the folds.

    Attributes
    ----------
    levels : tuple of float
    shifts : float64 array, shape (n_levels,)
        In widths of the interval.

    References
    ----------
    Romano, Patterson, Candès (2019), "Conformalized quantile regression", NeurIPS; each side by itself, and
    scaled by the width.

    Examples
    --------
    >>> truth = np.random.default_rng(0).normal(0.0, 2.0, 4_000)
    >>> narrow = np.tile([-1.28, 0.0, 1.28], (4_000, 1))
    >>> recalibration = ConformalRecalibration.fit(truth, narrow, [0.1, 0.5, 0.9])
    >>> low, _, high = recalibration.apply(narrow).T
    >>> round(float(np.mean((low <= truth) & (truth <= high))), 2)
    0.8
    """

    levels: tuple[float, ...]
    shifts: FloatArray

    @classmethod
    def fit(
        cls,
        truth: npt.ArrayLike,
        quantiles: npt.ArrayLike,
        levels: Sequence[float],
        folds: npt.ArrayLike | None = None,
    ) -> Self:
        """Learn from truths, shape (n,), and their forecasts, shape (n, n_levels); NaN is left out."""
        truths, forecasts = np.asarray(truth, dtype=np.float64), np.asarray(quantiles, dtype=np.float64)
        if forecasts.shape != (len(truths), len(levels)):
            raise ParameterError(
                f"quantiles has shape {forecasts.shape}; expected {(len(truths), len(levels))}: a row for "
                "each truth, a column for each level"
            )
        known = ~np.isnan(truths) & ~np.isnan(forecasts).any(axis=1)
        truths, forecasts = truths[known], forecasts[known]
        if len(truths) < _ENOUGH:
            return cls(tuple(levels), np.zeros(len(levels)))
        scores = (truths[:, None] - forecasts) / _width(forecasts)
        at, half = np.asarray(levels), len(levels) // 2

        def learned(rows: Mask) -> FloatArray:
            return np.array([np.quantile(scores[rows, k], level) for k, level in enumerate(at)])

        def uneven(shifts: FloatArray, out: Mask, share: float) -> float:
            moved, truth = cls(tuple(levels), share * shifts).apply(forecasts[out]), truths[out]
            covered = [np.mean((moved[:, k] <= truth) & (truth <= moved[:, -1 - k])) for k in range(half)]
            return float(np.square(covered - (at[::-1][:half] - at[:half])).sum())

        share = steady_share(None if folds is None else np.asarray(folds)[known], learned, uneven)
        return cls(tuple(levels), share * learned(np.ones(len(truths), dtype=bool)))

    def apply(self, quantiles: npt.ArrayLike) -> FloatArray:
        """Return recalibrated quantiles, shape (…, n_levels), in ascending order."""
        forecasts = np.asarray(quantiles, dtype=np.float64)
        moved: FloatArray = np.sort(forecasts + self.shifts * _width(forecasts), axis=-1)
        return moved

    @classmethod
    def of(cls, evaluation: Evaluation, model: str) -> Self:
        """Learn from the folds of a backtest of series."""
        if has_pit(evaluation):
            raise ParameterError(
                "visits are recalibrated by their PIT: PITRecalibration.of(evaluation, model)"
            )
        rows = rows_of(evaluation, model)
        forecasts = rows.select([quantile_column(level) for level in LEVELS]).to_numpy()
        return cls.fit(rows["y"].to_numpy(), forecasts, LEVELS, rows["cutoff"].to_numpy())


@dataclasses.dataclass(frozen=True, eq=False)
class PITRecalibration:
    """Says which levels to ask for, so that quantiles would have held on out-of-fold forecasts.

    The probability integral transform (PIT) can be compared whatever was forecast for whom: if a
    tenth of the truths fell below the 0.13 quantile, the 0.1 quantile to come is the 0.13 one.

    Attributes
    ----------
    asked, given : float64 array, shape (n_points,)
        Straight lines between these points, both ascending from 0 to 1.

    References
    ----------
    Chernozhukov, Wüthrich, Zhu (2021), "Distributional conformal prediction", PNAS 118(48).

    Examples
    --------
    >>> pit = np.random.default_rng(0).beta(2.0, 2.0, 10_000)  # too wide: the truth keeps to the middle
    >>> PITRecalibration.fit(pit, pit).levels([0.1, 0.5, 0.9]).round(1)
    array([0.2, 0.5, 0.8])
    """

    asked: FloatArray
    given: FloatArray

    @classmethod
    def fit(cls, low: npt.ArrayLike, high: npt.ArrayLike, folds: npt.ArrayLike | None = None) -> Self:
        """Learn from PIT values, each known to lie between two probabilities, shape (n,) each."""
        below, above = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
        grid = np.linspace(0.0, 1.0, 101)
        if len(below) < _ENOUGH:
            return cls(grid, grid)

        def learned(rows: Mask) -> FloatArray:
            values = [float(mass_within(below[rows], above[rows], 0.0, level).mean()) for level in grid]
            # The truth is never quite as far out as the outermost point: no level becomes 0 or 1.
            return np.interp(grid, np.maximum.accumulate(np.array([0.0, *values[1:-1], 1.0])), grid)

        def partly(given: FloatArray, share: float) -> FloatArray:
            return (1.0 - share) * grid + share * given

        def uneven(given: FloatArray, out: Mask, share: float) -> float:
            recalibration = cls(grid, partly(given, share))
            ends = [recalibration.levels([0.5 - part / 2, 0.5 + part / 2]) for part in _CENTRAL]
            covered = [float(mass_within(below[out], above[out], *pair).mean()) for pair in ends]
            return float(np.square(np.array(covered) - _CENTRAL).sum())

        share = steady_share(folds, learned, uneven)
        return cls(grid, partly(learned(np.ones(len(below), dtype=bool)), share))

    def levels(self, asked: npt.ArrayLike) -> FloatArray:
        """Return the levels to ask a forecaster for, instead of these."""
        values: FloatArray = np.interp(np.asarray(asked, dtype=np.float64), self.asked, self.given)
        return values

    @classmethod
    def of(cls, evaluation: Evaluation, model: str) -> Self:
        """Learn from the folds of a backtest of visits: the PIT of the next events of those who came."""
        if not has_pit(evaluation):
            raise ParameterError("series have quantiles: ConformalRecalibration.of(evaluation, model)")
        rows = rows_of(evaluation, model)
        return cls.fit(*(rows[name].to_numpy() for name in ("pit_lo", "pit_hi", "cutoff")))


@dataclasses.dataclass(frozen=True, eq=False)
class IsotonicRecalibration:
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
    >>> recalibration = IsotonicRecalibration.fit(happened, chance)
    >>> recalibration.apply([0.3, 0.8]).round(1)
    array([0.1, 0.6])
    """

    forecast: FloatArray
    observed: FloatArray

    @classmethod
    def fit(
        cls, happened: npt.ArrayLike, probability: npt.ArrayLike, folds: npt.ArrayLike | None = None
    ) -> Self:
        """Learn from what happened, shape (n,), and the forecast probabilities."""
        forecasts, truths = np.asarray(probability, dtype=np.float64), np.asarray(happened, dtype=np.float64)
        if len(forecasts) < _ENOUGH:
            return cls(np.array([0.0, 1.0]), np.array([0.0, 1.0]))

        def learned(rows: Mask) -> tuple[FloatArray, FloatArray]:
            # In bins, so that a step of the map stands for enough forecasts.
            bins = int(np.clip(rows.sum() // _ENOUGH, 2, 50))
            table = metrics.reliability(truths[rows], forecasts[rows], bins=bins)
            from scipy.optimize import isotonic_regression  # noqa: PLC0415  # who recalibrates needs it

            fitted = np.asarray(isotonic_regression(table.observed, weights=table.size).x)
            return table.forecast, fitted

        def partly(points: tuple[FloatArray, FloatArray], share: float) -> tuple[FloatArray, FloatArray]:
            forecast, observed = points
            return forecast, (1.0 - share) * forecast + share * observed

        def brier(points: tuple[FloatArray, FloatArray], out: Mask, share: float) -> float:
            return metrics.brier(truths[out], cls(*partly(points, share)).apply(forecasts[out]))

        share = steady_share(folds, learned, brier)
        return cls(*partly(learned(np.ones(len(forecasts), dtype=bool)), share))

    def apply(self, probability: npt.ArrayLike) -> FloatArray:
        """Return recalibrated probabilities."""
        ends_in, ends_out = np.array([0.0]), np.array([1.0])
        x = np.concatenate([ends_in, self.forecast, ends_out])
        y = np.concatenate([ends_in, self.observed, ends_out])
        recalibrated: FloatArray = np.interp(np.asarray(probability, dtype=np.float64), x, y)
        return recalibrated

    @classmethod
    def of(cls, evaluation: Evaluation, model: str) -> Self:
        """Learn from the folds of a backtest of visits: P(return within 30 days)."""
        rows = returns_of(evaluation, model)
        return cls.fit(*(rows[name].to_numpy() for name in ("returned", "p_return", "cutoff")))


def recalibration_on_last_fold(evaluation: Evaluation, model: str) -> pl.DataFrame:
    """Return what recalibration learned from the earlier folds does to the last: an honest look at it.

    Returns
    -------
    polars.DataFrame
        ``kind`` (``"as forecast"``, ``"recalibrated"``), ``claimed``, ``observed``: of visits the
        reliability of P(return within 30 days), of series the coverage of central intervals.
    """
    if len(evaluation.cutoffs) < 2:
        raise ParameterError("recalibration is learned from earlier folds: backtest at two cut-offs or more")
    learn = _reliability_on_last_fold if has_pit(evaluation) else _coverage_on_last_fold
    tables = learn(evaluation, model)
    return pl.concat([table.select(pl.lit(kind).alias("kind"), pl.all()) for kind, table in tables.items()])


def _reliability_on_last_fold(evaluation: Evaluation, model: str) -> dict[str, pl.DataFrame]:
    before, last = _without_last_fold(evaluation, returns_of(evaluation, model))
    names = ("returned", "p_return", "cutoff")
    recalibration = IsotonicRecalibration.fit(*(before[name].to_numpy() for name in names))
    forecasts, truths = last["p_return"].to_numpy(), last["returned"].to_numpy()
    kinds = {"as forecast": forecasts, "recalibrated": recalibration.apply(forecasts)}
    points = {kind: metrics.reliability(truths, chances) for kind, chances in kinds.items()}
    return {
        kind: pl.DataFrame({"claimed": bins.forecast, "observed": bins.observed})
        for kind, bins in points.items()
    }


def _coverage_on_last_fold(evaluation: Evaluation, model: str) -> dict[str, pl.DataFrame]:
    before, last = _without_last_fold(evaluation, rows_of(evaluation, model))
    columns = [quantile_column(level) for level in LEVELS]
    folds = before["cutoff"].to_numpy()
    learned_from = before.select(columns).to_numpy()
    recalibration = ConformalRecalibration.fit(before["y"].to_numpy(), learned_from, LEVELS, folds)
    forecasts, truths = last.select(columns).to_numpy(), last["y"].to_numpy()[:, None]
    low = np.arange(len(LEVELS) // 2)[::-1]
    claimed = [LEVELS[-1 - k] - LEVELS[k] for k in low]
    kinds = {"as forecast": forecasts, "recalibrated": recalibration.apply(forecasts)}
    inside = {
        kind: (quantiles[:, low] <= truths) & (truths <= quantiles[:, ::-1][:, low])
        for kind, quantiles in kinds.items()
    }
    return {
        kind: pl.DataFrame({"claimed": claimed, "observed": within.mean(axis=0)})
        for kind, within in inside.items()
    }


def _without_last_fold(evaluation: Evaluation, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows of the folds before the last, and those of the last."""
    last = pl.col("cutoff").eq(evaluation.cutoffs[-1])
    return rows.filter(~last), rows.filter(last)


def _width(quantiles: FloatArray) -> FloatArray:
    """Return the width of the outermost interval, at least a thousandth of the typical one."""
    width = quantiles[..., -1:] - quantiles[..., :1]
    least = 1e-3 * float(np.nanmean(width)) + 1e-12
    wide: FloatArray = np.maximum(width, least)
    return wide
