"""A user's own Keras model in the place of the series network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.errors import ParameterError
from foretell.nn.backend import keras
from foretell.nn.custom import OwnNetwork, check_variables

if TYPE_CHECKING:  # the series network builds its model here
    from foretell.series.network import Shape


def build_own_model(own: OwnNetwork, shape: Shape, seed: int) -> Any:
    """Return a user's model with the inputs and outputs of ours: what it gives is added to the anchor.

    Parameters
    ----------
    own : OwnNetwork
        Reads one window, ``(batch, lookback, columns)``, or inputs by the names of ``shape.inputs``; gives
        ``(batch, steps, channels, quantiles)``, or as many numbers in another shape.
    shape : Shape
    seed : int

    Raises
    ------
    ParameterError
        It is no model, or its inputs or outputs have other shapes.
    """
    layers = keras.layers
    model = own.build(seed)
    if not isinstance(model, keras.Model):
        raise ParameterError(
            f"the network is a {type(model).__name__}; expected a keras.Model. A cell goes into "
            "NetworkConfig(cell=…)"
        )
    check_variables(model)
    given = {name: keras.Input(width, name=name) for name, width in shape.inputs.items()}
    read = _read(model, given, shape)
    # As a structure that the model knows: a tensor, a dictionary or a list.
    one, *further = read.values()
    found = model(one if not further else read if isinstance(model.input, dict) else [one, *further])
    _check_output(found, shape)
    corrections = layers.Reshape(shape.outputs, name="corrections")(found)
    anchor = layers.Reshape((shape.steps, shape.channels, 1))(given["anchor"])
    return keras.Model(list(given.values()), layers.Add(name="total")([corrections, anchor]), name="series")


def _read(model: Any, given: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """Return what the model reads, by the names and in the order of its inputs."""
    asked = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    if len(asked) == 1 and not set(asked) <= set(given):
        window = keras.layers.Concatenate(name="window")([given[name] for name in shape.window])
        given = dict.fromkeys(asked, window)
    for name, found in asked.items():
        if name not in given:
            raise ParameterError(
                f"the network reads an input {name!r}; expected a single window, or names among "
                f"{sorted(given)}"
            )
        expected = tuple(given[name].shape)
        if len(found) != len(expected) or any(
            a not in {None, b} for a, b in zip(found[1:], expected[1:], strict=True)
        ):
            raise ParameterError(
                f"the network's input {name!r} has the shape {found}; expected {expected}: build it by a "
                "function of the shape, with keras.Input((shape.lookback, shape.n_columns)) or "
                "keras.Input(shape.inputs[name], name=name)"
            )
    return {name: given[name] for name in asked}


def _check_output(found: Any, shape: Shape) -> None:
    several = isinstance(found, (list, tuple, dict))
    if several or int(np.prod(found.shape[1:])) != shape.n_outputs:
        shown = f"{len(found)} outputs" if several else str(tuple(found.shape))
        raise ParameterError(
            f"the network gives {shown}; expected {(None, *shape.outputs)}, which are steps, channels and "
            f"quantiles, or {(None, shape.n_outputs)}: end it with keras.layers.Dense(shape.n_outputs)"
        )
