"""What the networks of all heads share: they read a history event by event and are judged at each event."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.events.distribution import NextGap
from foretell.events.history import Histories, on_device
from foretell.nn.arrays import namespace_for, to_device
from foretell.nn.backend import Array, Layer, Model, Weight, Weights, jnp, side_by_side
from foretell.nn.plain import PlainNetwork
from foretell.nn.samplers import Bucket
from foretell.nn.settings import EVENTS, NetworkConfig, check_forward

if TYPE_CHECKING:
    from foretell.nn.networks import RecurrentNetwork

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
        to_device(history.last),
        on_device(history.remaining),
    )


class HistoryNetwork(ABC):
    """A recurrent network over events, and a head that says of each event what the next gap will be.

    Parameters
    ----------
    n_raw : int
        Outputs of the network, which start at zero.
    head : list of (str, shape)
        The head's weights, which start where `start` says.
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
        self,
        config: NetworkConfig,
        n_features: int,
        n_raw: int,
        head: Sequence[tuple[str, tuple[int, ...]]],
        *,
        censored: bool,
        seed: int,
    ) -> None:
        self.config, self.n_features, self.censored = EVENTS.complete_network(config), n_features, censored
        check_forward(self.config)
        self._n_raw, self._seed = n_raw, seed
        self._plain = PlainNetwork.of(self.config, n_features, n_raw, head)
        if self._plain is None:
            self.network  # noqa: B018  # builds it, so that a cell that does not fit is refused at once

    @classmethod
    def from_settings(cls, config: NetworkConfig, n_features: int, settings: Settings, seed: int = 0) -> Self:
        """Build a network from what `settings_by_name` returns."""
        return cls(config, n_features, **settings, seed=seed)

    def namespace_for(self, customers: int) -> Any:
        """Return the module that answers for so many customers: numpy for few, where a step is a formula."""
        return jnp if self._plain is None else namespace_for(customers)

    @functools.cached_property
    def network(self) -> RecurrentNetwork:
        """The network as models of Keras."""
        from foretell.nn.networks import build_network  # noqa: PLC0415  # small requests do without Keras

        def build() -> RecurrentNetwork:
            return build_network(self.config, self.n_features, 2, self._n_raw, self.layer(), self._seed)

        # In a thread of its own: where a program is being traced in this one, weights would be traced, too.
        return side_by_side([build])[0]

    @abstractmethod
    def layer(self) -> Layer:
        """Return the head as a layer of Keras: from [outputs, state] to the packed distribution."""

    @abstractmethod
    def says(self, raw: Array, state: Array, weights: Sequence[Array]) -> Array:
        """Return the packed distribution: numpy's arrays, or JAX's."""

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
    def variables(self) -> Sequence[Weight]:
        """Trainable variables: names and shapes."""
        return self._plain.weights if self._plain else self.network.variables

    @property
    def memory_widths(self) -> list[int]:
        """Lengths of the parts of the recurrent memory."""
        return self._plain.memory_widths if self._plain else self.network.memory_widths

    @property
    def anchor_names(self) -> list[str]:
        """Names of the weights that belong to the head."""
        return [v.name for v in self.variables if v.path.startswith("anchor/")]

    def initial(self, start: Sequence[npt.ArrayLike]) -> list[npt.NDArray[np.float32]]:
        """Return initial weights that start where the head alone would."""
        heads = iter(start)
        values = self._plain.initial(self._seed) if self._plain else [v.value for v in self.network.variables]
        return [
            np.asarray(next(heads) if v.path.startswith("anchor/") else value, dtype=np.float32)
            for v, value in zip(self.variables, values, strict=True)
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
            states = self._trained.sequence(weights, data.features[places], noise)
            parts.append((places.ravel(), valid.ravel(), states.reshape(places.size, states.shape[-1])))
        places, valid, states = (jnp.concatenate(part) for part in zip(*parts, strict=True))
        rows = data.take(places)
        packed = self._output(weights, states, rows, noise)
        return packed, rows, valid if self.censored else valid & ~rows.last

    @property
    def longest(self) -> int | None:
        """Events that it can read as one sequence, where there is a limit."""
        return self._trained.longest

    @property
    def _trained(self) -> RecurrentNetwork | PlainNetwork:
        """Whose layers run over sequences."""
        return self._plain if self._plain and self._plain.trains else self.network

    def _output(self, weights: Weights, states: Array, rows: GapData, noise: Array | None) -> Array:
        if isinstance(self._trained, PlainNetwork):
            raw, head = self._trained.corrections(weights, states, rows.features)
            return self.says(raw, rows.state, head)
        return self._trained.output(weights, states, rows.features, rows.state, noise)

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
        """Return the packed distribution after one event, and the recurrent memory.

        Of numpy's arrays or of JAX's, but where the user's own cell or network asks for Keras.
        """
        if self._plain is None:
            return self.network.step(weights, features, state, memory)
        raw, head, after = self._plain.step(weights, features, memory)
        return self.says(raw, state, head), after
