"""What customers will spend, by any forecaster of events that says how many visits to expect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import numpy as np
import polars as pl

from foretell.core.constraints import Number, check
from foretell.core.time import period_edges
from foretell.data.log import EventLog
from foretell.data.tables import (
    CountModel,
    asked_customers,
    chances_within,
    expected_within,
    interval_tails,
    named_horizons,
)
from foretell.spend.amounts import AmountModel, Rates
from foretell.spend.compound import Spend

_MONTH: Final = 30  # days, by which later visits are discounted
_YEAR: Final = 365.25


def predict_spend(
    model: CountModel,
    horizons: Sequence[str | int],
    levels: Sequence[float],
    ids: Collection[object] | None,
    mark: str,
) -> pl.DataFrame:
    """Return what customers will spend; see `Spending.predict_spend`."""
    named = named_horizons(model.log_, horizons)
    tails = np.asarray(interval_tails(levels))
    ticks = [ticks for _, ticks in named]
    parts = []
    for answers, rates in spending_blocks(model, ticks, ids, mark):
        columns: dict[str, object] = {
            "unique_id": answers["unique_id"],
            "as_of": answers["as_of"],
            "n_events": answers["n_events"],
            "spend_per_visit": rates.per_visit,
        }
        for name, end in named:
            spend = spend_within(answers, end, rates, model)
            columns |= {f"p_spend_{name}": 1.0 - spend.none, f"expected_spend_{name}": spend.mean}
            bounds = spend.quantile(tails).reshape(len(levels), 2, len(answers))
            for level, (low, high) in zip(levels, bounds, strict=True):
                columns |= {
                    f"expected_spend_{name}-lo-{level:g}": low,
                    f"expected_spend_{name}-hi-{level:g}": high,
                }
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)


def predict_value(
    model: CountModel, horizon: str | int, discount: float, ids: Collection[object] | None, mark: str
) -> pl.DataFrame:
    """Return what visits to come are worth today; see `Spending.predict_value`."""
    check("discount", discount, Number(0.0, 10.0))
    log = model.log_
    per_day = log.ticks_of("1d")
    edges = period_edges(log.ticks_of(horizon), _MONTH * per_day)
    middles = (edges + np.concatenate([[0], edges[:-1]])) / (2 * per_day * _YEAR)
    worth = (1.0 + discount) ** -middles
    parts = []
    for answers, rates in spending_blocks(model, [int(edge) for edge in edges], ids, mark):
        counts = expected_within(model, answers, edges.tolist())
        monthly = np.diff(counts, axis=1, prepend=0.0)
        parts.append(
            pl.DataFrame(
                {
                    "unique_id": answers["unique_id"],
                    "as_of": answers["as_of"],
                    "n_events": answers["n_events"],
                    "spend_per_visit": rates.per_visit,
                    "expected_events": counts[:, -1],
                    "value": (monthly @ worth) * rates.per_visit,
                }
            )
        )
    return pl.concat(parts)


def spending_blocks(
    model: CountModel, ticks: Sequence[int], ids: Collection[object] | None, mark: str
) -> Iterator[tuple[pl.DataFrame, Rates]]:
    """Return answers of a model about some customers at a time, and what is known of their amounts."""
    log = model.log_
    rates = rates_of(log, mark)
    for answers in model.predict_blocks(ticks, [], ids):
        yield answers, rates.take(asked_customers(log, answers["unique_id"]).places)


def rates_of(log: EventLog, mark: str) -> Rates:
    """Return what is known of the amounts of a log's customers; the last row is one never seen (-1)."""
    model = AmountModel.of(log, mark)
    rates = model.rates(log, mark)
    return rates._replace(q=np.append(rates.q, model.q), gamma=np.append(rates.gamma, model.gamma))


def spend_within(answers: pl.DataFrame, ticks: int, rates: Rates, model: CountModel) -> Spend:
    """Return what customers spend within some ticks."""
    expected = expected_within(model, answers, [ticks])[:, 0]
    return Spend.of(expected, chances_within(model, answers, ticks), rates)


def frequency_and_amount(log: EventLog, mark: str) -> tuple[float, float]:
    """Return how customers' mean amounts go with how often they come, and how likely chance makes it so.

    Spearman's rank correlation of those with two amounts or more, and its p-value: forecasts of spend take
    the number of visits and the amounts of a customer to be independent given the history of both, which
    such a correlation does not break.
    """
    from scipy import stats  # noqa: PLC0415  # slow to load

    rates, counts = rates_of(log, mark), log.counts
    means = rates.per_visit[:-1]
    many = counts > 1
    if many.sum() < 3:
        return 0.0, 1.0
    span = np.maximum(log.as_of - log.first, 1)[many]
    result = stats.spearmanr(counts[many] / span, means[many])
    return float(result.statistic), float(result.pvalue)
