"""`SeriesForecaster`: fit on a panel of regular series, answer what comes next."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.constraints import Constraint, Flag, Instance, Maybe, OneOf, Seed, Steps, Whole, check
from foretell.core.contracts import Kind, State
from foretell.core.journal import warn
from foretell.data.panel import Panel, check_panel, training_panel
from foretell.data.state import panel_from_state
from foretell.data.tables import SeriesBlocks, forecast_table, quantiles_for
from foretell.errors import DataError, SmallDataWarning
from foretell.nn.forecaster import NetworkForecaster
from foretell.nn.settings import SERIES, Defaults, NetworkConfig, TrainConfig, check_network, resolved
from foretell.nn.training import Progress
from foretell.series.auto import LEAST_LENGTH, LEAST_VALUES, NETWORK, PRIOR, SeriesChoice, choose
from foretell.series.covariate_effect import CovariateEffect
from foretell.series.covariates import AS_USUAL, say_what_is_not_given
from foretell.series.fitting import (
    SeriesModel,
    choose_shape,
    fit_series_model,
    train_further,
    untrained,
)
from foretell.series.prior_forecast import first_season
from foretell.series.quantiles import QUANTILES, at_levels, means
from foretell.series.rollout import BLOCK, block_quantiles, path_quantiles
from foretell.series.state import (
    choice_of,
    forecaster_state,
    of_today,
    series_model_of,
    settings,
    support_of,
)
from foretell.series.support import Support
from foretell.series.windows import WindowConfig
from foretell.storage.forecaster import FittedTo

if TYPE_CHECKING:
    from foretell.nn.export import Program


class SeriesForecaster(NetworkForecaster[Panel, SeriesModel, SeriesChoice], SeriesBlocks):
    """Forecast the next steps of every series of a panel, with their uncertainty.

    One ensemble of recurrent networks is trained over all series. Each reads a window patch by patch, adds a
    linear map of it, and corrects the seasonal-naive forecast; all steps and quantiles come out at once. The
    quantiles are calibrated on the last part of the training period.

    Parameters
    ----------
    horizon : int
        Steps ahead to train for; `predict` can be asked for fewer or more.
    window : WindowConfig, optional
        Lookback, patch, season, normalisation, method, variables.
    network : NetworkConfig, keras.Model or callable, optional
        Cell, layers, widths; or a network of your own, or a function that builds it for a shape: it reads
        ``(batch, lookback, columns)`` and gives the corrections to the anchor, ``shape.n_outputs`` numbers.
    training : TrainConfig, optional
        An epoch is a round of 25, 50 or 100 steps, by the size of the panel.
    ensemble : int
        Networks that are averaged.
    seed : int
        Same seed, same machine, same answers.
    model : {"auto", "prior", "network"}
        ``"prior"`` trains nothing: a network that comes with the package, trained on synthetic series alone,
        forecasts each series by itself, however short; what covariates that are known ahead add is told by a
        regression. ``"auto"`` holds back the last horizons once, and by them moves, for each quantile, the
        shares of the network and of the prior, equal ones to begin with, and of the rules (seasonal naive,
        naive, drift), half-way to what would have been best, where that is more than chance. With fewer than
        200 observed values it warns and trains no network.

    Attributes
    ----------
    panel_ : Panel
        The panel it was fitted to.
    model_ : SeriesModel
    auto_ : SeriesChoice or None
        Unless ``model="network"``: the weights, the losses they came from, and whether the network was left
        untrained.
    support_ : Support
        What values there can be, of each target: noticed in the panel, or as ``window.support`` says.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays([np.sin(2 * np.pi * np.arange(240) / 6)])
    >>> model = ft.SeriesForecaster(horizon=6, model="prior").fit(panel)  # without training
    >>> model.predict(levels=[80]).columns
    ['unique_id', 'ds', 'foretell', 'foretell-lo-80', 'foretell-hi-80']
    """

    name = "foretell"
    kind: ClassVar[Kind] = "series"
    defaults: ClassVar[Defaults] = SERIES
    _least = (LEAST_VALUES, "observed values", "the prior and the simple rules")
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Steps(),
        "ensemble": Whole(),
        "seed": Seed(),
        "training": Maybe(Instance(TrainConfig)),
        "window": Maybe(Instance(WindowConfig)),
        "model": OneOf(("network", "prior", "auto")),
    }
    _configurations: ClassVar[Mapping[str, type]] = {
        "network": NetworkConfig,
        "training": TrainConfig,
        "window": WindowConfig,
    }

    saved_as = "series-network"
    _data = "panel_"
    panel_ = FittedTo[Panel]()

    def __init__(
        self,
        horizon: int = 1,
        *,
        window: WindowConfig | None = None,
        network: Any = None,
        training: TrainConfig | None = None,
        ensemble: int = 3,
        seed: int = 0,
        model: str = "auto",
    ) -> None:
        self.horizon = horizon
        self.window = window
        self.network = network
        self.training = training
        self.ensemble = ensemble
        self.seed = seed
        self.model = model

    def _training_data(self, data: Panel, as_of: object) -> Panel:
        panel = training_panel(data, as_of)
        Support.of(panel, (self.window or WindowConfig()).support)
        if int(panel.lengths.max()) < 2 and self.model != "prior":
            raise DataError(
                "all series have one step: there is nothing to learn from; read longer series, or take the "
                "last value for the next"
            )
        if not self._size(panel):
            raise DataError(
                f"no value of {', '.join(panel.targets)} is observed: there is nothing to learn from; name "
                "the column that is to be forecast by target="
            )
        return panel

    def _size(self, data: Panel) -> int:
        return int((~np.isnan(data.values)).sum())

    def _columns(self, data: Panel) -> tuple[str, ...]:
        return data.targets

    def _fitted_data(self) -> Panel:
        return self.panel_

    def _learn(
        self, data: Panel, *, earlier: Self | None, train: bool, progress: Callable[[Progress], None] | None
    ) -> tuple[SeriesModel, SeriesChoice | None]:
        model, chosen = self._trained(data, earlier=earlier, train=train, progress=progress)
        if chosen is not None:
            chosen = dataclasses.replace(chosen, effect=CovariateEffect.fit(data, chosen.season))
        return model, chosen

    def _trained(
        self, data: Panel, *, earlier: Self | None, train: bool, progress: Callable[[Progress], None] | None
    ) -> tuple[SeriesModel, SeriesChoice | None]:
        training, seed = self.defaults.complete_training(self.training), int(self.seed)
        chosen = None if earlier is None else earlier.auto_
        if earlier is not None and train:
            further = train_further(data, earlier.model_, training, seed=seed, progress=progress)
            if further is not None:
                return further, chosen
            warn(
                "the panel's covariates are coded in other widths than those of warm_start, such as a "
                "category more or less: the networks are trained from the start",
                stacklevel=3,
            )
        shape = choose_shape(data, self.window or WindowConfig(), int(self.horizon))
        network = resolved(self.network or NetworkConfig(), shape)
        season = (self.window or WindowConfig()).season
        if self.model == PRIOR:
            alone = SeriesChoice({PRIOR: 1.0}, {}, too_little_data=True, season=season or first_season(data))
            return untrained(data, shape, network, seed), alone
        if not train:
            return untrained(data, shape, network, seed), chosen or choose(data, shape.horizon, None, season)
        _say_what_is_short(data, shape.steps)
        if self.model != NETWORK and chosen is None:
            # Built as for the whole panel, so that it is trained by the same compiled programs.
            names = ("lookback", "patch", "season", "normalise")
            same = {name: getattr(shape, name) for name in names}
            window = dataclasses.replace(self.window or WindowConfig(), **same)
            plain = type(self)(**self.get_params() | {"model": NETWORK, "ensemble": 1, "window": window})
            chosen = choose(data, shape.horizon, plain.fit, season)
        model = fit_series_model(
            data, shape, network, training, ensemble=self.ensemble, seed=seed, progress=progress
        )
        return model, chosen

    def _is_known_better(self, data: Panel) -> bool:
        """Tell whether series are short, and there is nothing beside them that the prior does not read."""
        beside = bool(data.past) or bool(data.future) or bool(data.static) or len(data.targets) > 1
        return not beside and float(np.median(data.lengths)) < LEAST_LENGTH

    def _keep(self, data: Panel) -> Self:
        self.panel_ = data
        self.support_ = Support.of(data, (self.window or WindowConfig()).support)
        return self

    def predict(
        self,
        panel: Panel | None = None,
        *,
        horizon: int | None = None,
        levels: Sequence[float] = (50, 80, 95),
        disagreement: bool = False,
    ) -> pl.DataFrame:
        """Forecast the steps after each series' end.

        Parameters
        ----------
        panel : Panel, optional
            Histories to forecast from, by default those it was fitted to; series may be new ones.
        horizon : int, optional
            Steps ahead, by default the trained horizon. More are forecast block by block, each from the
            medians of the one before, their intervals growing with the blocks.
        levels : sequence of int
            Percentages of the central intervals.
        disagreement : bool
            Add how far the networks of the ensemble differ: the standard deviation of their medians, in a
            column ``foretell-sd``.

        Quantiles keep to the support of the data, see `WindowConfig`. Of intermittent demand, most of whose
        values are 0, the median says little: the mean stands beside it, in a column ``foretell-mean``.

        Returns
        -------
        polars.DataFrame
            One row per series and step: ``unique_id``, ``ds``, ``foretell`` (the median),
            ``foretell-lo-80``, ``foretell-hi-80`` …; with several targets also ``target``.
        """
        self._check_fitted("model_")
        panel = self.panel_ if panel is None else panel
        steps = self.horizon if horizon is None else horizon
        values = self.forecast(panel, steps, quantiles_for(levels))
        if self.auto_ is None:
            say_what_is_not_given(panel, steps, "the network takes them for average")
        elif self.auto_.weights.get(NETWORK):
            say_what_is_not_given(panel, steps, "the prior answers in the network's place")
        elif self.auto_.effect is not None:
            say_what_is_not_given(panel, steps, AS_USUAL)
        table = forecast_table(panel, values, self.name, levels)
        if any(self.support_.intermittent):
            mean = means(self._spread(panel, steps, QUANTILES), panel, self.support_)
            table = table.with_columns(pl.Series(f"{self.name}-mean", np.moveaxis(mean, -1, 0).ravel()))
        check("disagreement", disagreement, Flag())
        if disagreement:
            spread = np.std(self._member_medians(panel, steps), axis=0)
            table = table.with_columns(pl.Series(f"{self.name}-sd", np.moveaxis(spread, -1, 0).ravel()))
        return table

    def predict_totals(
        self,
        horizon: int | None = None,
        by: str | Sequence[str] | None = None,
        levels: Sequence[float] = (80,),
        ids: Collection[object] | None = None,
    ) -> pl.DataFrame:
        """Forecast sums over steps and series, such as what to order for four weeks in all stores.

        A total's mean is the sum of those of its parts, whichever way it is split. Its interval comes from
        paths of all series together: how the errors of neighbouring steps, and of series, go together is seen
        in the last horizons of the panel, as the prior would have forecast them.

        Parameters
        ----------
        horizon : int, optional
            Steps ahead, by default the trained horizon.
        by : str or sequence of str, optional
            Rows: ``"step"``, ``"series"``, the names of static covariates, or several of them; by default
            one of all series over the whole horizon.
        levels : sequence of float
            Percentages of the central intervals.
        ids : collection, optional
            The series that count; by default all.

        Returns
        -------
        polars.DataFrame
            What it is split by; ``ds`` and ``end``, the first and the last step; ``foretell``, the mean;
            ``foretell-lo-80``, ``foretell-hi-80`` …; with several targets a row for each.

        Examples
        --------
        >>> import foretell as ft
        >>> stores = ft.Panel.from_arrays({"a": [3, 5] * 9, "b": [8, 7] * 9}, static={"town": ["x", "y"]})
        >>> model = ft.SeriesForecaster(horizon=4, model="prior").fit(stores)
        >>> model.predict_totals(by="town").columns
        ['town', 'ds', 'end', 'foretell', 'foretell-lo-80', 'foretell-hi-80']
        """
        from foretell.series.totals import Forecaster, predict_totals  # noqa: PLC0415  # seldom wanted

        self._check_fitted("model_")
        steps = self.horizon if horizon is None else horizon
        check("horizon", steps, Steps())
        ours = Forecaster(self.panel_, self._spread, self.support_, self.name, int(self.seed))
        return predict_totals(ours, int(steps), by, levels, ids)

    def _member_medians(self, panel: Panel, horizon: int) -> FloatArray:
        """Return each member's median by itself, shape (n_members, n_series, horizon, n_targets)."""
        alone = copy.copy(self)
        alone.auto_, alone.support_ = None, Support.anything(len(panel.targets))
        medians = []
        for weights in self.model_.members:
            alone.model_ = dataclasses.replace(self.model_, members=(weights,))
            medians.append(alone.forecast(panel, horizon, [0.5])[..., 0])
        return np.stack(medians)

    def forecast(self, panel: Panel, horizon: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles as an array, shape (n_series, horizon, n_targets, n_quantiles), sorted."""
        return self.support_.keep(self._spread(panel, horizon, quantiles))

    def _spread(self, panel: Panel, horizon: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles as `forecast` does, whatever values there can be."""
        self._check_fitted("model_")
        check_panel(panel)
        check("horizon", horizon, Steps())
        self._check_columns(panel)
        network = functools.partial(self._by_network, panel, horizon, quantiles)
        ours = network() if self.auto_ is None else self.auto_.forecast(network, panel, horizon, quantiles)
        wrong = ~np.isfinite(ours).all(axis=(1, 2, 3))
        if wrong.any():
            names = ", ".join(map(repr, panel.ids.filter(pl.Series(wrong)).head(3)))
            raise DataError(
                f"the forecasts of {int(wrong.sum()):,} series are not finite, such as of {names}; "
                "expected values within 1e-150 and 1e150 and sound weights: bring the series to another "
                "unit, or fit the model anew"
            )
        return ours

    def _by_network(self, panel: Panel, horizon: int, quantiles: Sequence[float]) -> FloatArray:
        """Return the quantiles of the networks alone."""
        model, shape = self.model_, self.model_.network.shape
        blocks = []
        for begin in range(0, panel.n_series, BLOCK):
            part = panel.take(np.arange(begin, min(begin + BLOCK, panel.n_series)))
            if shape.method == "recursive":
                block = path_quantiles(model, part, horizon, int(self.seed))
            else:
                block = block_quantiles(model, part, horizon)
            blocks.append(np.sort(at_levels(block, quantiles), axis=-1))
        return np.concatenate(blocks)

    def _program(self, levels: Sequence[float], horizons: Sequence[str | int]) -> Program:
        from foretell.series.export import series_program  # noqa: PLC0415  # seldom wanted

        del horizons  # it is the trained one
        quantiles = quantiles_for(levels)
        weights = at_levels(np.eye(len(QUANTILES)), quantiles)
        return series_program(self.model_, self.panel_, quantiles, weights, self.support_)

    def state(self) -> State:
        """Return what was learned, and the panel, as plain values."""
        self._check_fitted("model_")
        return forecaster_state(self, self._options)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        model = cls(**settings(state.described))
        model._check_parameters()
        model.model_, model.auto_ = series_model_of(state), choice_of(state)
        model.support_ = support_of(state)
        model._read_as = state.described["read_as"]
        if state.data is not None:
            model.panel_ = panel_from_state(state.data).alike(model._read_as)
        return model

    def attach(self, data: Panel) -> Self:
        """Take a panel to answer about, read as the model's own was; nothing is learned from it."""
        self._check_fitted("model_")
        self.panel_ = check_panel(data).alike(self._options)
        return self

    def _check_columns(self, panel: Panel) -> None:
        """Refuse a panel of other targets or other steps than the model was fitted to."""
        if panel.targets != self.panel_.targets:
            raise DataError(
                f"the panel has targets {list(panel.targets)}; the model was fitted with "
                f"{list(self.panel_.targets)}: read the same columns"
            )
        given, fitted = panel.grid.frequency, self.panel_.grid.frequency
        if (given.unit, given.size, given.business) != (fitted.unit, fitted.size, fitted.business):
            raise DataError(
                f"the panel has steps of {panel.grid.freq!r}; the model was fitted to steps of "
                f"{self.panel_.grid.freq!r}: bring the series to the same steps, or fit a model of their own"
            )

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_network(self.network)


def _say_what_is_short(panel: Panel, steps: int) -> None:
    """Warn where no series is long enough to hold back a horizon and to learn from two."""
    longest = int(panel.lengths.max())
    if longest < 3 * steps:
        warn(
            f"the longest series has {longest} steps, fewer than three times the horizon of {steps}: the "
            f"network was tried on {longest // 3} steps only; intervals farther ahead follow how far the "
            "simple rule, the value of a season ago, has erred",
            SmallDataWarning,
            stacklevel=4,
        )
