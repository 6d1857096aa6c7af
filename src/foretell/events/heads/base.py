"""What the networks of all heads share: they read a history event by event and are judged at each event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, Self, TypeAlias

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.events.distribution import NextGap
from foretell.events.history import Histories, on_device
from foretell.nn.backend import Array, Layer, Model, Variable, Weights
from foretell.nn.networks import RecurrentNetwork, build_network
from foretell.nn.samplers import Bucket
from foretell.nn.settings import EVENTS, NetworkConfig

Settings: TypeAlias = Mapping[str, Any]
"""What a head is built with, by the constructor's names."""


class GapData(NamedTuple):
    """Training data on the device, one row per event."""

    features: Array
    state: Array  # (n_events, 2): what the head starts from, see `HistoryNetwork.state`
    lower: Array
    upper: Array
    last: Array
    remaining: Array

    def take(self, rows: npt.ArrayLike) -> GapData:
        """Return some rows."""
        return GapData(*(part[rows] for part in self))


def count_and_age(history: Histories) -> FloatArray:
    """Return repeats so far and time since the first event, shape (n_events, 2)."""
    return np.stack([history.count, history.age], axis=-1)


def gap_data(history: Histories, features: Array, state: FloatArray | None = None) -> GapData:
    """Collect what the loss reads; the state is by default that of the mixture, count and age."""
    return GapData(
        features,
        on_device(count_and_age(history) if state is None else state),
        on_device(history.lower),
        on_device(history.upper),
        jnp.asarray(history.last),
        on_device(history.remaining),
    )


class HistoryNetwork(ABC):
    """A recurrent network over events, and a head that says of each event what the next gap will be.

    Parameters
    ----------
    n_raw : int
        Outputs of the network, which start at zero.
    layer : keras.layers.Layer
        The head: from [outputs, state] to the packed distribution. Its name is ``anchor``, its weights start
        where `start` says.
    censored : bool
        Learn from open gaps, too.

    Attributes
    ----------
    kind : str
        Name of the head.
    paced : bool
        Read the features of the customer's gaps so far besides those of the step.
    packed_width : int
        Length of what the head says of an event.
    """

    kind: str
    paced: bool = True
    packed_width: int

    def __init__(
        self, config: NetworkConfig, n_features: int, n_raw: int, layer: Layer, *, censored: bool, seed: int
    ) -> None:
        self.config, self.n_features, self.censored = EVENTS.complete_network(config), n_features, censored
        self.network: RecurrentNetwork = build_network(self.config, n_features, 2, n_raw, layer, seed)

    @classmethod
    def from_settings(cls, config: NetworkConfig, n_features: int, settings: Settings, seed: int = 0) -> Self:
        """Build a network from what `settings_by_name` returns."""
        return cls(config, n_features, **settings, seed=seed)

    @abstractmethod
    def settings_by_name(self) -> dict[str, Hashable]:
        """Return what the head was built with, as JSON can hold it."""

    @abstractmethod
    def state(self, history: Histories) -> FloatArray:
        """Return what the head starts from at each event, shape (n_events, 2); zeros for a newcomer."""

    @abstractmethod
    def start(self, history: Histories) -> Sequence[npt.ArrayLike]:
        """Return the head's weights, fitted without the network."""

    @abstractmethod
    def terms(self, packed: Array, rows: GapData) -> Array:
        """Return the log-likelihood of each event's next gap, shape (n_events,)."""

    @abstractmethod
    def next_gap(self, packed: FloatArray, residuals: FloatArray) -> NextGap:
        """Return the ensemble's distribution from the members' packed ones, shape (n_members, n, width)."""

    # Two networks of one build compute the same function of their weights, which are handed in: compiled
    # programs, which hash their static arguments, then serve both.
    def _build(self) -> tuple[Hashable, ...]:
        settings = self.settings_by_name().values()
        return (type(self), self.config.program, self.n_features, self.censored, *settings)

    # Trained weights stand beside the network: a copy is built anew from what it was built with.
    def __reduce__(self) -> tuple[object, ...]:
        return type(self).from_settings, (self.config, self.n_features, self.settings_by_name())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HistoryNetwork) and self._build() == other._build()

    def __hash__(self) -> int:
        return hash(self._build())

    @property
    def whole(self) -> Model:
        """The Keras model of whole sequences: ``[features, state] → packed distribution``."""
        return self.network.whole

    @property
    def variables(self) -> list[Variable]:
        """Trainable variables."""
        return self.network.variables

    @property
    def memory_widths(self) -> list[int]:
        """Lengths of the parts of the recurrent memory."""
        return self.network.memory_widths

    @property
    def anchor_names(self) -> list[str]:
        """Names of the weights that belong to the head."""
        return [v.name for v in self.variables if v.path.startswith("anchor/")]

    def initial(self, start: Sequence[npt.ArrayLike]) -> list[npt.NDArray[np.float32]]:
        """Return initial weights that start where the head alone would."""
        heads = iter(start)
        return [
            np.asarray(next(heads) if v.path.startswith("anchor/") else v.value, dtype=np.float32)
            for v in self.variables
        ]

    def over_runs(
        self,
        weights: Weights,
        data: GapData,
        runs: Sequence[Bucket],
        lengths: tuple[int, ...],
        noise: Array | None = None,
    ) -> tuple[Array, GapData, Array]:
        """Return what the head says of each event of some runs, their data, and which of them count.

        Only the recurrent layers run bucket by bucket; the dense layers take all events as one.
        """
        parts = []
        for bucket, length in zip(runs, lengths, strict=True):
            places = jnp.minimum(bucket.starts[:, None] + jnp.arange(length), data.last.shape[0] - 1)
            valid = jnp.arange(length) < bucket.lengths[:, None]
            states = self.network.sequence(weights, data.features[places], noise)
            parts.append((places.ravel(), valid.ravel(), states.reshape(places.size, states.shape[-1])))
        places, valid, states = (jnp.concatenate(part) for part in zip(*parts, strict=True))
        rows = data.take(places)
        packed = self.network.output(weights, states, rows.features, rows.state, noise)
        return packed, rows, valid if self.censored else valid & ~rows.last

    def loss(
        self,
        weights: Weights,
        data: GapData,
        runs: Sequence[Bucket],
        lengths: tuple[int, ...],
        noise: Array | None = None,
    ) -> Array:
        """Return the summed negative log-likelihood of runs of events; dropout draws from the noise."""
        packed, rows, counted = self.over_runs(weights, data, runs, lengths, noise)
        return -jnp.sum(jnp.where(counted, self.terms(packed, rows), 0.0))

    def step(
        self, weights: Weights, features: Array, state: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """Return the packed distribution after one event, and the recurrent memory."""
        return self.network.step(weights, features, state, memory)
