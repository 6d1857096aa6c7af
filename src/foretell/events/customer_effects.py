"""What was learned about the customers from what is known of them: factors in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.data.covariates import Covariates
from foretell.errors import ParameterError
from foretell.events.horizon.rates import Histories

if TYPE_CHECKING:
    from foretell.events.forecaster import EventForecaster
    from foretell.events.horizon.adapter import HorizonEvents
    from foretell.events.horizon.features import ShopSummary
    from foretell.events.horizon.forecaster import HorizonForecaster

_PRIOR: Final = "prior"


def shop_of(model: EventForecaster) -> ShopSummary | None:
    """Return what the prior has learned of a model's shop; None of a model without a prior."""
    if model.answers_any_horizon:
        return cast("HorizonEvents", model).horizon_.shop_
    prior = None if model.auto_ is None else model.auto_.statistics.get(_PRIOR)
    return None if prior is None else cast("HorizonForecaster", prior).shop_


def customer_effects(model: EventForecaster, horizon: str | int = "90d") -> pl.DataFrame:
    """See `EventForecaster.customer_effects`."""
    log, shop = model.log_, shop_of(model)
    if log.static is None:
        raise ParameterError(
            "nothing is known of the customers; read the log with read_events(…, static=['channel'])"
        )
    if shop is None or shop.effects is None:
        raise ParameterError(
            f"the model is {model.name!r}, whose network has learned what is known of customers among all "
            "else; expected model='auto' or 'prior', which have a factor for each"
        )
    ticks = log.ticks_of(horizon)
    days = shop.clock.ahead(log.as_of, np.array([ticks]))
    parts = []
    for name in log.static_names:
        values, shown, count = _cases(log.static, name)
        asked = Covariates(
            log.static.names,
            np.full((len(values) + 1, len(log.static.names)), np.nan),
            log.static.categories,
        )
        asked.values[:-1, log.static.names.index(name)] = values
        zeros = np.zeros(len(asked))
        newcomers = Histories(zeros, zeros, zeros, shop.effects.tilt(asked, len(asked)))
        expected = shop.rates.curves(newcomers, days).expected[:, 0]
        parts.append(
            pl.DataFrame(
                {
                    "covariate": [name] * len(values),
                    "value": shown,
                    "customers": count,
                    f"newcomer_{horizon}": expected[:-1],
                    "factor": expected[:-1] / expected[-1],
                }
            )
        )
    return pl.concat(parts)


def _cases(static: Covariates, name: str) -> tuple[FloatArray, list[str], list[int]]:
    """Return the values that are looked at, how they are called, and how many customers they stand for."""
    column = static.values[:, static.names.index(name)]
    known = column[~np.isnan(column)]
    if name in static.categories:
        codes, counts = np.unique(known.astype(np.int64), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        words = [static.categories[name][codes[k]] for k in order]
        return codes[order].astype(np.float64), words, counts[order].tolist()
    quarters = np.quantile(known, [0.25, 0.5, 0.75]) if len(known) else np.zeros(0)
    values = np.unique(quarters)
    return values, [f"{value:,.4g}" for value in values], [len(known)] * len(values)
