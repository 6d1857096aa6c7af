"""`backtest`: the same models at several cut-offs, as they would have been used; `evaluate`: at one."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import polars as pl

from foretell.core.constraints import (
    Constraint,
    Either,
    Instance,
    Maybe,
    OneOf,
    Whole,
    check,
    check_fields,
    check_whole,
    is_list,
)
from foretell.core.contracts import Folds, Task
from foretell.core.estimator import Estimator
from foretell.core.paths import as_path, writing
from foretell.core.progress import Fitting, WatchFits, watch_backtest
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.evaluation.evaluation import Evaluation, Model, fold_file, remove_with
from foretell.evaluation.tasks import task_of

if TYPE_CHECKING:
    from foretell.nn.training import Progress

Refit = Literal["always", "never", "warm"] | int
Training = Literal["expanding", "sliding"]


@dataclasses.dataclass(frozen=True)
class BacktestConfig:
    """How a backtest goes from fold to fold.

    Parameters
    ----------
    step : str or int, optional
        From one cut-off to the next; by default the horizon, so that no day is forecast twice.
    refit : {"always", "never", "warm"} or int
        Fit at every cut-off; at the first only; from the last fold's weights with few epochs (of models that
        can: ours); or at every k-th.
    training : {"expanding", "sliding"}
        All that lies before a cut-off, or a period as long as the first fold's. Of visits a sliding period
        holds the customers who first came in it, with their whole histories. Forecasts are made for all.
    season : int, optional
        Of series: steps of the season by which errors are scaled; by default that of what the first fold
        sees.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.

    Examples
    --------
    >>> BacktestConfig(refit="sometimes")
    Traceback (most recent call last):
    foretell.errors.ParameterError: refit='sometimes'; expected 'always', 'never' or 'warm', or a whole \
number of folds of at least 1
    """

    step: str | int | None = None
    refit: Refit = "always"
    training: Training = "expanding"
    season: int | None = None
    seeds: int = 1

    def __post_init__(self) -> None:
        rules: dict[str, Constraint] = {
            "refit": Either(OneOf(("always", "never", "warm")), Whole(of="folds")),
            "training": OneOf(("expanding", "sliding")),
            "season": Maybe(Whole(of="steps")),
            "seeds": Whole(),
        }
        check_fields(self, rules)

    def is_refitted(self, fold: int) -> bool:
        """Return whether models are fitted in a fold, or asked as they are.

        Examples
        --------
        >>> [BacktestConfig(refit=2).is_refitted(fold) for fold in range(4)]
        [True, False, True, False]
        """
        if isinstance(self.refit, int):
            return fold % self.refit == 0
        return fold == 0 or self.refit != "never"


def evaluate(
    data: EventLog | Panel,
    cutoff: object = None,
    horizon: str | int | None = None,
    models: Sequence[str | Model] | None = None,
    *,
    season: int | None = None,
    seeds: int = 1,
    progress: WatchFits = None,
) -> Evaluation:
    """Compare models on a period that is held back from them: a `backtest` with one cut-off.

    Each model is fitted to the data up to the cut-off, and forecasts what comes after it, of every customer
    or series known by then.

    Parameters
    ----------
    data : EventLog or Panel
        What happened, to the end of the held-back period.
    cutoff : date, datetime or str
        Last day (step) that the models see. By default the end is held back: ``horizon``, of series the last
        steps of each.
    horizon : str or int
        Length of the held-back period: of visits such as ``"26w"``, or ticks; by default ``"273d"`` after a
        cut-off, and where none is named a quarter of the log, 90 days at the most. Of series in steps, by
        default as many as come after the cut-off.
    models : sequence of models or str, optional
        Models, or their names; they are copied before they are fitted. By default ours and the statistics
        and rules that it has to beat.
    season : int, optional
        Of series: steps of the season by which MASE is scaled and the seasonal-naive rule repeats; by default
        that of the data.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.
    progress : callable or bool, optional
        See `backtest`.

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
    >>> ft.evaluate(panel, horizon=3, models=["naive", "seasonal naive"]).table()["model"][0]
    'seasonal naive'
    """
    task, config = task_of(data), BacktestConfig(season=season, seeds=seeds)
    folds = task.cut(data, horizon, None if cutoff is None else [cutoff], season=season)
    with watch_backtest(progress) as told:
        return run_folds(task, folds, models, config, progress=told)


def backtest(
    data: EventLog | Panel,
    models: Sequence[str | Model] | None = None,
    *,
    horizon: str | int,
    cutoffs: Sequence[object] | int = 4,
    config: BacktestConfig | None = None,
    out: str | Path | None = None,
    progress: WatchFits = None,
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
    progress : callable or bool, optional
        Called with fold, number of folds, and model before each fit. By default a bar shows them, on a
        terminal and in a notebook; False draws none.

    Examples
    --------
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays({"a": [1, 2, 3] * 8, "b": [5, 1, 3] * 8})
    >>> result = ft.backtest(panel, ["naive", "seasonal naive"], horizon=3, cutoffs=2)
    >>> result.table()["model"].to_list()
    ['seasonal naive', 'naive']
    """
    check("config", config, Maybe(Instance(BacktestConfig)))
    task, config = task_of(data, "backtest"), config or BacktestConfig()
    if not is_list(cutoffs):
        cutoffs = check_whole("cutoffs", cutoffs, of="cut-offs, or a list of dates")
    folds = task.cut(data, horizon, cutoffs, step=config.step, season=config.season)
    with watch_backtest(progress) as told:
        return run_folds(task, folds, models, config, out=out, progress=told)


def run_folds(
    task: Task,
    folds: Folds,
    named: Sequence[str | Model] | None,
    config: BacktestConfig,
    *,
    out: str | Path | None = None,
    progress: Fitting | None = None,
    on_epoch: Callable[[Progress], None] | None = None,
) -> Evaluation:
    """Evaluate models, and ours again with other seeds; ``on_epoch`` is called while networks are trained."""
    models: dict[str, Model] = {}
    if named is not None and not (is_list(named) and len(named)):
        raise ParameterError(f"models={named!r}; expected a list of models, or of names such as ['naive']")
    for entry in task.defaults if named is None else named:
        model = task.build(entry, **folds.model_settings()) if isinstance(entry, str) else _fresh(entry)
        models[_free_name(model.name, models)] = model
    again = {
        f"{name} #{k}": other
        for name, model in models.items()
        for k, other in enumerate(other_seeds(model, config.seeds), 2)
    }
    backtest = _Backtest(task, folds, config, progress, on_epoch)
    return backtest.run(models, out, backtest.run(again, None) if again else None)


@dataclasses.dataclass(frozen=True)
class _Backtest:
    """Models are fitted and asked fold by fold; the rows of each fold go to a file."""

    task: Task
    folds: Folds
    config: BacktestConfig
    progress: Fitting | None
    on_epoch: Callable[[Progress], None] | None

    def run(
        self, models: Mapping[str, Model], out: str | Path | None, others: Evaluation | None = None
    ) -> Evaluation:
        folds, directory = self.folds, _directory(out)
        fitted: dict[str, Model] = {}
        seconds, totals = [], []
        for fold in range(len(folds.origins)):
            rows = []
            key, is_refitted = {"cutoff": folds.label(fold)}, self.config.is_refitted(fold)
            for name, template in models.items():
                if self.progress is not None:
                    self.progress(fold, len(folds.origins), name)
                started = time.perf_counter()
                if is_refitted:
                    fitted[name] = self._fit(template, fold, fitted.get(name))
                fit_s = time.perf_counter() - started
                # Ours change nothing when asked; what a user's own model keeps must not reach the next fold.
                model = copy.copy(fitted[name])
                started = time.perf_counter()
                forecast = folds.ask(fold, model)
                spent = {"fit_s": fit_s, "predict_s": time.perf_counter() - started}
                seconds.append({**key, "model": name, "refitted": is_refitted, **spent})
                rows.append(_keyed(folds.rows(fold, model, forecast), key["cutoff"], name))
                total = folds.totals(fold, forecast)
                totals += [] if total is None else [_keyed(total, key["cutoff"], name)]
            pl.concat(rows).write_parquet(directory / fold_file(fold))
        totalled = pl.concat(totals) if totals else pl.DataFrame()
        evaluation = Evaluation(self.task, folds, fitted, pl.DataFrame(seconds), totalled, directory, others)
        if out is None:
            remove_with(evaluation)
        return evaluation

    def _fit(self, template: Model, fold: int, previous: Model | None) -> Model:
        """Return a fresh model, fitted; from the last fold's weights where that is asked for and it can."""
        data = self.folds.training(fold, sliding=self.config.training == "sliding")
        model = _fresh(template)
        how: dict[str, object] = {} if self.on_epoch is None else {"progress": self.on_epoch}
        if getattr(model, "starts_warm", False):  # ours: a bar for each of many fits says nothing
            how.setdefault("progress", False)
            if self.config.refit == "warm" and previous is not None:
                how["warm_start"] = previous
        model.fit(data, **how)
        return model


def _fresh(model: Model) -> Model:
    """Return a model of the same settings that has seen nothing, and shares nothing with the given one."""
    if isinstance(model, Estimator):
        return type(model)(**model.get_params())
    if not hasattr(model, "fit"):
        raise ParameterError(f"models holds {model!r}; expected models, or names such as 'naive'")
    return copy.deepcopy(model)


def _free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered if taken: two settings of one model are often what is compared."""
    candidates = [name] + [f"{name} ({k})" for k in range(2, len(taken) + 2)]
    return next(candidate for candidate in candidates if candidate not in taken)


# Apart from each other by more than the members of an ensemble, which count up from the seed.
_SEEDS_APART = 1_000


def other_seeds(model: Model, seeds: int) -> list[Model]:
    """Return ``seeds - 1`` unfitted models that differ by their seed; none of a model without one."""
    seed = getattr(model, "seed", None)
    if seed is None or not isinstance(model, Estimator):
        return []
    return [type(model)(**model.get_params() | {"seed": seed + _SEEDS_APART * k}) for k in range(1, seeds)]


def _keyed(rows: pl.DataFrame, cutoff: object, model: str) -> pl.DataFrame:
    keys = pl.DataFrame({"cutoff": [cutoff], "model": [model]})
    return keys.select(pl.all().repeat_by(len(rows)).explode()).hstack(rows)


def _directory(out: str | Path | None) -> Path:
    if out is None:
        return Path(tempfile.mkdtemp(prefix="foretell-evaluation-"))
    place = as_path(out, "out")
    with writing(place):
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise ParameterError(f"out={str(out)!r} exists and is not an empty directory; choose another")
        place.mkdir(parents=True, exist_ok=True)
    return place
