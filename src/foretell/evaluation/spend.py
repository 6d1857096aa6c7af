"""How good forecasts of spend are, on a period that was held back from them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.constraints import Instance, check
from foretell.data.log import EventLog
from foretell.data.tables import CountModel
from foretell.errors import ParameterError
from foretell.spend.compound import Spend
from foretell.spend.forecasts import spend_within, spending_blocks
from foretell.spend.gamma_gamma import GammaGamma, mark_of

_DECILES: Final = 10


def evaluate_spend(
    log: EventLog,
    cutoff: object,
    horizon: str | int,
    models: Iterable[object],
    *,
    mark: str = "amount",
) -> pl.DataFrame:
    """Compare models by what customers spend after a cut-off.

    Parameters
    ----------
    log : EventLog
        With a mark that is an amount.
    cutoff : date or str
        Last day that the models see.
    horizon : str or int
        How long spend is counted after it.
    models : iterable of forecasters of events
        Unfitted; each forecasts the visits, amounts are those of `EventForecaster.predict_spend`. Statistics
        come a second time, times Gamma-Gamma, as a retailer would have it: with ``× Gamma-Gamma`` after
        their name.
    mark : str

    Returns
    -------
    polars.DataFrame
        The smallest error first, one row per model: ``model``; ``rmse``, ``mae`` of customers' spend;
        ``bias``, of the total, relative; ``gini`` of the spend in the order of the forecast, as a share of
        what the perfect order has; ``top_decile``, the share of all spend by the tenth forecast highest;
        ``pit_ks``, the Kolmogorov-Smirnov distance of the PIT from uniform (null of Gamma-Gamma, which
        gives means alone); ``decile_error``, the mean relative error of the totals of the tenths.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.evaluation.spend import evaluate_spend
    >>> rows = ft.datasets.load_cdnow(sample=True)
    >>> log = ft.read_events(rows, id="customer_id", time="date", marks=["amount"])
    >>> table = evaluate_spend(log, "1997-09-30", "39w", [ft.baselines.ParetoNBD()])
    >>> table["model"].sort().to_list()
    ['Pareto/NBD', 'Pareto/NBD × Gamma-Gamma']
    """
    check("log", log, Instance(EventLog))
    train, ticks = log.until(cutoff), log.ticks_of(horizon, log.axis.last_until(cutoff))
    actual = spent(log, train, ticks, mark)
    rows = []
    for model in models:
        fitted: CountModel = model.fit(train)  # type: ignore[attr-defined]  # any of them
        forecast = _spend(fitted, ticks, mark)
        rows.append(
            {"model": fitted.name, **figures(forecast.mean, actual), "pit_ks": pit_distance(forecast, actual)}
        )
        if not getattr(model, "is_ours", False):
            classical = GammaGamma(mark).fit(train).predict()["spend_per_visit"].to_numpy()
            mean = forecast.counts / forecast.rates.paid * classical
            rows.append({"model": f"{fitted.name} × Gamma-Gamma", **figures(mean, actual), "pit_ks": None})
    if not rows:
        raise ParameterError("models=[]; expected at least one forecaster of events")
    return pl.DataFrame(rows).sort("rmse")


def spent(log: EventLog, train: EventLog, ticks: int, mark: str) -> FloatArray:
    """Return what each customer of a log's first part spends within some ticks after it."""
    if train.as_of + ticks > log.as_of:
        raise ParameterError(
            f"horizon={ticks} {log.unit}s after {train.date(train.as_of)}: the log ends {log.date(log.as_of)}"
        )
    values = np.nan_to_num(mark_of(log, mark))
    later = (log.times > train.as_of) & (log.times <= train.as_of + ticks)
    by_customer = np.bincount(log.owner[later], values[later], log.n_customers)
    known = np.asarray(log.ids.search_sorted(train.ids).to_numpy())
    sums: FloatArray = by_customer[known]
    return sums


def _spend(model: CountModel, ticks: int, mark: str) -> Spend:
    parts = [
        (spend_within(answers, ticks, rates, model), rates)
        for answers, rates in spending_blocks(model, [ticks], None, mark)
    ]
    q, gamma = (np.concatenate([getattr(rates, name) for _, rates in parts]) for name in ("q", "gamma"))
    rates = parts[0][1]._replace(q=q, gamma=gamma)
    counts, none = (np.concatenate([getattr(part, name) for part, _ in parts]) for name in ("counts", "none"))
    return Spend(counts, none, rates)


def figures(forecast: FloatArray, actual: FloatArray) -> dict[str, float]:
    """Return the errors of forecasts of spend, and how well they rank."""
    error, total = forecast - actual, max(float(actual.sum()), 1e-12)
    order = np.argsort(-forecast, kind="stable")
    tenths = np.array_split(order, _DECILES)
    off = [abs(forecast[tenth].sum() - actual[tenth].sum()) for tenth in tenths]
    return {
        "rmse": float(np.sqrt(np.mean(error**2))),
        "mae": float(np.abs(error).mean()),
        "bias": float(forecast.sum() / total - 1.0),
        "gini": gini(actual[order]) / max(gini(np.sort(actual)[::-1]), 1e-12),
        "top_decile": float(actual[tenths[0]].sum() / total),
        "decile_error": float(sum(off) / total),
    }


def gini(ordered: FloatArray) -> float:
    """Return twice the area between the curve of shares in an order and the diagonal.

    Examples
    --------
    >>> round(gini(np.array([1.0, 0.0, 0.0, 0.0])), 3), gini(np.array([1.0, 1.0]))
    (0.75, 0.0)
    """
    shares = np.cumsum(ordered) / max(float(ordered.sum()), 1e-12)
    n = len(ordered)
    return float(2.0 * shares.sum() / n - (n + 1) / n)


def pit_distance(forecast: Spend, actual: FloatArray) -> float:
    """Return how far the PIT is from uniform: the largest distance of the two distributions.

    Where nothing is spent, the PIT is drawn below the chance of that (Czado, Gneiting, Held 2009), by the
    mean over all draws: each such customer is uniform there.
    """
    place = forecast.cdf(actual)
    grid = np.linspace(0.0, 1.0, 201)
    none = actual <= 0
    some = (place[~none][:, None] <= grid).mean(axis=0) if (~none).any() else grid * 0
    within = np.clip(grid / np.maximum(forecast.none[none][:, None], 1e-12), 0.0, 1.0)
    free = within.mean(axis=0) if none.any() else grid * 0
    share = none.mean()
    return float(np.abs(share * free + (1.0 - share) * some - grid).max())
