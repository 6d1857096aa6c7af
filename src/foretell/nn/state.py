"""Networks and the trained weights of an ensemble's members as plain values, or as Keras keeps them."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from foretell.core.contracts import Arrays, Described
from foretell.errors import DataError
from foretell.nn.backend import Model, Weight, Weights, keras
from foretell.nn.custom import OwnNetwork
from foretell.nn.settings import NetworkConfig

Shape = tuple[int, ...]

ARCHITECTURE = "architecture.json"


def network_state(given: object, fitted: NetworkConfig | OwnNetwork) -> Described | None:
    """Return a network as it was given to a forecaster; what is no plain value, by what became of it."""
    if given is None:
        return None
    plain = given if isinstance(given, NetworkConfig) and not callable(given.cell) else fitted
    return dataclasses.asdict(plain)


def network_of_state(described: Described | None) -> NetworkConfig | OwnNetwork | None:
    """Return the network that `network_state` described."""
    if described is None:
        return None
    return OwnNetwork(**described) if "architecture" in described else NetworkConfig(**described)


def member_arrays(members: Sequence[Weights]) -> Arrays:
    """Return the weights of each member by the names ``member0.0``, ``member0.1`` …."""
    return {
        f"member{m}.{i}": np.asarray(weight)
        for m, weights in enumerate(members)
        for i, weight in enumerate(weights)
    }


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


class Place(Protocol):
    """A directory, or the files of one version of a model."""

    def __truediv__(self, name: str, /) -> Path: ...


def weights_name(member: int) -> str:
    """Return the name of a member's file of weights."""
    return f"member{member}.weights.h5"


def write_members(model: Model, variables: Sequence[Weight], members: Sequence[Weights], place: Path) -> None:
    """Write the architecture and each member's weights.

    Parameters
    ----------
    model : keras.Model
    variables : list
        The model's trainable variables, known by their paths, in the order of the members' weights.
    members : sequence
    place : Path
        The directory.
    """
    place_of = {variable.path: i for i, variable in enumerate(variables)}
    order = [place_of[variable.path] for variable in model.trainable_variables]
    text = model.to_json(indent=1)
    (place / ARCHITECTURE).write_text(text, encoding="utf-8")
    copy = keras.models.model_from_json(text)
    for m, weights in enumerate(members):
        for variable, i in zip(copy.trainable_variables, order, strict=True):
            variable.assign(weights[i])
        with warnings.catch_warnings():
            # Keras' variables do not know numpy 2's argument "copy"; numpy says so and goes on.
            warnings.filterwarnings(
                "ignore", "__array__ implementation doesn't accept a copy", DeprecationWarning
            )
            copy.save_weights(place / weights_name(m))


def read_member(place: Place, member: int) -> Model:
    """Return a member as a Keras model, built from its architecture, with its weights."""
    model: Model = keras.models.model_from_json((place / ARCHITECTURE).read_text(encoding="utf-8"))
    model.load_weights(place / weights_name(member))
    return model


def read_weights(place: Place, n_members: int, order: Sequence[int]) -> Arrays:
    """Return the members' weights by the names of arrays; the first formats kept them nowhere else."""
    return {
        f"member{m}.{i}": np.asarray(variable.value)
        for m in range(n_members)
        for i, variable in zip(order, read_member(place, m).trainable_variables, strict=True)
    }
