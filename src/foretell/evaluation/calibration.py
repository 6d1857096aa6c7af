"""Calibration over folds: how often forecasts came true, and the histogram of the PIT."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation
from foretell.evaluation.series_folds import LEVELS, quantile_column
from foretell.stats import event_metrics as metrics

FloatArray = npt.NDArray[np.float64]


def coverage_by_level(evaluation: Evaluation, model: str) -> pl.DataFrame:
    """Return how often the truth lay within central intervals: ``level`` (%), ``observed``, ``n``.

    Of series from the quantiles; of visits from the probability integral transforms of the next events, given
    that the customer comes within the horizon, among those who came.
    """
    rows = rows_of(evaluation, model)
    if has_pit(evaluation):
        low, high = (rows[name].to_numpy() for name in ("pit_lo", "pit_hi"))
        levels = np.array([20, 40, 60, 80, 90])
        inside = [mass_within(low, high, 0.5 - one / 200, 0.5 + one / 200).mean() for one in levels]
        return pl.DataFrame({"level": levels, "observed": inside, "n": len(rows)})
    levels = np.array([20, 40, 60, 80])
    tails = [[quantile_column(round(0.5 + side * one / 200, 2)) for side in (-1, 1)] for one in levels]
    inside = [rows.select(pl.col("y").is_between(low, high).mean()).item() for low, high in tails]
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
