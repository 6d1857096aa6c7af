"""`backtest`: the same models at several cut-offs, as they would have been used; `evaluate`: at one."""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from foretell.core.constraints import Whole, check
from foretell.core.contracts import Folds, Task
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ParameterError, StorageError
from foretell.evaluation.evaluation import Evaluation, fold_file, remove_with
from foretell.evaluation.folds import BacktestConfig, free_name, fresh, other_seeds
from foretell.evaluation.tasks import task_of

Hear = Callable[[int, int, str], None]


def evaluate(
    data: EventLog | Panel,
    cutoff: object = None,
    horizon: str | int | None = None,
    models: Sequence[Any] | None = None,
    *,
    season: int | None = None,
    seeds: int = 1,
) -> Evaluation:
    """Compare models on a period that is held back from them: a `backtest` with one cut-off.

    Each model is fitted to the data up to the cut-off, and forecasts what comes after it, of every customer
    or series known by then.

    Parameters
    ----------
    data : EventLog or Panel
        What happened, to the end of the held-back period.
    cutoff : date, datetime or str
        Last day (step) that the models see. Of series, instead, the last ``horizon`` steps of each can be
        held back.
    horizon : str or int
        Length of the held-back period: of visits such as ``"273d"`` (the default), ``"26w"``, or ticks; of
        series in steps, by default as many as come after the cut-off.
    models : sequence of models or str, optional
        Models, or their names; they are copied before they are fitted. By default ours and the statistics
        and rules that it has to beat.
    season : int, optional
        Of series: steps of the season by which MASE is scaled and the seasonal-naive rule repeats; by default
        it is found in the data.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.

    Returns
    -------
    Evaluation

    Raises
    ------
    ParameterError
        The data do not reach the end of the horizon, or a name is unknown.
    EmptyLogError
        No customer was seen by the cut-off.

    Examples
    --------
    >>> import foretell as ft
    >>> from foretell.datasets import load_cdnow
    >>> log = ft.read_events(load_cdnow(sample=True), id="customer_id", time="date", as_of="1998-06-30")
    >>> comparison = ft.evaluate(log, "1997-09-30", models=["bg/nbd", "repeat rate"])
    >>> comparison.table()["model"].to_list()
    ['BG/NBD', 'repeat rate']
    >>> round(comparison.figures("BG/NBD")["rmse"], 2)
    1.61
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]})
    >>> ft.evaluate(panel, horizon=3, models=["naive", "seasonal naive"], season=3).table()["model"][0]
    'seasonal naive'
    """
    task, config = task_of(data), BacktestConfig(season=season, seeds=seeds)
    folds = task.cut(data, horizon, None if cutoff is None else [cutoff], config)
    return _run(task, folds, models, config, None, None)


def backtest(
    data: EventLog | Panel,
    models: Sequence[Any] | None = None,
    *,
    horizon: str | int,
    cutoffs: Sequence[Any] | int = 4,
    config: BacktestConfig | None = None,
    out: str | Path | None = None,
    progress: Hear | None = None,
) -> Evaluation:
    """Let models forecast at several cut-offs, as they would have been used, and compare.

    At each cut-off a model sees the data up to it and nothing later, and starts from its settings alone.

    Parameters
    ----------
    data : EventLog or Panel
    models : sequence of models or str, optional
        Models, or their names; by default ours and the statistics and rules that it has to beat.
    horizon : str or int
        What is forecast at each cut-off: of visits a duration such as ``"90d"``, of series steps.
    cutoffs : sequence of dates, or int
        Dates; or how many there are to be, the last one a horizon before the end, each a horizon (or the
        config's ``step``) after the one before.
    config : BacktestConfig, optional
        When models are refitted, on how much, and with how many seeds.
    out : str or Path, optional
        Directory that keeps the rows of each fold as a Parquet file.
    progress : callable, optional
        Hears fold, number of folds, and model before each fit.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3] * 8, "b": [5, 1, 3] * 8})
    >>> config = BacktestConfig(season=3)
    >>> result = ft.backtest(panel, ["naive", "seasonal naive"], horizon=3, cutoffs=2, config=config)
    >>> result.table()["model"].to_list()
    ['seasonal naive', 'naive']
    """
    task, config = task_of(data, "backtest"), config or BacktestConfig()
    if isinstance(cutoffs, (bool, int)):
        check("cutoffs", cutoffs, Whole(1))
    return _run(task, task.cut(data, horizon, cutoffs, config), models, config, out, progress)


def _run(
    task: Task,
    folds: Folds,
    named: Sequence[Any] | None,
    config: BacktestConfig,
    out: str | Path | None,
    progress: Hear | None,
) -> Evaluation:
    """Evaluate models, and ours again with other seeds."""
    models: dict[str, Any] = {}
    for entry in task.defaults if named is None else named:
        built = isinstance(entry, str)
        model = task.build(entry, **folds.model_settings()) if built else fresh(entry)
        models[free_name(model.name, models)] = model
    again = {
        f"{name} #{k}": other
        for name, model in models.items()
        for k, other in enumerate(other_seeds(model, config.seeds), 2)
    }
    others = _go_through(task, folds, again, config, None, progress) if again else None
    return _go_through(task, folds, models, config, out, progress, others)


def _go_through(
    task: Task,
    folds: Folds,
    models: Mapping[str, Any],
    config: BacktestConfig,
    out: str | Path | None,
    progress: Hear | None,
    others: Evaluation | None = None,
) -> Evaluation:
    """Fit and ask the models fold by fold, and write the rows of each fold to a file."""
    directory = _directory(out)
    fitted: dict[str, Any] = {}
    seconds, totals = [], []
    for fold in range(len(folds.origins)):
        rows = []
        key = {"cutoff": folds.label(fold)}
        for name, template in models.items():
            if progress is not None:
                progress(fold, len(folds.origins), name)
            started = time.perf_counter()
            if config.is_refitted(fold):
                seen = folds.training(fold, sliding=config.training == "sliding")
                fitted[name] = _fit(template, seen, fitted.get(name) if config.refit == "warm" else None)
            fit_s = time.perf_counter() - started
            # Ours change nothing when asked; what a user's own model keeps must not reach the next fold.
            model = copy.copy(fitted[name])
            started = time.perf_counter()
            forecast = folds.ask(fold, model)
            spent = {"fit_s": fit_s, "predict_s": time.perf_counter() - started}
            seconds.append({**key, "model": name, "refitted": config.is_refitted(fold), **spent})
            rows.append(_keyed(folds.rows(fold, model, forecast), key["cutoff"], name))
            total = folds.totals(fold, forecast)
            totals += [] if total is None else [_keyed(total, key["cutoff"], name)]
        pl.concat(rows).write_parquet(directory / fold_file(fold))
    totalled = pl.concat(totals) if totals else pl.DataFrame()
    evaluation = Evaluation(task, folds, fitted, pl.DataFrame(seconds), totalled, directory, others)
    if out is None:
        remove_with(evaluation)
    return evaluation


def _keyed(rows: pl.DataFrame, cutoff: object, model: str) -> pl.DataFrame:
    keys = pl.DataFrame({"cutoff": [cutoff], "model": [model]})
    return keys.select(pl.all().repeat_by(len(rows)).explode()).hstack(rows)


def _fit(template: Any, data: object, previous: object) -> Any:
    """Fit a fresh model; from the last fold's weights where there are some and the model can."""
    model = fresh(template)
    if previous is not None and getattr(model, "starts_warm", False):
        return model.fit(data, warm_start=previous)
    return model.fit(data)


def _directory(out: str | Path | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="foretell-evaluation-"))
    place = Path(out)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ParameterError(f"out={str(out)!r} exists and is not an empty directory; choose another")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"cannot write to {place}: {error.strerror}") from error
    return place
