"""Networks and the trained weights of an ensemble's members as plain values, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foretell.core.state import Arrays, Described
from foretell.errors import DataError
from foretell.nn.custom import OwnNetwork
from foretell.nn.settings import NetworkConfig

Weights = Sequence[npt.NDArray[np.float32]]
Shape = tuple[int, ...]


def network_state(given: object, fitted: NetworkConfig | OwnNetwork) -> Described | None:
    """Return a network as it was given to a forecaster; what is no plain value, by what became of it."""
    if given is None:
        return None
    plain = given if isinstance(given, NetworkConfig) and not callable(given.cell) else fitted
    return dataclasses.asdict(plain)


def network_of_state(described: Described | None) -> Any:
    """Return the network that `network_state` described."""
    if described is None:
        return None
    return OwnNetwork(**described) if "architecture" in described else NetworkConfig(**described)


def member_arrays(members: Sequence[Weights]) -> Arrays:
    """Return the weights of each member by the names ``member0.0``, ``member0.1`` …."""
    return {f"member{m}.{i}": weight for m, weights in enumerate(members) for i, weight in enumerate(weights)}


def members_of_arrays(
    arrays: Arrays, n_members: int, shapes: Sequence[Shape]
) -> tuple[list[npt.NDArray[np.float32]], ...]:
    """Return the weights that `member_arrays` named.

    Parameters
    ----------
    arrays : mapping
    n_members : int
    shapes : sequence of tuple
        Of the weights, as the network wants them.

    Raises
    ------
    DataError
        They are not of these shapes, or not finite.
    """
    for m in range(n_members):
        for i, shape in enumerate(shapes):
            weight = arrays[f"member{m}.{i}"]
            if weight.dtype != np.float32 or weight.shape != shape:
                raise DataError(
                    f"weight {i} of member {m} has shape {weight.shape} of {weight.dtype}; expected {shape}"
                )
            if not np.isfinite(weight).all():
                raise DataError(f"weight {i} of member {m} holds numbers that are not finite")
    return tuple([arrays[f"member{m}.{i}"] for i in range(len(shapes))] for m in range(n_members))
