"""What a network looks like, by name."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from foretell.core.constraints import Whole, check
from foretell.errors import ParameterError
from foretell.nn.backend import keras
from foretell.nn.cells import CELLS, SETTINGS
from foretell.nn.custom import OwnNetwork, resolved

# Beyond it layers cost time and, in our measurements and in the literature, seldom gain anything.
_ADVISED_LAYERS = 3


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The shape of a recurrent network.

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

    cell: Any = "lstm"
    layers: int = 1
    units: int | tuple[int, ...] = 32
    dense: int | tuple[int, ...] = 32
    dense_activation: str = "tanh"
    dropout: float = 0.0
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
        if isinstance(self.units, tuple) and self.layers == 1:
            object.__setattr__(self, "layers", len(self.units))
        self._check_cell()
        self._check_widths()
        for name in ("dropout", "recurrent_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ParameterError(
                    f"{name}={getattr(self, name)!r}; expected a number from 0 up to, not including, 1"
                )
        self._check_activations()
        if self.layers > _ADVISED_LAYERS:
            warnings.warn(
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
            object.__setattr__(self, "cell", OwnNetwork(**self.cell))
        elif isinstance(self.cell, keras.layers.Layer):
            object.__setattr__(self, "cell", OwnNetwork.of(self.cell))
        if isinstance(self.cell, OwnNetwork) or callable(self.cell):
            return
        if self.cell not in CELLS:
            raise ParameterError(
                f"cell={self.cell!r} is unknown; expected one of {sorted(CELLS)}, or a Keras cell of your own"
            )
        for name in ("activation", "recurrent_activation", "recurrent_dropout"):
            if getattr(self, name) and name not in SETTINGS[self.cell]:
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
            for width in value if isinstance(value, tuple) else (value,):
                if not Whole(low, high).allows(width):
                    check(name, value, Whole(low, high))
            plain = tuple(map(int, value)) if isinstance(value, tuple) else int(value)
            object.__setattr__(self, name, plain)  # numpy's numbers are no JSON
        if isinstance(self.units, tuple) and len(self.units) != self.layers:
            raise ParameterError(
                f"units={self.units!r}; expected one width for each of layers={self.layers}, or a single one"
            )
        if self.cell == "depth_gated" and len(set(self.widths)) > 1:
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
                function = keras.activations.get(value)
            except ValueError:
                function = None
            if not isinstance(value, str) or function is None:
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

    def resolved(self, shape: Any) -> NetworkConfig:
        """Return the configuration with a builder's network in place of the builder, called with a shape."""
        if isinstance(self.cell, (str, OwnNetwork)):
            return self
        return dataclasses.replace(self, cell=resolved(self.cell, shape))


def as_config(network: Any) -> NetworkConfig:
    """Return the configuration, or the default one with a user's own network as its recurrent part."""
    if network is None or isinstance(network, NetworkConfig):
        return network or NetworkConfig()
    return NetworkConfig(cell=network)
