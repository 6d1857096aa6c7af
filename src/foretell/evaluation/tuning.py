"""`tune`: search settings by how well they forecast a held-back part of the training data."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import polars as pl

from foretell.core.constraints import Instance, Maybe, check
from foretell.core.contracts import Figure
from foretell.core.progress import Watch, watch_search
from foretell.data.log import EventLog
from foretell.data.panel import Panel
from foretell.errors import ParameterError
from foretell.evaluation.search_space import Between, SearchSpace, Settings, Space, with_settings
from foretell.evaluation.trials import (
    SearchConfig,
    SearchProgress,
    Trainee,
    Trials,
    open_study,
    quiet_optuna,
)
from foretell.events.forecaster import EventForecaster
from foretell.series.forecaster import SeriesForecaster

if TYPE_CHECKING:
    import optuna

__all__ = ["Between", "SearchConfig", "SearchProgress", "SearchResult", "tune"]


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
    best: Settings
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
        """Return a row per trial, the best first: ``trial``, ``state``, the objective, ``seconds``, settings.

        ``state`` is ``complete``, ``pruned`` or ``fail``, and ``why`` says what a failure was.
        """
        rows = [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                self.objective: trial.user_attrs.get("figure"),
                "seconds": trial.user_attrs.get("seconds"),
                **trial.params,
                "why": trial.user_attrs.get("why"),
            }
            for trial in self.study.get_trials(deepcopy=False)
        ]
        order = sorted(rows, key=lambda row: self.figure.loss(row[self.objective]))
        names = list(dict.fromkeys(name for row in order for name in row))
        return pl.DataFrame({name: _column([row.get(name) for row in order]) for name in names})

    def importances(self) -> dict[str, float]:
        """Return each setting's share of the difference between trials (PED-ANOVA, Watanabe 2023).

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
    progress: Watch[SearchProgress] = None,
) -> SearchResult:
    """Search settings, then fit the best ones to all data.

    Each trial learns from the data without their last part and is scored on it, as `foretell.evaluate` does.
    What is to be the test of the result must not be in the data: read with ``as_of``, or cut.

    Parameters
    ----------
    data : EventLog or Panel
    space : mapping of str to sequence or Between
        Arguments of the forecaster, or of its configurations after a dot, such as
        ``{"window.lookback": [56, 112], "training.learning_rate": Between(1e-4, 1e-2, log=True)}``.
    model : EventForecaster or SeriesForecaster, optional
        Has the settings that are not searched.
    horizon : str or int, optional
        Length of the inner held-back part: of series by default the model's horizon, of visits a quarter of
        the log.
    objective : str
        A figure of the evaluation; by default ``"rmse"`` of visits and ``"mase"`` of series.
    search : SearchConfig, optional
    progress : callable or bool, optional
        Called with a `SearchProgress` after each trial. By default a bar shows them on a terminal and in a
        notebook; False draws none.

    Raises
    ------
    ParameterError
        A setting or figure is not known, or no trial could be scored.
    StorageError
        The file holds another search.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays([np.sin(2 * np.pi * np.arange(90) / 6)])
    >>> small = ft.SeriesForecaster(
    ...     horizon=3,
    ...     model="network",
    ...     ensemble=1,
    ...     network=ft.NetworkConfig(layers=0, dense=4),
    ...     training=ft.TrainConfig(epochs=1),
    ... )
    >>> result = ft.tune(panel, {"training.learning_rate": [1e-3, 1e-2]}, model=small,
    ...                  search=ft.SearchConfig(method="grid"))
    >>> result.table().height, sorted(result.best)
    (2, ['training.learning_rate'])
    """
    check("search", search, Maybe(Instance(SearchConfig)))
    search = search or SearchConfig()
    trainee = Trainee.of(data, model, horizon, objective)
    searched = SearchSpace(space, trainee.model)
    with quiet_optuna(), watch_search(progress) as told:
        study = open_study(search, trainee.describe(searched))
        Trials(study, trainee, searched, search, told).run()
        trials = study.get_trials(deepcopy=False)
        if not any(trial.state.name == "COMPLETE" for trial in trials):
            why = [trial.user_attrs["why"] for trial in trials if "why" in trial.user_attrs]
            raise ParameterError(f"none of the trials could be scored on {trainee.objective.name}: {why[:1]}")
        best = study.best_trial
    settings = searched.settings(best.params)
    fitted = with_settings(trainee.model, settings)
    fitted.fit(data, progress=None if progress is None else False)  # type: ignore[arg-type]  # the trainee has checked that they go together
    return SearchResult(trainee.objective, settings, best.user_attrs["figure"], fitted, study)


def _column(values: list[object]) -> pl.Series:
    """Return a column; values of several kinds are shown as text."""
    kinds = {float if isinstance(v, (int, float)) and not isinstance(v, bool) else type(v) for v in values}
    mixed = len(kinds - {type(None)}) > 1
    return pl.Series([None if v is None else str(v) for v in values] if mixed else values, strict=False)
