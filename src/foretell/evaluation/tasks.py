"""The two questions: when next (events) and what next (series), each with its figures, models and folds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import polars as pl

from foretell.baselines import EVENT_BASELINES, SERIES_BASELINES
from foretell.core import FloatArray
from foretell.core.constraints import Steps, check
from foretell.core.contracts import Figure, Task
from foretell.errors import DataError
from foretell.evaluation.folds import LEVELS, EventFolds, SeriesFolds, last_origin, quantile_column
from foretell.events.forecaster import EventForecaster
from foretell.series.forecaster import SeriesForecaster
from foretell.series.prior import Prior
from foretell.stats import metrics

if TYPE_CHECKING:
    from foretell.core.contracts import Kind
    from foretell.data.log import EventLog
    from foretell.data.panel import Panel


_Y, _FORECAST = pl.col("y"), pl.col("forecast")
_ERROR = _FORECAST - _Y
# Of what was forecast and observed.
_ABS_Y = _Y.abs().filter(_ERROR.is_not_null())


def _mapped(truth: pl.Expr, forecast: str, metric: Callable[[FloatArray, FloatArray], float]) -> pl.Expr:
    """Return a statistic of ranks or bins, which no expression can say, of the rows that have both."""

    def figure(columns: Sequence[pl.Series]) -> float | None:
        rows = pl.DataFrame({"truth": columns[0], "forecast": columns[1]}).drop_nulls()
        return metric(rows["truth"].to_numpy(), rows["forecast"].to_numpy()) if len(rows) else None

    return pl.map_groups([truth, forecast], figure, return_dtype=pl.Float64, returns_scalar=True)


def _pinball(level: float) -> pl.Expr:
    error = _Y - pl.col(quantile_column(level))
    return pl.max_horizontal(level * error, (level - 1.0) * error)


def _mean_of_series(error: pl.Expr) -> pl.Expr:
    """Return the mean over the series of each one's mean error."""
    weight = pl.col("weight")
    return (weight * error).sum() / weight.filter(error.is_not_null()).sum()


def _coverage(forecast: str, label: str, of: str = "next_event") -> Figure:
    inside = pl.col(of).is_between(f"{forecast}-lo-80", f"{forecast}-hi-80")
    return Figure("coverage_80", inside.mean(), label, "nearer", 0.8)


def _by_name(*figures: Figure) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures}


def _last_quarter(log: EventLog, model: object, horizon: str | int | None) -> tuple[object, int]:
    """Return the cut-off and the ticks by which settings are searched: by default the last quarter."""
    del model  # it answers for any horizon
    quarter = max((log.as_of - log.start) // 4, 1)
    ticks = quarter if horizon is None else log.as_of - last_origin(log, horizon)
    return log.date(log.as_of - ticks), ticks


def _last_steps(panel: Panel, model: object, horizon: str | int | None) -> tuple[None, int]:
    """Return the steps at the end by which settings are searched: by default the model's horizon."""
    del panel
    steps = getattr(model, "horizon", 1) if horizon is None else horizon
    check("horizon", steps, Steps())
    return None, int(steps)


_SCALED = _ERROR.abs() / pl.col("scale")
_SYMMETRIC = (
    pl.when(_Y.abs() + _FORECAST.abs() > 0)
    .then(200.0 * _ERROR.abs() / (_Y.abs() + _FORECAST.abs()))
    .otherwise(pl.when(_ERROR.is_not_null()).then(0.0))
)
_RMSE = Figure("rmse", (_ERROR**2).mean().sqrt(), "root mean squared error")
_MAE = Figure("mae", _ERROR.abs().mean(), "mean absolute error")
_BIAS = Figure(
    "bias_pct",
    100 * _ERROR.mean() / _ABS_Y.mean(),
    "too much (above 0) or too little was forecast of all, %",
    "nearer",
)

EVENTS = Task(
    kind="events",
    question="When next",
    entity="customer",
    figures=_by_name(
        _RMSE,
        _MAE,
        _BIAS,
        Figure(
            "weekly_mape_pct",
            100 * _ERROR.abs().mean() / _ABS_Y.mean(),
            "mean absolute error of the weekly totals of all customers, %",
            of_totals=True,
        ),
        Figure(
            "brier_30d",
            ((pl.col("p_return") - pl.col("returned")) ** 2).mean(),
            "Brier score of the probability of a return within 30 days",
        ),
        Figure(
            "auc_active",
            _mapped(pl.col("next_event").is_not_null(), "p_active", metrics.auc),
            "how well the probability of being active parts who returned from who did not",
            "higher",
            1.0,
        ),
        _coverage("next_event", "share of the next events within their 80 % interval"),
        Figure(
            "ece_30d",
            _mapped(pl.col("returned"), "p_return", metrics.expected_calibration_error),
            "expected calibration error of the 30-day probability",
        ),
        Figure(
            "correlation",
            _mapped(_Y, "forecast", metrics.correlation),
            "between forecast and actual numbers of events",
            "higher",
            1.0,
        ),
        Figure("crps", pl.col("crps").mean(), "continuous ranked probability score of the next event, ticks"),
        Figure(
            "pit_ks",
            _mapped(_Y, "count_pit", lambda _, pit: metrics.uniform_distance(pit)),
            "Kolmogorov-Smirnov distance of the numbers' probability integral transform from uniform",
        ),
        Figure(
            "crps_counts", pl.col("count_crps").mean(), "continuous ranked probability score of the numbers"
        ),
    ),
    rank=("rmse", "brier_30d"),
    loss=_ERROR**2,
    root=True,
    units=("unique_id",),
    part=None,
    models={"foretell": EventForecaster, **EVENT_BASELINES},
    defaults=("foretell", "pareto/nbd", "bg/nbd", "mbg/nbd", "repeat rate", "mean gap", "median gap"),
    cut=EventFolds,
    inner_cut=_last_quarter,
)

SERIES = Task(
    kind="series",
    question="What next",
    entity="series",
    figures=_by_name(
        Figure("mase", _mean_of_series(_SCALED), "mean absolute scaled error"),
        Figure("smape", _mean_of_series(_SYMMETRIC), "symmetric mean absolute percentage error, 0 to 200"),
        _MAE,
        _RMSE,
        Figure(
            "wql",
            2.0 * pl.mean_horizontal([_pinball(level).mean() for level in LEVELS]) / _ABS_Y.mean(),
            "weighted quantile loss",
        ),
        _coverage("forecast", "share of the values within their 80 % interval", of="y"),
        _BIAS,
        Figure(
            "crps",
            2 * pl.mean_horizontal([_pinball(level) for level in LEVELS]).mean(),
            "continuous ranked probability score, from nine quantiles",
        ),
    ),
    rank=("mase",),
    loss=_SCALED,
    root=False,
    units=("unique_id", "target"),
    # Parts of the held-back steps.
    part=(pl.col("step") - 1) * pl.min_horizontal(8, pl.col("step").max()) // pl.col("step").max(),
    models={"foretell": SeriesForecaster, "prior": Prior, **SERIES_BASELINES},
    defaults=("foretell", "seasonal naive", "naive", "drift"),
    cut=SeriesFolds,
    inner_cut=_last_steps,
)

TASKS: dict[Kind, Task] = {"events": EVENTS, "series": SERIES}


def task_of(thing: object, verb: str = "evaluate") -> Task:
    """Return the task of data or of a forecaster.

    Parameters
    ----------
    thing : EventLog, Panel or forecaster
        Whatever says its ``kind``.
    verb : str
        For the message.

    Raises
    ------
    DataError
        It is neither.

    Examples
    --------
    >>> import foretell as ft
    >>> task_of(ft.Panel.from_arrays([[1, 2, 3]])).rank
    ('mase',)
    """
    task = TASKS.get(getattr(thing, "kind", None))  # type: ignore[arg-type]
    if task is None:
        raise DataError(
            f"{verb} takes an EventLog or a Panel, got {type(thing).__name__}; read one with "
            "foretell.read_events or foretell.read_series"
        )
    return task
