"""Members of an ensemble as Keras keeps models: architecture as JSON, weights as HDF5."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from foretell.nn.backend import keras

Weights = Sequence[npt.NDArray[np.float32]]

ARCHITECTURE = "architecture.json"


def weights_name(member: int) -> str:
    """Return the name of a member's file of weights."""
    return f"member{member}.weights.h5"


def write_members(model: Any, variables: list[Any], members: Sequence[Weights], place: Path) -> None:
    """Write the architecture and each member's weights.

    Parameters
    ----------
    model : keras.Model
    variables : list of keras.Variable
        The model's trainable variables in the order of the members' weights.
    members : sequence
    place : Path
        The directory.

    """
    place_of = {id(variable): i for i, variable in enumerate(variables)}
    order = [place_of[id(variable)] for variable in model.trainable_variables]
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


def read_member(place: Any, member: int) -> Any:
    """Return a member as a Keras model, built from its architecture, with its weights."""
    model = keras.models.model_from_json((place / ARCHITECTURE).read_text(encoding="utf-8"))
    model.load_weights(place / weights_name(member))
    return model


def read_weights(place: Any, n_members: int, order: Sequence[int]) -> dict[str, npt.NDArray[np.float32]]:
    """Return the members' weights by the names of arrays; the first formats kept them nowhere else."""
    return {
        f"member{m}.{i}": np.asarray(variable.value)
        for m in range(n_members)
        for i, variable in zip(order, read_member(place, m).trainable_variables, strict=True)
    }
