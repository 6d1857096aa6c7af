"""What a network looks like and how it is trained, by name, and what each task takes where nothing is set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import numpy as np

from foretell.core.constraints import Constraint, Maybe, Number, OneOf, Text, Whole, check, check_fields
from foretell.core.journal import warn
from foretell.errors import ParameterError
from foretell.nn.arrays import ACTIVATIONS
from foretell.nn.backend import Cell, Model, is_layer, keras
from foretell.nn.custom import OwnNetwork

# Beyond it layers cost time and, in our measurements and in the literature, seldom gain anything.
_ADVISED_LAYERS = 3
Builder: TypeAlias = Callable[..., object]  # of a shape; returns a model or a cell
# A field with this value is not set: the task chooses it, see `Defaults`.
TASK: Final[Any] = None

_GATED = ("activation", "recurrent_activation", "recurrent_dropout")
_PLAIN = ("activation", "recurrent_dropout")
CELL_SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "lstm": _GATED,
    "gru": _GATED,
    "rnn": _PLAIN,
    "peephole": _GATED,
    "depth_gated": _GATED,
    "clockwork": _PLAIN,
    "slstm": _GATED,
    "minlstm": (),
}
"""Settings that a cell takes beside its units."""

# What is known without Keras, which takes seconds to import, is not asked of it.
_OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The shape of a recurrent network.

    What is not set is the task's to choose (`EVENTS`, `SERIES` and `STORES` in `foretell.nn.settings`); the
    ``summary()`` of a fitted forecaster shows it.

    Parameters
    ----------
    cell : str, keras cell, keras.Model or callable
        Recurrent cell: ``"lstm"``, ``"gru"``, ``"rnn"``, ``"peephole"``, ``"depth_gated"``, ``"clockwork"``,
        ``"slstm"`` or ``"minlstm"``; or your own, see the page on networks.
    layers : int
        Recurrent layers, 1 to 3 are advised; those above the first are residual where widths agree.
    units : int or sequence of int
        Width of the recurrent layers: of all, or of each.
    dense : int or sequence of int
        Width of the dense layer between the recurrent state and the output, or of several; 0 leaves it out.
    dense_activation : str
        Any Keras activation by name.
    dropout : float
        Dropped fraction of the dense layers' inputs while training.
    components : int
        Log-logistic components K of the gap mixture (rhythms).
    activation, recurrent_activation : str, optional
        Of the cell and of its gates; by default the cell's own.
    output_activation : str, optional
        Of the correction to the anchor: one that keeps 0 at 0, such as ``"tanh"``, which bounds it. By
        default there is none.
    recurrent_dropout : float
        Dropped fraction of the recurrent state while training, the same units at all steps.
    bidirectional : bool
        Read a window of a series in both directions. Events cannot: states must not see what comes later.

    Examples
    --------
    >>> NetworkConfig(cell="peephole", layers=2, units=8).widths
    (8, 8)
    >>> NetworkConfig(units=[16, 8], dense=[32, 16]).layers
    2
    """

    cell: str | OwnNetwork | Cell | Model | Builder | Mapping[str, str] = "lstm"
    layers: int = TASK
    units: int | tuple[int, ...] = TASK
    dense: int | tuple[int, ...] = TASK
    dense_activation: str = TASK
    dropout: float = TASK
    components: int = 3
    activation: str | None = None
    recurrent_activation: str | None = None
    output_activation: str | None = None
    recurrent_dropout: float = 0.0
    bidirectional: bool = False

    def __post_init__(self) -> None:
        for name in ("units", "dense"):
            if isinstance(getattr(self, name), (list, tuple)):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if isinstance(self.units, tuple) and self.layers is TASK:
            object.__setattr__(self, "layers", len(self.units))
        self._check_cell()
        self._check_widths()
        share = Number(0.0, 1.0, "[)")
        check_fields(self, {"dropout": Maybe(share), "recurrent_dropout": share})
        self._check_activations()
        if self.layers is not TASK and self.layers > _ADVISED_LAYERS:
            warn(
                f"layers={self.layers}: 1 to 3 recurrent layers are advised; more cost time and data and "
                "seldom forecast better",
                stacklevel=3,
            )

    @property
    def program(self) -> tuple[object, ...]:
        """What compiled programs depend on: a dropped fraction, other than 0, is their input."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return tuple((fields | {"dropout": self.dropout > 0}).items())

    def _check_cell(self) -> None:
        if isinstance(self.cell, Mapping):  # as JSON keeps it
            try:
                object.__setattr__(self, "cell", OwnNetwork(**self.cell))
            except TypeError as error:
                raise ParameterError(f"cell={self.cell!r} does not describe a network of your own") from error
        elif is_layer(self.cell):
            object.__setattr__(self, "cell", OwnNetwork.of(self.cell))
        if isinstance(self.cell, OwnNetwork) or callable(self.cell):
            return
        if not isinstance(self.cell, str) or self.cell not in CELL_SETTINGS:
            raise ParameterError(
                f"cell={self.cell!r} is unknown; expected one of {sorted(CELL_SETTINGS)}, or a Keras cell of "
                "your own"
            )
        for name in ("activation", "recurrent_activation", "recurrent_dropout"):
            value = getattr(self, name)
            given = value is not None and not (isinstance(value, (int, float)) and value == 0)
            if given and name not in CELL_SETTINGS[str(self.cell)]:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r}; the cell {self.cell!r} has no such setting: expected "
                    "none, or another cell"
                )

    def _check_widths(self) -> None:
        for name, low, high in [
            ("layers", 0, 8),
            ("units", 1, 4096),
            ("dense", 0, 65536),
            ("components", 0, 32),
        ]:
            value = getattr(self, name)
            if value is TASK:
                continue
            for width in value if isinstance(value, tuple) else (value,):
                if not Whole(low, high).allows(width):
                    check(name, value, Whole(low, high))
            plain = tuple(map(int, value)) if isinstance(value, tuple) else int(value)
            object.__setattr__(self, name, plain)  # numpy's numbers are no JSON
        if isinstance(self.units, tuple) and len(self.units) != self.layers:
            raise ParameterError(
                f"units={self.units!r}; expected one width for each of layers={self.layers}, or a single one"
            )
        if self.cell == "depth_gated" and isinstance(self.units, tuple) and len(set(self.units)) > 1:
            raise ParameterError(
                f"units={self.units!r}; expected one width for all layers: the depth gate adds the memory of "
                "the layer below, unit by unit"
            )

    def _check_activations(self) -> None:
        for name in ("dense_activation", "activation", "recurrent_activation", "output_activation"):
            value = getattr(self, name)
            if value is None:
                continue
            try:
                known = value in ACTIVATIONS or keras.activations.get(value) is not None
            except (TypeError, ValueError):
                known = False
            if not isinstance(value, str) or not known:
                raise ParameterError(
                    f"{name}={value!r}; expected the name of a Keras activation, such as 'tanh' or 'relu'"
                )
        if self.output_activation is not None:
            around = np.asarray(
                keras.activations.get(self.output_activation)(np.array([[-0.01, 0.0, 0.01]]))
            )[0]
            if around[1] != 0.0 or np.any(around[[0, 2]] == 0.0):
                raise ParameterError(
                    f"output_activation={self.output_activation!r}; expected one that keeps 0 at 0 and no "
                    "other value there, such as 'tanh' or 'softsign': a correction starts at zero"
                )

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each recurrent layer."""
        return self.units if isinstance(self.units, tuple) else (self.units,) * self.layers

    @property
    def dense_widths(self) -> tuple[int, ...]:
        """Width of each dense layer."""
        return tuple(w for w in (self.dense if isinstance(self.dense, tuple) else (self.dense,)) if w)

    def resolved(self, shape: object) -> NetworkConfig:
        """Return the configuration with a builder's network in place of the builder, called with a shape."""
        if isinstance(self.cell, (str, OwnNetwork)):
            return self
        return dataclasses.replace(self, cell=OwnNetwork.for_shape(self.cell, shape))


_TRAINING_RULES: Final[Mapping[str, Constraint]] = {
    "refit": OneOf((True, False)),
    "epochs": Maybe(Whole()),
    "batch_size": Maybe(Whole()),
    "learning_rate": Maybe(Number(0.0, ends="()")),
    "weight_decay": Maybe(Number(0.0)),
    "clip_norm": Number(0.0, ends="()"),
    "patience": Maybe(Whole()),
    "validation_fraction": Maybe(Number(0.0, 1.0)),
    "max_steps": Maybe(Whole()),
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; what is not set is the task's to choose.

    Parameters
    ----------
    epochs : int
        Passes over the data at the most; the learning rate falls to zero over them by a cosine.
    batch_size : int, optional
        Sequences in a step; by default a thirty-second of the sequences, but from 64 to 512.
    learning_rate : float
    weight_decay : float
        Decoupled decay (AdamW), of the network's weights only.
    clip_norm : float
        Largest norm of a gradient.
    patience : int
        Epochs without a better validation loss after which training stops; the best weights are kept.
    validation_fraction : float
        Held-out sequences; 0 trains on all, for all epochs.
    optimizer : str
        Any Keras optimizer by name.
    loss : str, optional
        Of series: a Keras regression loss by name, such as ``"mean_squared_error"`` or ``"huber"``, by which
        the point forecast is trained; by default it is the median. The other quantiles are trained as such.
        Events are trained by their likelihood.
    refit : bool
        Of series: train the members on the held-out last part too, after it has said when to stop.
    max_steps : int
        Longest sequence trained on as one; longer ones are cut into runs of this length. Short runs are
        quicker, but a network that has never seen a long history forecasts long ones badly.
    """

    epochs: int = TASK
    batch_size: int | None = None
    learning_rate: float = TASK
    weight_decay: float = TASK
    clip_norm: float = 1.0
    patience: int = TASK
    validation_fraction: float = TASK
    optimizer: str = "adamw"
    max_steps: int = TASK
    loss: str | None = None
    refit: bool = True

    def __post_init__(self) -> None:
        check_fields(self, _TRAINING_RULES)
        _check_names(self.optimizer, self.loss)


def _check_names(optimizer: str, loss: str | None) -> None:
    """Refuse an unknown optimizer, and a loss that is not one of regression."""
    check("optimizer", optimizer, Text("the name of a Keras optimizer, such as 'adamw' or 'rmsprop'"))
    try:
        if optimizer not in _OPTIMIZERS:
            keras.optimizers.get(optimizer)
    except ValueError as error:
        raise ParameterError(
            f"optimizer={optimizer!r}; expected the name of a Keras optimizer, such as 'adamw' or 'rmsprop'"
        ) from error
    check("loss", loss, Maybe(Text("the name of a Keras regression loss, such as 'huber'")))
    if loss is None:
        return
    zero = np.zeros((3, 2), dtype=np.float32)
    off = zero + np.array([[0.0], [-1.0], [1.0]], dtype=np.float32)
    try:
        right, low, high = np.asarray(keras.losses.get(loss)(zero, off)).ravel().tolist()
    except (TypeError, ValueError):
        right, low, high = 1.0, 0.0, 0.0
    if right or not (low > 0.0 and high > 0.0):
        raise ParameterError(
            f"loss={loss!r}; expected the name of a Keras regression loss, such as 'mean_squared_error', "
            "'mean_absolute_error' or 'huber', or None"
        )


@dataclasses.dataclass(frozen=True)
class Defaults:
    """What a task takes where nothing is set, so that setting one field changes that field alone."""

    network: NetworkConfig
    training: TrainConfig

    def complete_network(self, network: NetworkConfig) -> NetworkConfig:
        """Return the configuration with the task's value in each field that is not set."""
        return _completed(network, self.network)

    def complete_training(self, training: TrainConfig | None) -> TrainConfig:
        """Return the configuration, or an empty one, with the task's value in each field that is not set."""
        return _completed(training or TrainConfig(), self.training)


Config = TypeVar("Config", NetworkConfig, TrainConfig)


def _completed(config: Config, defaults: Config) -> Config:
    names = [field.name for field in dataclasses.fields(config) if getattr(config, field.name) is None]
    return dataclasses.replace(config, **{name: getattr(defaults, name) for name in names})


# With fewer customers a network has too little to learn from.
LEAST_CUSTOMERS: Final = 200

EVENTS: Final = Defaults(
    NetworkConfig(layers=1, units=32, dense=32, dense_activation="tanh", dropout=0.0),
    TrainConfig(
        epochs=40, learning_rate=2e-3, weight_decay=1e-2, patience=8, validation_fraction=0.1, max_steps=128
    ),
)
SERIES: Final = Defaults(
    NetworkConfig(layers=2, units=64, dense=128, dense_activation="relu", dropout=0.1),
    TrainConfig(
        epochs=30, learning_rate=4e-3, weight_decay=1e-2, patience=6, validation_fraction=0.1, max_steps=128
    ),
)
# Many stores, each with little data: a narrow network, and how its copies are tuned to the stores.
STORES: Final = Defaults(
    NetworkConfig(layers=1, units=8, dense=8, dense_activation="tanh", dropout=0.0),
    TrainConfig(
        epochs=30,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.0,
        patience=5,
        validation_fraction=0.25,
        max_steps=64,
    ),
)


def check_network(network: object) -> None:
    """Refuse what can be no network."""
    known = network is None or is_layer(network) or isinstance(network, (OwnNetwork, NetworkConfig))
    if not known and (isinstance(network, type) or not callable(network)):
        raise ParameterError(
            f"network={network!r}; expected a foretell.NetworkConfig(…), a keras.Model, or a function that "
            "builds one"
        )


def check_forward(config: NetworkConfig) -> None:
    """Refuse a network for events that reads in both directions."""
    if config.bidirectional:
        raise ParameterError(
            "bidirectional=True; expected False: an event's state must not see the events after it. Windows "
            "of series, which lie in the past as a whole, can be read in both directions"
        )


def resolved(network: object, shape: object) -> NetworkConfig | OwnNetwork:
    """Return a configuration without builders, or the description of a model or of what a builder makes."""
    if isinstance(network, NetworkConfig):
        return network.resolved(shape)
    return OwnNetwork.for_shape(network, shape)


def as_config(network: NetworkConfig | Cell | Model | Builder | None) -> NetworkConfig:
    """Return the configuration, or one with a user's own network as its recurrent part."""
    if network is None or isinstance(network, NetworkConfig):
        return network or NetworkConfig()
    return NetworkConfig(cell=network)
