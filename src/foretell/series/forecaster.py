"""`SeriesForecaster`: fit on a panel of regular series, answer what comes next."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from statistics import NormalDist
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.core.constraints import Constraint, Instance, Maybe, OneOf, Whole, check
from foretell.core.contracts import Kind
from foretell.core.state import State
from foretell.data.panel import Panel, check_panel
from foretell.data.state import panel_alike, panel_from_state, panel_options
from foretell.data.tables import forecast_table, quantiles_for
from foretell.errors import DataError, ParameterError, SmallDataWarning
from foretell.nn.custom import check_network, resolved
from foretell.nn.forecaster import NetworkForecaster
from foretell.nn.settings import SERIES, NetworkConfig, TrainConfig
from foretell.nn.training import Progress, power_of_two
from foretell.series.auto import LEAST_VALUES, SeriesChoice, choose
from foretell.series.fitting import SeriesModel, check_variables, choose_shape, fit_series_model
from foretell.series.network import QUANTILES
from foretell.series.rollout import block_quantiles, path_quantiles
from foretell.series.state import choice_of, forecaster_state, of_today, series_model_of, settings
from foretell.series.warm import go_on, untrained
from foretell.series.windows import WindowConfig
from foretell.storage.forecaster import FittedTo

FloatArray = npt.NDArray[np.float64]

# Series that are forecast at once.
_CHUNK = 256


class SeriesForecaster(NetworkForecaster):
    """Forecast the next steps of every series of a panel, with their uncertainty.

    One ensemble of recurrent networks is trained over all series. Each reads a window patch by patch, adds a
    linear map of it, and corrects the seasonal-naive forecast; all steps and quantiles come out at once. The
    quantiles are calibrated on the last part of the training period.

    Parameters
    ----------
    horizon : int
        Steps ahead to train for; `predict` can be asked for fewer or more.
    window : WindowConfig, optional
        Lookback, patch, season, normalisation.
    method : {"direct", "recursive", "seq2seq"}
        All steps at once; one step, fed back along sample paths; or written by a decoder patch by patch.
    variables : {"shared", "joined", "branches"}
        Several targets as series of one network; or all columns as one input; or a recurrent branch for each.
    network : NetworkConfig, keras.Model or callable, optional
        Cell, layers, widths; or a network of your own, or a function that builds it for a shape: it reads
        ``(batch, lookback, columns)`` and gives the corrections to the anchor, ``shape.n_outputs`` numbers.
    training : TrainConfig, optional
        An epoch is a round of 100 steps.
    ensemble : int
        Networks that are averaged.
    refit : bool
        Train the members on the held-out last part too, after it has said when to stop.
    seed : int
        Same seed, same machine, same answers.
    model : {"network", "auto"}
        ``"auto"`` holds back the last horizons once, and by them chooses or blends the network and the rules
        (seasonal naive, naive, drift). With fewer than 200 observed values it warns and falls back on the
        rules.

    Attributes
    ----------
    panel_ : Panel
        The panel it was fitted to.
    model_ : SeriesModel
    auto_ : SeriesChoice or None
        With ``model="auto"``: the weights, the losses they came from, and whether there was too little data.

    Examples
    --------
    >>> import numpy as np
    >>> import foretell as ft
    >>> panel = ft.Panel.from_arrays([np.sin(2 * np.pi * np.arange(120) / 12)])
    >>> quick = ft.SeriesForecaster(horizon=3, ensemble=1, training=ft.TrainConfig(epochs=1))
    >>> quick.fit(panel).predict(levels=[80]).columns
    ['unique_id', 'ds', 'foretell', 'foretell-lo-80', 'foretell-hi-80']
    """

    name = "foretell"
    kind: ClassVar[Kind] = "series"
    starts_warm = True
    _constraints: ClassVar[Mapping[str, Constraint]] = {
        "horizon": Whole(),
        "ensemble": Whole(),
        "seed": Whole(0),
        "training": Maybe(Instance(TrainConfig)),
        "window": Maybe(Instance(WindowConfig)),
        "model": OneOf(("network", "auto")),
    }
    _configurations: ClassVar[Mapping[str, type]] = {
        "network": NetworkConfig,
        "training": TrainConfig,
        "window": WindowConfig,
    }

    saved_as = "series-network"
    model_: SeriesModel
    panel_ = FittedTo[Panel]()
    auto_: SeriesChoice | None = None

    def __init__(
        self,
        horizon: int = 1,
        *,
        window: WindowConfig | None = None,
        method: str = "direct",
        variables: str = "shared",
        network: Any = None,
        training: TrainConfig | None = None,
        ensemble: int = 3,
        refit: bool = True,
        seed: int = 0,
        model: str = "network",
    ) -> None:
        self.horizon = horizon
        self.window = window
        self.method = method
        self.variables = variables
        self.network = network
        self.training = training
        self.ensemble = ensemble
        self.refit = refit
        self.seed = seed
        self.model = model

    def fit(
        self,
        panel: Panel,
        *,
        warm_start: SeriesForecaster | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Self:
        """Fit to a panel.

        Parameters
        ----------
        panel : Panel
            See `foretell.read_series`.
        warm_start : SeriesForecaster, optional
            A fitted one of the same settings: training goes on from its weights, with few rounds.
        progress : callable, optional
            Hears a `Progress` after each round of each member.
        """
        self._check_parameters()
        check_panel(panel)
        if int(panel.lengths.max()) < 2:
            raise DataError(
                "all series have one step: there is nothing to learn from; read longer series, or take the "
                "last value for the next"
            )
        self.auto_ = None
        training = SERIES.complete_training(self.training)
        if warm_start is not None:
            start = self._start(warm_start, panel)
            further = go_on(panel, start, training, seed=int(self.seed), progress=progress)
            if further is not None:
                self.model_, self.panel_, self.auto_ = further, panel, warm_start.auto_
                return self
        shape = choose_shape(
            panel, self.window or WindowConfig(), int(self.horizon), self.variables, self.method
        )
        self.panel_ = panel
        if self.model == "auto" and self._falls_back(panel):
            self.model_ = untrained(
                panel, shape, resolved(self.network or NetworkConfig(), shape), int(self.seed)
            )
            self.auto_ = choose(panel, int(self.horizon), None, shape.season)
            return self
        self.model_ = fit_series_model(
            panel,
            shape,
            resolved(self.network or NetworkConfig(), shape),
            training,
            ensemble=self.ensemble,
            seed=int(self.seed),
            refit=self.refit,
            progress=progress,
        )
        if self.model == "auto":
            plain = type(self)(**self.get_params() | {"model": "network"})
            self.auto_ = choose(panel, int(self.horizon), plain, shape.season)
        return self

    @staticmethod
    def _falls_back(panel: Panel) -> bool:
        """Say so where there is too little for the network to learn from."""
        observed = int((~np.isnan(panel.values)).sum())
        if observed >= LEAST_VALUES:
            return False
        warnings.warn(
            f"{observed} observed values are too few for the network to learn from (fewer than "
            f"{LEAST_VALUES}): model='auto' falls back on the simple rules",
            SmallDataWarning,
            stacklevel=3,
        )
        return True

    def _start(self, other: SeriesForecaster, panel: Panel) -> SeriesModel:
        """Return a fitted model to go on from, if it is built as this one would be."""
        if not isinstance(other, SeriesForecaster):
            raise ParameterError(f"warm_start={other!r}; expected a fitted SeriesForecaster")
        other._check_fitted("model_")
        alike = ("horizon", "window", "method", "variables", "network", "ensemble")
        differ = [name for name in alike if getattr(self, name) != getattr(other, name)]
        if differ or panel.targets != other.panel_.targets:
            raise ParameterError(
                f"warm_start differs in {', '.join(differ) or 'the targets of its panel'}; expected a "
                "forecaster of the same settings, fitted to the same targets: fit without warm_start"
            )
        return other.model_

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

        Returns
        -------
        polars.DataFrame
            One row per series and step: ``unique_id``, ``ds``, ``foretell`` (the median),
            ``foretell-lo-80``, ``foretell-hi-80`` …; with several targets also ``target``.
        """
        self._check_fitted("model_")
        panel = self.panel_ if panel is None else panel
        steps = self.horizon if horizon is None else horizon
        found = self.forecast(panel, steps, quantiles_for(levels))
        table = forecast_table(panel, found, self.name, levels)
        if disagreement:
            spread = np.std(self._member_medians(panel, steps), axis=0)
            table = table.with_columns(pl.Series(f"{self.name}-sd", np.moveaxis(spread, -1, 0).ravel()))
        return table

    def _member_medians(self, panel: Panel, h: int) -> FloatArray:
        """Return each member's median by itself, shape (n_members, n_series, h, n_targets)."""
        alone = copy.copy(self)
        alone.auto_ = None
        medians = []
        for weights in self.model_.members:
            alone.model_ = dataclasses.replace(self.model_, members=(weights,))
            medians.append(alone.forecast(panel, h, [0.5])[..., 0])
        return np.stack(medians)

    def forecast(self, panel: Panel, h: int, quantiles: Sequence[float]) -> FloatArray:
        """Return quantiles as an array, shape (n_series, h, n_targets, n_quantiles), sorted."""
        self._check_fitted("model_")
        check_panel(panel)
        check("horizon", h, Whole(of="steps"))
        self._check_alike(panel)
        model, shape = self.model_, self.model_.network.shape
        n = panel.n_series
        out = np.zeros((n, int(h), shape.n_targets, len(QUANTILES)))
        size = min(_CHUNK, power_of_two(n))
        for begin in range(0, n, size):
            chosen = np.arange(begin, min(begin + size, n))
            part = panel if n == len(chosen) else panel.take(chosen)
            if shape.method == "recursive":
                out[chosen] = path_quantiles(model, part, int(h), size, int(self.seed))
            else:
                out[chosen] = block_quantiles(model, part, int(h), size)
        found = np.sort(_at_levels(out, quantiles), axis=-1)
        return found if self.auto_ is None else self.auto_.forecast(found, panel, int(h), quantiles)

    def state(self) -> State:
        """Return what was learned, and the panel, as plain values."""
        self._check_fitted("model_")
        return forecaster_state(self, self._panel_options)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Return the fitted forecaster that `state` described."""
        state = of_today(state)
        model = cls(**settings(state.described))
        model._check_parameters()
        model.model_, model.auto_ = series_model_of(state), choice_of(state)
        model._read_as = state.described["panel_options"]
        if state.data is not None:
            model.panel_ = panel_from_state(state.data)
        return model

    def attach(self, data: Panel) -> Self:
        """Take a panel to answer about, read as the model's own was; nothing is learned from it."""
        self._check_fitted("model_")
        self.panel_ = panel_alike(data, self._panel_options)
        return self

    @property
    def _panel_options(self) -> Mapping[str, object]:
        return panel_options(self.panel_) if "panel_" in vars(self) else self._read_as

    def _check_alike(self, panel: Panel) -> None:
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
        check_variables(self.variables, self.method)


def _at_levels(found: FloatArray, quantiles: Sequence[float]) -> FloatArray:
    """Return the quantiles at other levels: between the trained ones by the normal distribution's scale."""
    given = [NormalDist().inv_cdf(level) for level in QUANTILES]
    out = []
    for level in quantiles:
        if level in QUANTILES:
            out.append(found[..., QUANTILES.index(level)])
            continue
        z = NormalDist().inv_cdf(level)
        k = int(np.clip(np.searchsorted(given, z), 1, len(given) - 1))
        share = (z - given[k - 1]) / (given[k] - given[k - 1])
        out.append(found[..., k - 1] * (1.0 - share) + found[..., k] * share)
    return np.stack(out, axis=-1)
