"""What the forecasters with networks share: the steps of a fit, going on from earlier weights, small data."""

from __future__ import annotations

import abc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from foretell.core.constraints import as_levels
from foretell.core.journal import JOURNAL, warn
from foretell.core.progress import Watch, watch_training
from foretell.errors import ParameterError, SmallDataWarning
from foretell.nn.backend import is_layer
from foretell.nn.custom import OwnNetwork
from foretell.nn.settings import Defaults, NetworkConfig, TrainConfig
from foretell.storage.forecaster import SavedForecaster

if TYPE_CHECKING:
    from foretell.nn.export import Program
    from foretell.nn.training import Progress


class Choice(Protocol):
    """What an inner backtest chose."""

    @property
    def too_little_data(self) -> bool:
        """Whether the network was not trained, and has no weight."""

    def report(self) -> str:
        """Return who answers, and why, in words."""


class Ensemble(Protocol):
    """Trained members of one network."""

    @property
    def network(self) -> Any:
        """The network that the members are weights of."""

    @property
    def members(self) -> Sequence[Sequence[npt.NDArray[np.float32]]]:
        """Weights of each member."""


Data = TypeVar("Data")
Model = TypeVar("Model", bound=Ensemble)
Chosen = TypeVar("Chosen", bound=Choice)


class NetworkForecaster(SavedForecaster, abc.ABC, Generic[Data, Model, Chosen]):
    """A forecaster that trains an ensemble of networks; a task says how, this class in which order.

    Attributes
    ----------
    model_
        The trained ensemble and what surrounds it.
    auto_
        Unless ``model="network"``: who answers, such as an inner backtest chose.
    """

    is_ours: ClassVar[bool] = True
    starts_warm: ClassVar[bool] = True
    defaults: ClassVar[Defaults]
    # What training does not depend on, or may do differently than in the fit that it goes on from.
    _free: ClassVar[frozenset[str]] = frozenset({"seed", "training"})
    # With less the network has too little to learn from: how many, of what, and what answers instead.
    _least: ClassVar[tuple[int, str, str]]

    network: Any
    training: TrainConfig | None
    model: str
    model_: Model
    auto_: Chosen | None = None

    def fit(
        self,
        data: Data,
        *,
        as_of: object = None,
        warm_start: Self | None = None,
        progress: Watch[Progress] = None,
    ) -> Self:
        """Fit to a log, or to a panel.

        Parameters
        ----------
        data : EventLog or Panel
            See `foretell.read_events` and `foretell.read_series`.
        as_of : date or str, optional
            Last day to learn from, inclusive; by default the data's own end. Nothing later is looked at.
        warm_start : forecaster, optional
            A fitted one of the same settings, other than the seed and the training: training goes on from its
            weights, with few epochs.
        progress : callable or bool, optional
            Called with a `Progress` after each epoch of each member. By default a bar shows them, on a
            terminal and in a notebook; False draws none.
        """
        self._check_parameters()
        data = self._training_data(data, as_of)
        untrained = self._by == "prior" or (
            self._by == "auto" and (self._is_small(data) or self._is_known_better(data))
        )
        if warm_start is not None:
            self._check_alike(warm_start, data)
            if warm_start.auto_ is not None and warm_start.auto_.too_little_data != untrained:
                warm_start = None  # it was not trained, or there is too little to train it further
        started = time.perf_counter()
        with watch_training(progress) as told:
            learned = self._learn(data, earlier=warm_start, train=not untrained, progress=told)
        JOURNAL.info("%s fitted to %r in %.1f s", self._public_name(), data, time.perf_counter() - started)
        self.model_, self.auto_ = learned
        return self._keep(data)

    @property
    def _by(self) -> str:
        """By what the settings let it answer: a forecaster may have parts that nothing is weighed beside."""
        return self.model

    @abc.abstractmethod
    def _training_data(self, data: Data, as_of: object) -> Data:
        """Return the data up to a date; refuse what is no such data."""

    @abc.abstractmethod
    def _size(self, data: Data) -> int:
        """Return how much there is to learn from."""

    @abc.abstractmethod
    def _columns(self, data: Data) -> tuple[str, ...]:
        """Return the columns that a network is built for."""

    @abc.abstractmethod
    def _fitted_data(self) -> Data:
        """Return the data of the fit."""

    @abc.abstractmethod
    def _learn(
        self, data: Data, *, earlier: Self | None, train: bool, progress: Callable[[Progress], None] | None
    ) -> tuple[Model, Chosen | None]:
        """Return the model and, unless the network answers alone, who answers besides.

        The model is trained from the start, or further from an earlier one, whose choice is taken over; or it
        is only built, and forecasts its anchor.
        """

    @abc.abstractmethod
    def _keep(self, data: Data) -> Self:
        """Keep what forecasts need of the data."""

    def _is_known_better(self, data: Data) -> bool:
        """Tell whether data are of a kind that is known better than a network could learn it from them."""
        del data
        return False

    def _is_small(self, data: Data) -> bool:
        """Say so where there is too little for the network to learn from."""
        size, (least, what, instead) = self._size(data), self._least
        if size >= least:
            return False
        warn(
            f"{size} {what} are too few for the network to learn from (fewer than {least}): model='auto' "
            f"falls back on {instead}",
            SmallDataWarning,
            stacklevel=3,
        )
        return True

    def _check_alike(self, other: Self, data: Data) -> None:
        """Refuse a warm start from a forecaster whose network is built in another way."""
        name = type(self).__name__
        if not self.starts_warm or type(other) is not type(self):
            raise ParameterError(
                f"warm_start={other!r}; expected a fitted {name} for a {name}; models of other kinds are "
                "fitted without warm_start"
            )
        other._check_fitted("model_")
        mine, theirs = self._settings(), other._settings()
        differ = [name for name in mine if name not in self._free and mine[name] != theirs[name]]
        if differ or self._columns(data) != self._columns(other._fitted_data()):
            raise ParameterError(
                f"warm_start differs in {', '.join(differ) or 'the columns of its data'}; expected a "
                "forecaster of the same settings, fitted to the same columns: fit without warm_start"
            )

    def _settings(self) -> dict[str, Any]:
        """Return the arguments, each in one spelling, with the task's value where none is set."""
        settings = self.get_params() | self.configurations()
        network = settings["network"]
        if isinstance(network, NetworkConfig):
            settings["network"] = self.defaults.complete_network(network)
        elif is_layer(network):
            settings["network"] = OwnNetwork.of(network)
        return settings | {"training": self.defaults.complete_training(self.training)}

    def save_keras(self, path: str | Path, *, data: bool = True) -> Path:
        """Write the model to a directory, its networks as Keras keeps them, too.

        ``architecture.json`` describes the network, ``member0.weights.h5`` … hold the weights of each member
        of the ensemble. `foretell.load` reads the directory like any other and does not need them;
        `foretell.forecasters.load_keras` returns the members as Keras models.

        Parameters
        ----------
        path : str or Path
        data : bool
            With the data that it was fitted to, see `save`.
        """
        from foretell.nn.state import write_members  # noqa: PLC0415  # Keras' files are seldom wanted

        self._check_fitted("model_")
        network, members = self.model_.network, self.model_.members
        return self._save(
            path,
            data=data,
            export=lambda place: write_members(network.whole, network.variables, members, place),
        )

    def export(
        self,
        path: str | Path,
        *,
        levels: Sequence[float] = (50, 80, 95),
        horizons: Sequence[str | int] = ("7d", "30d", "90d"),
    ) -> Path:
        """Write what the model answers as one program that runs without foretell; see the page on exports.

        Parameters
        ----------
        path : str or Path
            A file that ends in ``.onnx``, or in ``.stablehlo``, which `jax.export` reads.
        levels : sequence of float
            Percentages of the central intervals.
        horizons : sequence of str or int
            Of events: in which a customer may return. Of series it is the one they were trained for.
        """
        self._check_fitted("model_")
        if self.auto_ is not None:
            raise ParameterError(
                f"a forecaster with model={self.model!r} cannot be exported: others answer beside it; "
                "expected one with model='network'"
            )
        return self._program(as_levels(levels), horizons).write(path)

    @abc.abstractmethod
    def _program(self, levels: Sequence[float], horizons: Sequence[str | int]) -> Program:
        """Return what the model answers as one function of arrays; refuse what cannot be one."""

    def _facts(self) -> dict[str, object]:
        chosen = None if self.auto_ is None else self.auto_.report()
        return super()._facts() | {"who answers": chosen}

    def summary(self) -> str:
        """Return who answers, the settings as they are resolved, and Keras' summary of the network."""
        self._check_fitted("model_")
        network = self.model_.network
        lines: list[str] = []
        network.whole.summary(print_fn=lines.append)
        configs = (network.config, self._settings()["training"])
        settings = [repr(config) for config in configs if not isinstance(config, OwnNetwork)]
        chosen = [] if self.auto_ is None else [self.auto_.report()]
        return "\n".join(chosen + settings + lines)
