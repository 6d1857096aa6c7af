"""Why a forecast is what it is, and what does not fit the forecasts; for customers and for series."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import polars as pl

from foretell.core.constraints import Number, check
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import DataError, ParameterError
from foretell.explanations.customers import explain_customer, silent_customers
from foretell.explanations.explanation import Explanation
from foretell.explanations.series import explain_series, unexpected_values
from foretell.i18n import Language, Translator

if TYPE_CHECKING:
    from foretell.core.contracts import Kind
    from foretell.events.forecaster import EventForecaster
    from foretell.series.forecaster import SeriesForecaster

__all__ = ["Explanation", "anomalies", "explain"]


def explain(
    model: EventForecaster | SeriesForecaster,
    id: object,  # noqa: A002  # the option's name everywhere
    *,
    horizon: str | int = "30d",
    target: str | None = None,
    language: Language = "en",
) -> Explanation:
    """Say what moved the forecast of one customer or series away from the classical forecast.

    Of a customer the chance of a visit within the horizon is explained, of a series the mean of the medians
    of the next steps. The parts are integrated gradients of the network's standardised inputs, along the
    straight path from their training mean (Sundararajan, Taly and Yan 2017), summed over what a reader
    knows: they add up to the way from the anchor to the forecast.

    Parameters
    ----------
    model : EventForecaster or SeriesForecaster
        Fitted.
    id : value
        The customer or series.
    horizon : str or int
        Of visits.
    target : str, optional
        Of series; by default the first.
    language : {"en", "zh"}
        Of the words.

    Returns
    -------
    Explanation
        ``str()`` says it in words, ``table()`` in numbers, `foretell.plotting.plot_explanation` draws it.

    Raises
    ------
    ParameterError
        There is no such customer or series.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": 5 + np.sin(2 * np.pi * np.arange(120) / 6)})
    >>> small, quick = ft.NetworkConfig(layers=0, dense=4), ft.TrainConfig(epochs=1)
    >>> model = ft.SeriesForecaster(6, model="network", ensemble=1, network=small, training=quick).fit(panel)
    >>> ft.explain(model, "a").quantity
    'mean y of the next 6 steps'
    """
    say = Translator(language)
    return _EXPLAIN[_kind_of(model, "explain")](model, id, horizon=horizon, target=target, say=say)


def anomalies(
    model: EventForecaster | SeriesForecaster, data: EventLog | Panel | None = None, level: float = 99
) -> pl.DataFrame:
    """List what lies outside of the forecasts: silent customers, or values beyond their interval.

    Parameters
    ----------
    model : EventForecaster or SeriesForecaster
        Fitted.
    data : EventLog or Panel, optional
        Newer data, which contain the model's own: customers are looked at as of the end of the log, series
        at all steps after the model's. By default the customers as of the model's date, and the last steps
        of the series, one horizon, which the model has seen: there it is lenient.
    level : float
        Percentage: customers whose silence is longer than this share of their gaps, given that they return;
        values outside of the central interval of this share.

    Returns
    -------
    polars.DataFrame
        The farthest off first: ``unique_id``; ``ds``, the date of the value, or the as-of date; ``what``,
        the target or ``"silence"``; ``value``, observed, or days of silence; ``low`` and ``high``, between
        which it was expected; ``score``, how many times as far from the middle as the limit (of silence: as
        long as the longest expected gap).

    Raises
    ------
    DataError
        The data are of the other kind, or end before the model's.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> steps = np.arange(120)
    >>> values = np.sin(2 * np.pi * steps / 6) + 0.1 * np.random.default_rng(0).normal(size=120)
    >>> values[-2] = 9.0
    >>> panel = ft.Panel.from_arrays({"a": values})
    >>> before, _ = panel.tail_split(6)
    >>> model = ft.SeriesForecaster(6, model="prior").fit(before)
    >>> ft.anomalies(model, panel)["value"].to_list()[0]
    9.0
    """
    check("level", level, Number(1.0, 100.0))
    kind = _kind_of(model, "anomalies")
    if data is not None and getattr(data, "kind", None) != kind:
        expected = {"events": "an EventLog", "series": "a Panel"}[kind]
        raise DataError(f"data of a {type(model).__name__} are {expected}, got {type(data).__name__}")
    return _ANOMALIES[kind](model, data, level)


_EXPLAIN: Mapping[Kind, Callable[..., Explanation]] = {"events": explain_customer, "series": explain_series}
_ANOMALIES: Mapping[Kind, Callable[..., pl.DataFrame]] = {
    "events": silent_customers,
    "series": unexpected_values,
}


def _kind_of(model: EventForecaster | SeriesForecaster, verb: str) -> Kind:
    """Return the question of a fitted network of ours; refuse anything else."""
    if not getattr(model, "is_ours", False):
        raise ParameterError(
            f"{verb} takes a fitted EventForecaster or SeriesForecaster, got {type(model).__name__}; fit "
            "one, or load it with foretell.load(directory)"
        )
    model._check_fitted("model_")  # noqa: SLF001  # the house's own
    return model.kind
