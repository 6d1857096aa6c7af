"""How many visits a tick brings, by trend, cycle, season and what else is known: a Poisson regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from foretell.core import FloatArray, IntArray
from foretell.core.time import UNIT_SECONDS, Unit

TICKS_PER_DAY: Final = {"day": 1, "hour": UNIT_SECONDS["day"] // UNIT_SECONDS["hour"]}
_YEAR_DAYS: Final = 365.2425
SPREAD: Final = 0.35  # prior standard deviation of a log factor: a season of e^±0.35 is ordinary
_MIN_YEARS = 1.2  # below this a year season cannot be told from the trend
_FLAT = 1e6  # precision of a log factor that is 0
_FREE = 1e-4  # of what is not drawn towards 0


def phases(ticks: IntArray, unit: Unit) -> tuple[IntArray, IntArray]:
    """Return the position in the weekly cycle and the week of the year (0 … 52) of each tick."""
    per_day = TICKS_PER_DAY[unit]
    days = ticks // per_day
    in_cycle = (ticks + 3 * per_day) % (7 * per_day)  # 1970-01-01 was a Thursday
    dates = days.astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    return in_cycle, day_of_year // 7


class Design(NamedTuple):
    """The columns of the log-linear model.

    Attributes
    ----------
    columns : array, shape (n_ticks, n_columns)
        The trend, then the cycle, then the year where there is enough history.
    cycle, year : slice
    """

    columns: FloatArray
    cycle: slice
    year: slice

    @classmethod
    def of(cls, ticks: IntArray, unit: Unit, n_ticks: int) -> Design:
        """Lay out the ticks that are looked at, of so many of a log."""
        in_cycle, in_year = phases(ticks, unit)
        years = n_ticks / (TICKS_PER_DAY[unit] * _YEAR_DAYS)
        position = (ticks - ticks[0]) / max(len(ticks) - 1, 1)
        # The trend bends about twice a year where the year season is not asked for, else slowly: a fast trend
        # would take the season away.
        bends = 3 if years > _MIN_YEARS else max(3, round(12 * years))
        knots = np.linspace(0.0, 1.0, bends)
        trend = np.maximum(0.0, 1.0 - np.abs(position[:, None] - knots) * (bends - 1))
        trend = np.column_stack([trend, np.log1p(ticks - ticks[0])])
        n_cycle = 7 * TICKS_PER_DAY[unit]
        n_year = 53 if years > _MIN_YEARS else 0
        columns = [trend, np.eye(n_cycle)[in_cycle]]
        if n_year:
            columns.append(np.eye(n_year)[in_year])
        first = trend.shape[1]
        last = first + n_cycle
        return cls(np.hstack(columns), slice(first, last), slice(last, last + n_year))


class Learned(NamedTuple):
    """Columns whose weights are drawn towards 0 by a spread that is learned.

    Attributes
    ----------
    columns : slice
    widest : float
        The largest standard deviation of their weights.
    """

    columns: slice
    widest: float = SPREAD


class Weights(NamedTuple):
    """Weights of the columns, and their covariance."""

    mean: FloatArray
    covariance: FloatArray


def poisson_map(
    design: FloatArray, n_free: int, counts: FloatArray, exposure: FloatArray, learned: Sequence[Learned]
) -> Weights:
    """Return the maximum a posteriori weights of a log-linear Poisson regression (Newton's method).

    The first ``n_free`` columns are free, the others shrink towards 0; those ``learned`` at least as much,
    by the spread under which the counts are most likely.

    References
    ----------
    MacKay (1992), "Bayesian interpolation", Neural Computation 4(3): eq. 4.8 and its fixed point.
    """
    precision = np.full(design.shape[1], SPREAD**-2)
    precision[:n_free] = _FREE
    for part in learned:
        precision[part.columns] = part.widest**-2
    learned = [part for part in learned if part.columns.stop > part.columns.start]
    weights = np.zeros(design.shape[1])
    offset = np.log(exposure) + np.log(counts.sum() / exposure.sum())
    for _ in range(50):
        mean = np.exp(np.clip(offset + design @ weights, -30.0, 30.0))
        gradient = design.T @ (counts - mean) - precision * weights
        hessian = (design * mean[:, None]).T @ design + np.diag(precision)
        step = np.linalg.solve(hessian, gradient)
        weights += step * min(1.0, 2.0 / (np.abs(step).max() + 1e-12))
        if learned:
            variance = np.diag(np.linalg.inv(hessian))
        for columns, widest in learned:
            # As many weights as the counts have a say in; over their sum of squares it is the precision.
            effective = max(float(np.sum(1.0 - precision[columns] * variance[columns])), 1e-3)
            update = effective / max(float(np.sum(weights[columns] ** 2)), 1e-9)
            precision[columns] = np.clip(update, widest**-2, _FLAT)
        if np.abs(step).max() < 1e-8:
            break
    return Weights(weights, np.linalg.inv(hessian))
