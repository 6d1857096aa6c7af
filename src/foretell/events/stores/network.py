"""Many gap networks as one: every customer carries the number of the model that answers for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.data.log import EventLog
from foretell.events.distribution import NextGap
from foretell.events.heads.base import HistoryNetwork
from foretell.events.history import Histories
from foretell.events.states import GapModel, States, encode
from foretell.nn.mixture import Array
from foretell.nn.settings import NetworkConfig

IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class _Widths:
    """What the encoder asks of a network's build."""

    memory_widths: list[int]
    variables: list[Any]


class StoreNetwork:
    """A gap network whose weights have a leading axis of models; the last part of the memory picks one.

    It steps in place of a `HistoryNetwork`, so that forecasts and simulations of all stores run together.

    Parameters
    ----------
    network : HistoryNetwork
        The build that all models share.
    """

    def __init__(self, network: HistoryNetwork) -> None:
        self.inner = network

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreNetwork) and self.inner == other.inner

    def __hash__(self) -> int:
        return hash((StoreNetwork, self.inner))

    @property
    def config(self) -> NetworkConfig:
        """The shape of each model."""
        return self.inner.config

    @property
    def whole(self) -> Any:
        """The Keras model that all models share the build of."""
        return self.inner.whole

    @property
    def packed_width(self) -> int:
        """Length of the packed mixture."""
        return self.inner.packed_width

    @property
    def kind(self) -> str:
        """Name of the head."""
        return self.inner.kind

    @property
    def paced(self) -> bool:
        """Whether the models read the features of the customer's pace."""
        return self.inner.paced

    def state(self, history: Histories) -> npt.NDArray[np.float64]:
        """Return what the head starts from at each event."""
        return self.inner.state(history)

    def next_gap(self, packed: npt.NDArray[np.float64], residuals: npt.NDArray[np.float64]) -> NextGap:
        """Return the ensemble's distributions."""
        return self.inner.next_gap(packed, residuals)

    @property
    def network(self) -> _Widths:
        """Widths of the memory: of the recurrent layers, and the number of the model."""
        return _Widths([*self.inner.network.memory_widths, 1], self.inner.network.variables)

    def step(
        self, weights: list[Array], features: Array, state: Array, memory: Sequence[Array]
    ) -> tuple[Array, list[Array]]:
        """Return the packed mixture after one event, and the memory; each row by its own model."""
        *inner, number = memory
        own = [jnp.asarray(weight)[number[:, 0].astype(jnp.int32)] for weight in weights]

        def one(weights: Any, features: Array, state: Array, inner: Any) -> Any:
            output, after = self.inner.step(
                weights, features[None], state[None], [part[None] for part in inner]
            )
            return output[0], [part[0] for part in after]

        output, after = jax.vmap(one)(own, features, state, inner)
        return output, [*after, number]


def encode_stores(model: GapModel, log: EventLog, numbers: IntArray) -> States:
    """Run every customer's history through its model.

    Parameters
    ----------
    model : GapModel
        Of a `StoreNetwork`.
    log : EventLog
    numbers : int64 array, shape (n_customers,)
        The model of each customer.
    """
    n, n_members = log.n_customers, len(model.members)
    memory = [np.zeros((n_members, n, w), dtype=np.float32) for w in model.network.network.memory_widths]
    memory[-1][:] = numbers[:, None]
    zeros = np.zeros(n)
    packed = np.zeros((n_members, n, model.network.packed_width), dtype=np.float32)
    blank = States(tuple(memory), packed, log.last, zeros, zeros, np.zeros((n, log.marks.shape[1])))
    return encode(model, log, blank, np.zeros(n, dtype=np.int64))
