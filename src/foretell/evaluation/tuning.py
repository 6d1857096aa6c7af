"""`tune`: search settings by how well they forecast a held-back part of the training data."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl

from foretell.core.constraints import Constraint, Maybe, Number, OneOf, Whole, check, check_fields
from foretell.core.contracts import Figure
from foretell.core.estimator import Estimator
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ForetellError, ParameterError, StorageError
from foretell.evaluation.backtest import evaluate
from foretell.evaluation.search_space import Between, Knobs, Space, shape_of, with_settings
from foretell.evaluation.tasks import task_of
from foretell.events.forecaster import EventForecaster
from foretell.nn.training import Progress, side_by_side
from foretell.series.forecaster import SeriesForecaster

if TYPE_CHECKING:
    import optuna

__all__ = ["Between", "SearchConfig", "SearchProgress", "SearchResult", "tune"]

METHODS = ("tpe", "random", "grid")
# Knobs that change the scale of the validation loss: trials that differ in them cannot be pruned by it.
_SCALES = {"window.normalise", "window.log", "window.season", "method", "variables", "training.loss"}
_STARTUP = 8


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How settings are searched.

    Parameters
    ----------
    method : {"tpe", "random", "grid"}
        Tree-structured Parzen estimators (Bergstra et al. 2011): where good trials were; at random; or all
        combinations of lists.
    trials : int, optional
        By default 20, of a grid all.
    seconds : float, optional
        After so long no trial is begun any more, and those that run are cut short.
    together : int
        Trials that are suggested at once. They train side by side, those of one shape through one compiled
        program; with ``"tpe"``, more of them learn less from each other.
    prune : bool
        Stop trials whose validation loss is worse than the median of the others' after as many epochs.
    seed : int
    storage : str or Path, optional
        SQLite file; a search that was broken off goes on from it.
    """

    method: str = "tpe"
    trials: int | None = None
    seconds: float | None = None
    together: int = 4
    prune: bool = True
    seed: int = 0
    storage: str | Path | None = None

    def __post_init__(self) -> None:
        rules: dict[str, Constraint] = {
            "method": OneOf(tuple(METHODS)),
            "trials": Maybe(Whole()),
            "together": Whole(),
            "seed": Whole(0),
            "seconds": Maybe(Number(0.0, ends="()")),
        }
        check_fields(self, rules)


class SearchProgress(NamedTuple):
    """What a callback hears after each trial: trials done and planned, and the best figure so far."""

    done: int
    trials: int
    best: float | None


@dataclasses.dataclass(frozen=True, eq=False)
class SearchResult:
    """The outcome of `tune`.

    Attributes
    ----------
    figure : Figure
        What was searched for.
    best : dict of str to value
        The best trial's settings.
    value : float
        Its objective on the inner held-back part.
    model : EventForecaster or SeriesForecaster
        With the best settings, fitted to all data.
    study : optuna.Study
    """

    figure: Figure
    best: dict[str, Any]
    value: float
    model: EventForecaster | SeriesForecaster
    study: optuna.Study

    @property
    def objective(self) -> str:
        """The name of the figure that was searched for."""
        return self.figure.name

    def __str__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.best.items())
        count = len(self.study.get_trials(deepcopy=False))
        return f"best of {count:,} trials: {self.objective} {self.value:.4g} with {settings}"

    def table(self) -> pl.DataFrame:
        """Return one row per trial, the best first: ``trial``, ``state``, the objective, ``seconds``, knobs.

        ``state`` is ``complete``, ``pruned`` or ``fail``, and ``why`` says what a failure was.
        """
        rows = []
        for trial in self.study.get_trials(deepcopy=False):
            attributes = trial.user_attrs
            row = {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                self.objective: attributes.get("figure"),
            }
            rows.append(
                row | {"seconds": attributes.get("seconds")} | trial.params | {"why": attributes.get("why")}
            )
        order = sorted(rows, key=lambda row: self.figure.loss(row[self.objective]))
        names = list(dict.fromkeys(name for row in order for name in row))
        return pl.DataFrame({name: _column([row.get(name) for row in order]) for name in names})

    def importances(self) -> dict[str, float]:
        """Return each knob's share of what makes the difference between trials (PED-ANOVA, Watanabe 2023).

        Empty with fewer than four finished trials, which cannot tell.
        """
        from optuna.importance import get_param_importances  # noqa: PLC0415

        finished = [t for t in self.study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if len(finished) < 4:
            return {}
        return {name: float(share) for name, share in get_param_importances(self.study).items()}


def tune(
    data: EventLog | Panel,
    space: Space,
    *,
    model: EventForecaster | SeriesForecaster | None = None,
    horizon: str | int | None = None,
    objective: str | None = None,
    search: SearchConfig | None = None,
    progress: Callable[[SearchProgress], None] | None = None,
) -> SearchResult:
    """Search settings, then fit the best ones to all data.

    Each trial learns from the data without their last part and is scored on it, as `foretell.evaluate` does.
    What is to be the test of the result must not be in the data: read with ``as_of``, or cut.

    Parameters
    ----------
    data : EventLog or Panel
    space : mapping of str to sequence or Between
        Knobs: arguments of the forecaster, or of its configurations after a dot, such as
        ``{"window.lookback": [56, 112], "training.learning_rate": Between(1e-4, 1e-2, log=True)}``.
    model : EventForecaster or SeriesForecaster, optional
        Has the settings that are not searched.
    horizon : str or int, optional
        Length of the inner held-back part: of series by default the model's horizon, of visits a quarter of
        the log.
    objective : str
        A figure of the evaluation; by default ``"rmse"`` of visits and ``"mase"`` of series.
    search : SearchConfig, optional
    progress : callable, optional
        Hears a `SearchProgress` after each trial.

    Returns
    -------
    SearchResult

    Raises
    ------
    ParameterError
        A knob or figure is not known, or no trial could be scored.
    StorageError
        The file holds another search.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays([np.sin(2 * np.pi * np.arange(90) / 6)])
    >>> small = ft.SeriesForecaster(
    ...     horizon=3,
    ...     ensemble=1,
    ...     network=ft.NetworkConfig(units=4, dense=4),
    ...     training=ft.TrainConfig(epochs=1),
    ... )
    >>> found = ft.tune(panel, {"training.learning_rate": [1e-3, 1e-2]}, model=small,
    ...                 search=ft.SearchConfig(method="grid"))
    >>> found.table().height, sorted(found.best)
    (2, ['training.learning_rate'])
    """
    search = search or SearchConfig()
    trainee = _Trainee.of(data, model, horizon, objective)
    knobs = Knobs(space, trainee.model)
    grid = knobs.combinations() if search.method == "grid" else None
    planned = search.trials or (len(grid) if grid is not None else 20)
    with _quiet_optuna():
        study = _study(search, trainee.describe(space))
        _Run(study, trainee, knobs, search, planned, progress).go(grid)
        finished = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
        if not finished:
            why = [t.user_attrs["why"] for t in study.get_trials(deepcopy=False) if "why" in t.user_attrs]
            raise ParameterError(f"none of the trials could be scored on {trainee.objective.name}: {why[:1]}")
        best = study.best_trial
    settings = knobs.settings(best.params)
    fitted = with_settings(trainee.model, settings)
    fitted.fit(data)  # type: ignore[arg-type]  # the trainee has checked that they go together
    return SearchResult(trainee.objective, settings, best.user_attrs["figure"], fitted, study)


# What can be searched for besides the task's figures.
_SECONDS = {
    "fit_s": Figure("fit_s", pl.col("fit_s").sum(), "seconds of fitting"),
    "predict_s": Figure("predict_s", pl.col("predict_s").sum(), "seconds of forecasting"),
}


@dataclasses.dataclass(frozen=True)
class _Trainee:
    """What is tuned, on what, by which figure."""

    data: EventLog | Panel
    model: EventForecaster | SeriesForecaster
    cutoff: object
    horizon: int
    objective: Figure

    @classmethod
    def of(
        cls,
        data: EventLog | Panel,
        model: EventForecaster | SeriesForecaster | None,
        horizon: str | int | None,
        objective: str | None,
    ) -> _Trainee:
        task = task_of(data, "tune")
        ours = task.build("foretell")
        model = ours if model is None else model
        if not isinstance(model, type(ours)):
            raise ParameterError(
                f"model={model!r}; expected a foretell.{type(ours).__name__}(…) for these data"
            )
        known = {**task.figures, **_SECONDS}
        objective = objective or task.rank[0]
        check("objective", objective, OneOf(tuple(known)))
        cutoff, ticks = task.inner_cut(data, model, horizon)
        return cls(data, model, cutoff, ticks, known[objective])

    def describe(self, space: Space) -> str:
        """Say what a storage has to agree with to be gone on from."""
        searched = {
            name: values if isinstance(values, Between) else list(values) for name, values in space.items()
        }
        size = int(self.data.offsets[-1])
        return f"{self.objective.name} over {self.horizon} of {size} rows, {searched}, of {self.model!r}"

    def figure(self, model: Any, hear: Callable[[Progress], None]) -> float | None:
        """Return the objective of a forecaster on the inner held-back part."""
        result = evaluate(self.data, self.cutoff, self.horizon, [_Candidate(model, hear)])
        value: float | None = result.table()[self.objective.name].item()
        return value


class _Candidate(Estimator):
    """A forecaster that reports its progress while it is fitted."""

    name = "candidate"

    def __init__(self, model: Any, hear: Callable[[Progress], None]) -> None:
        self.model, self.hear = model, hear

    def fit(self, data: EventLog | Panel) -> _Candidate:
        self.model.fit(data, progress=self.hear)
        return self

    def outlook(self, *given: Any, **named: Any) -> Any:
        return self.model.outlook(*given, **named)

    def forecast(self, *given: Any, **named: Any) -> Any:
        return self.model.forecast(*given, **named)

    def return_chances(self, log: EventLog, ticks: Any) -> Any:
        return self.model.return_chances(log, ticks)


class _Run:
    """Rounds of trials: asked for together, trained side by side, told to the study."""

    def __init__(
        self,
        study: optuna.Study,
        trainee: _Trainee,
        knobs: Knobs,
        search: SearchConfig,
        planned: int,
        progress: Callable[[SearchProgress], None] | None,
    ) -> None:
        self.study, self.trainee, self.knobs, self.planned = study, trainee, knobs, planned
        self.together, self.progress = search.together, progress
        self.until = math.inf if search.seconds is None else time.monotonic() + search.seconds
        self.prune = search.prune and not _SCALES & set(knobs.space)
        self.shapes: set[object] = set()  # whose programs are compiled

    def go(self, grid: list[dict[str, Any]] | None) -> None:
        """Run trials until as many as planned are done, or the time is up."""
        done = [t.params for t in self._done()]
        left = None if grid is None else [combination for combination in grid if combination not in done]
        while (count := min(self.together, self.planned - len(self._done()))) > 0 and left != []:
            if time.monotonic() >= self.until and self._best() is not None:
                return
            chosen = [None] * count if left is None else left[:count]
            left = left if left is None else left[count:]
            asked = [self._ask(values) for values in chosen]
            settings = [self.knobs.settings(trial.params) for trial in asked]
            # The first of each shape compiles; the others find the programs ready.
            leaders: list[tuple[optuna.Trial, dict[str, Any]]] = []
            followers: list[tuple[optuna.Trial, dict[str, Any]]] = []
            for trial, values in zip(asked, settings, strict=True):
                shape = shape_of(values)
                (followers if shape in self.shapes else leaders).append((trial, values))
                self.shapes.add(shape)
            for group in (leaders, followers):
                side_by_side([lambda one=one: self._try(*one) for one in group])  # type: ignore[misc]

    def _ask(self, values: dict[str, Any] | None) -> optuna.Trial:
        if values is not None:
            self.study.enqueue_trial(values)
        return self.study.ask(self.knobs.distributions())

    def _done(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that came to an end by themselves."""
        return [t for t in self.study.get_trials(deepcopy=False) if "seconds" in t.user_attrs]

    def _best(self) -> float | None:
        found = [t.user_attrs["figure"] for t in self._done() if t.state.name == "COMPLETE"]
        return min(found, key=self.trainee.objective.loss, default=None)

    def _try(self, trial: optuna.Trial, settings: dict[str, Any]) -> None:
        """Score one trial and tell the study."""
        from optuna import TrialPruned  # noqa: PLC0415
        from optuna.trial import TrialState  # noqa: PLC0415

        begun, state, figure = time.monotonic(), TrialState.FAIL, None
        try:
            model = with_settings(self.trainee.model, settings)
            figure = self.trainee.figure(model, self._hearing(trial))
            if math.isfinite(self.trainee.objective.loss(figure)):
                state = TrialState.COMPLETE
                trial.set_user_attr("figure", figure)
            else:
                trial.set_user_attr("why", f"the held-back part cannot show {self.trainee.objective.name}")
        except TrialPruned:
            state = TrialState.PRUNED
        except ForetellError as error:
            trial.set_user_attr("why", str(error))
        trial.set_user_attr("seconds", round(time.monotonic() - begun, 3))
        value = self.trainee.objective.loss(figure) if state is TrialState.COMPLETE else None
        self.study.tell(trial, value, state)
        if self.progress is not None:
            self.progress(SearchProgress(len(self._done()), self.planned, self._best()))

    def _hearing(self, trial: optuna.Trial) -> Callable[[Progress], None]:
        """Return what hears a trial's epochs and breaks it off where it is hopeless or the time is up."""
        from optuna import TrialPruned  # noqa: PLC0415

        heard, stopped = -1, False

        def hear(news: Progress) -> None:
            nonlocal heard, stopped
            # The first member's first pass: series train a scout first, by which all others are stopped.
            if self.prune and news.member == 0 and news.epoch > heard and math.isfinite(news.validation_loss):
                heard = news.epoch
                trial.report(news.validation_loss, news.epoch)
                stopped = stopped or trial.should_prune()
            if time.monotonic() >= self.until and self._best() is not None:
                stopped = True
            if stopped:
                raise TrialPruned

        return hear


def _study(search: SearchConfig, description: str) -> optuna.Study:
    """Return a new study, or the one that a file holds."""
    import optuna  # noqa: PLC0415  # slow to import

    storage = search.storage
    try:
        study = optuna.create_study(
            study_name="foretell",
            storage=None if storage is None else f"sqlite:///{Path(storage).absolute()}",
            load_if_exists=True,
        )
    except Exception as error:
        raise StorageError(f"{storage} cannot be used as the search's SQLite file: {error}") from error
    before = study.user_attrs.get("search")
    if before not in {None, description}:
        raise StorageError(
            f"{storage} holds another search ({before}); expected {description}: name another file"
        )
    study.set_user_attr("search", description)
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished():  # a search that was broken off left it
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    seed = search.seed + len(study.get_trials(deepcopy=False))  # a search that goes on draws new trials
    study.sampler = (
        optuna.samplers.TPESampler(
            seed=seed, n_startup_trials=_STARTUP, multivariate=True, constant_liar=True
        )
        if search.method == "tpe"
        else optuna.samplers.RandomSampler(seed=seed)
    )
    study.pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP // 2, n_warmup_steps=3)
    return study


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    """Keep Optuna from writing a line per trial to stderr."""
    import optuna  # noqa: PLC0415

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _column(values: list[Any]) -> pl.Series:
    """Return a column; values of several kinds are shown as text."""
    kinds = {float if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v) for v in values}
    mixed = len(kinds - {type(None)}) > 1
    return pl.Series([None if v is None else str(v) for v in values] if mixed else values, strict=False)
