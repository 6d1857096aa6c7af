"""Trials of a search: suggested together, trained side by side, scored on a held-back part of the data."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import polars as pl

from foretell.core.constraints import Constraint, Maybe, Number, OneOf, Seed, Whole, check, check_fields
from foretell.core.contracts import Figure, Task
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ForetellError, ParameterError, StorageError
from foretell.evaluation.backtest import BacktestConfig, run_folds
from foretell.evaluation.search_space import SearchSpace, Settings, shape_of, with_settings
from foretell.evaluation.tasks import task_of
from foretell.events.forecaster import EventForecaster
from foretell.nn.backend import side_by_side
from foretell.nn.training import Progress
from foretell.series.forecaster import SeriesForecaster

if TYPE_CHECKING:
    import optuna

METHODS = ("tpe", "random", "grid")
# Settings that change the scale of the validation loss: trials that differ in them cannot be pruned by it.
_SCALES = {
    *(f"window.{name}" for name in ("normalise", "log", "season", "method", "variables")),
    "training.loss",
}
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
            "seed": Seed(),
            "seconds": Maybe(Number(0.0, ends="()")),
        }
        check_fields(self, rules)


class SearchProgress(NamedTuple):
    """What a callback is given after each trial: trials done and planned, and the best figure so far."""

    done: int
    trials: int
    best: float | None


# What can be searched for besides the task's figures.
_SECONDS = {
    "fit_s": Figure("fit_s", pl.col("fit_s").sum(), "seconds of fitting"),
    "predict_s": Figure("predict_s", pl.col("predict_s").sum(), "seconds of forecasting"),
}


@dataclasses.dataclass(frozen=True)
class Trainee:
    """What is tuned, on what, by which figure."""

    task: Task
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
    ) -> Trainee:
        """Return it once model, data and figure go together."""
        task = task_of(data, "tune")
        ours = task.build("foretell")
        model = ours if model is None else model
        if not isinstance(model, type(ours)):
            raise ParameterError(
                f"model={model!r}; expected a foretell.{type(ours).__name__}(…) for these data"
            )
        if model.model == "auto":  # the settings are the network's: what answers beside it would hide them
            model = type(model)(**model.get_params() | {"model": "network"})
        known = {**task.figures, **_SECONDS}
        objective = task.rank[0] if objective is None else objective
        check("objective", objective, OneOf(tuple(known)))
        cutoff, ticks = task.inner_cut(data, model, horizon)
        return cls(task, data, model, cutoff, ticks, known[objective])

    def describe(self, space: SearchSpace) -> str:
        """Say what a stored search has to agree with, so that it can go on."""
        size = int(self.data.offsets[-1])
        return f"{self.objective.name} over {self.horizon} of {size} rows, {space.values}, of {self.model!r}"

    def figure(
        self, model: EventForecaster | SeriesForecaster, progress: Callable[[Progress], None]
    ) -> float | None:
        """Return the objective of a forecaster on the inner held-back part."""
        cutoffs = None if self.cutoff is None else [self.cutoff]
        folds = self.task.cut(self.data, self.horizon, cutoffs)
        result = run_folds(self.task, folds, [model], BacktestConfig(), on_epoch=progress)
        value: float | None = result.table()[self.objective.name].item()
        return value


class Trials:
    """Rounds of trials, until as many as planned are done, or the time is up."""

    def __init__(
        self,
        study: optuna.Study,
        trainee: Trainee,
        space: SearchSpace,
        search: SearchConfig,
        progress: Callable[[SearchProgress], None] | None,
    ) -> None:
        self.study, self.trainee, self.space, self.search = study, trainee, space, search
        self.progress = progress
        self.grid = space.combinations() if search.method == "grid" else None
        self.planned = search.trials or (20 if self.grid is None else len(self.grid))
        self.until = math.inf if search.seconds is None else time.monotonic() + search.seconds
        self.prune = search.prune and not _SCALES & set(space.values)
        self.shapes: set[object] = set()  # whose programs are compiled

    def run(self) -> None:
        """Run the trials that are left."""
        done = [trial.params for trial in self._done()]
        left = None if self.grid is None else [values for values in self.grid if values not in done]
        while (count := min(self.search.together, self.planned - len(self._done()))) > 0 and left != []:
            if self._is_late():
                return
            if left is None:
                trials = [self._suggest(None) for _ in range(count)]
            else:
                trials, left = [self._suggest(values) for values in left[:count]], left[count:]
            self._side_by_side([(trial, self.space.settings(trial.params)) for trial in trials])

    def _side_by_side(self, trials: list[tuple[optuna.Trial, Settings]]) -> None:
        """Score trials; the first of each shape compiles, the others find the programs ready."""
        leaders: list[Callable[[], None]] = []
        followers: list[Callable[[], None]] = []
        for trial, settings in trials:
            shape = shape_of(settings)
            group = followers if shape in self.shapes else leaders
            group.append(functools.partial(self._score, trial, settings))
            self.shapes.add(shape)
        side_by_side(leaders)
        side_by_side(followers)

    def _suggest(self, values: Settings | None) -> optuna.Trial:
        if values is not None:
            self.study.enqueue_trial(values)
        return self.study.ask(self.space.distributions())

    def _done(self) -> list[optuna.trial.FrozenTrial]:
        """Return the trials that came to an end by themselves."""
        return [t for t in self.study.get_trials(deepcopy=False) if "seconds" in t.user_attrs]

    def _best(self) -> float | None:
        figures = [t.user_attrs["figure"] for t in self._done() if t.state.name == "COMPLETE"]
        return min(figures, key=self.trainee.objective.loss, default=None)

    def _is_late(self) -> bool:
        """Return whether the time is up, and a trial has been scored."""
        return time.monotonic() >= self.until and self._best() is not None

    def _score(self, trial: optuna.Trial, settings: Settings) -> None:
        """Score one trial and tell the study."""
        from optuna import TrialPruned  # noqa: PLC0415
        from optuna.trial import TrialState  # noqa: PLC0415

        begun, state, loss = time.monotonic(), TrialState.FAIL, None
        try:
            figure = self.trainee.figure(with_settings(self.trainee.model, settings), self._stopping(trial))
            if math.isfinite(self.trainee.objective.loss(figure)):
                state, loss = TrialState.COMPLETE, self.trainee.objective.loss(figure)
                trial.set_user_attr("figure", figure)
            else:
                trial.set_user_attr("why", f"the held-back part cannot show {self.trainee.objective.name}")
        except TrialPruned:
            state = TrialState.PRUNED
        except ForetellError as error:
            trial.set_user_attr("why", str(error))
        trial.set_user_attr("seconds", round(time.monotonic() - begun, 3))
        self.study.tell(trial, loss, state)
        if self.progress is not None:
            self.progress(SearchProgress(len(self._done()), self.planned, self._best()))

    def _stopping(self, trial: optuna.Trial) -> Callable[[Progress], None]:
        """Return what is called with a trial's epochs, and stops it where it is hopeless or late."""
        from optuna import TrialPruned  # noqa: PLC0415

        last, stopped = -1, False

        def progress(epoch: Progress) -> None:
            nonlocal last, stopped
            # The first member's first pass: series train a scout first, by which all others are stopped.
            if (
                self.prune
                and epoch.member == 0
                and epoch.epoch > last
                and math.isfinite(epoch.validation_loss)
            ):
                last = epoch.epoch
                trial.report(epoch.validation_loss, epoch.epoch)
                stopped = stopped or trial.should_prune()
            stopped = stopped or self._is_late()
            if stopped:
                raise TrialPruned

        return progress


def open_study(search: SearchConfig, description: str) -> optuna.Study:
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
def quiet_optuna() -> Iterator[None]:
    """Keep Optuna from writing a line per trial to stderr."""
    import optuna  # noqa: PLC0415

    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
