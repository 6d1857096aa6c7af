"""What a series network looks like: patches of a window through recurrent layers, and linear maps of it."""

from __future__ import annotations

import dataclasses

import numpy as np

from foretell.errors import ParameterError
from foretell.nn.backend import Model, Tensor, keras, make_model
from foretell.nn.cells import free_memory, over_sequences, state_sizes, state_width
from foretell.nn.custom import OwnNetwork, check_variables
from foretell.nn.layers import Initializers, make_dropout
from foretell.nn.networks import dense_layers, make_cell, make_recurrent
from foretell.nn.settings import NetworkConfig
from foretell.series.quantiles import QUANTILES


@dataclasses.dataclass(frozen=True)
class Shape:
    """What goes into the network and what comes out.

    Attributes
    ----------
    lookback, patch, horizon, season : int
        In steps; the lookback is a whole number of patches.
    n_targets, n_past, n_known, n_static : int
        Columns of a panel.
    normalise : str
    log : bool
        See `foretell.series.windows.WindowConfig`.
    variables : {"shared", "joined", "branches"}
    method : {"direct", "recursive", "seq2seq"}
        See `foretell.SeriesForecaster`.
    maps : int
        Linear maps of the window among which its context chooses.
    """

    lookback: int
    patch: int
    horizon: int
    season: int
    n_targets: int
    n_past: int
    n_known: int
    n_static: int
    normalise: str
    log: bool
    variables: str
    method: str
    maps: int = 1

    @property
    def channels(self) -> int:
        """Targets that one pass through the network forecasts: one, where they share its weights."""
        return 1 if self.variables == "shared" else self.n_targets

    @property
    def own(self) -> int:
        """Columns that tell the targets apart, where they share the network's weights."""
        return self.n_targets if self.variables == "shared" and self.n_targets > 1 else 0

    @property
    def steps(self) -> int:
        """Steps ahead of one pass through the network."""
        return 1 if self.method == "recursive" else self.horizon

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of what the network is given; those without a column are left out."""
        shapes = {
            "values": (self.lookback, self.channels),
            "mask": (self.lookback, self.channels),
            "past": (self.lookback, self.n_past),
            "so_far": (self.lookback, self.n_known),
            "ahead": (self.steps, self.n_known),
            "static": (self.n_static + self.own,),
            "anchor": (self.steps, self.channels),
        }
        return {name: shape for name, shape in shapes.items() if shape[-1]}

    @property
    def window(self) -> list[str]:
        """Names of the inputs that lie on the time axis of a window."""
        return [name for name in ("values", "mask", "past", "so_far") if name in self.inputs]

    @property
    def n_columns(self) -> int:
        """Columns of a window: values, which of them are observed, past and known covariates."""
        return sum(self.inputs[name][-1] for name in self.window)

    @property
    def outputs(self) -> tuple[int, int, int]:
        """What the network gives of a window: steps, channels, quantiles."""
        return self.steps, self.channels, len(QUANTILES)

    @property
    def n_outputs(self) -> int:
        """How many numbers that is."""
        return self.steps * self.channels * len(QUANTILES)


def build_series_model(config: NetworkConfig | OwnNetwork, shape: Shape, seed: int) -> Model:
    """Build the network of normalised windows; its outputs start at zero, so that it starts at the anchor.

    Parameters
    ----------
    config : NetworkConfig or OwnNetwork
    shape : Shape
    seed : int

    Returns
    -------
    keras.Model
        ``[values (B, L, C), mask (B, L, C), past (B, L, P), so_far (B, L, K), ahead (B, h, K),
        static (B, S), anchor (B, h, C)] → quantiles (B, h, C, Q)``; inputs without a column are left out.
    """
    layers = keras.layers
    if isinstance(config, OwnNetwork):
        return build_own_model(config, shape, seed)
    init = Initializers(seed)
    c, h = shape.channels, shape.steps
    given = {name: keras.Input(width, name=name) for name, width in shape.inputs.items()}

    def flat(*names: str) -> list[Tensor]:
        return [layers.Flatten(name=f"flat_{name}")(given[name]) for name in names if name in given]

    def join(parts: list[Tensor], name: str) -> Tensor:
        joined: Tensor = layers.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]
        return joined

    read = [
        last
        for k, branch in enumerate(_branches(given, shape))
        for last in _encode(branch, config, shape, init, k)
    ]
    context = join(read + flat("anchor", "ahead", "static"), "context")
    drop = make_dropout(config.dropout, seed, "dropout") if config.dropout else None
    context = drop(context) if drop else context
    for layer in dense_layers(config, init):
        context = layer(context)
    if shape.method == "seq2seq":
        correction = _decode(context, given, config, shape, init)
    else:
        n_out = h * c * len(QUANTILES)
        out = layers.Dense(n_out, config.output_activation, kernel_initializer="zeros", name="correction")
        correction = layers.Reshape((h, c, len(QUANTILES)), name="corrections")(out(context))
    window = join([layers.Flatten()(given[n]) for n in ("values", "past") if n in given], "linear")
    linear = [_linear_maps(window, context, shape.maps, h * c, init)]
    if "ahead" in given:
        known = layers.Dense(c, kernel_initializer="zeros", use_bias=False, name="known_skip")
        linear.append(known(given["ahead"]))
    linear.append(given["anchor"])
    total = layers.Add(name="total")([correction, *(layers.Reshape((h, c, 1))(part) for part in linear)])
    return make_model(list(given.values()), total, "series")


def _linear_maps(window: Tensor, context: Tensor, n_maps: int, width: int, init: Initializers) -> Tensor:
    """Map a window linearly to all steps, by a mixture of maps whose shares its context chooses."""
    layers = keras.layers
    maps: Tensor = layers.Dense(n_maps * width, kernel_initializer="zeros", use_bias=False, name="skip")(
        window
    )
    if n_maps == 1:
        return maps
    shares = layers.Dense(n_maps, "softmax", kernel_initializer=init("kernel"), name="shares")(context)
    mixed: Tensor = layers.Dot(axes=1, name="skips")([shares, layers.Reshape((n_maps, width))(maps)])
    return mixed


def _branches(given: dict[str, Tensor], shape: Shape) -> list[list[Tensor]]:
    """Return the histories that each recurrent branch reads."""
    known = [given["so_far"]] if "so_far" in given else []
    if shape.variables != "branches":
        return [[given[name] for name in ("values", "mask", "past") if name in given] + known]
    targets = [
        [given["values"][..., k : k + 1], given["mask"][..., k : k + 1]] for k in range(shape.n_targets)
    ]
    drivers = [[given["past"][..., k : k + 1]] for k in range(shape.n_past)]
    return [branch + known for branch in targets + drivers]


def _encode(
    parts: list[Tensor], config: NetworkConfig, shape: Shape, init: Initializers, branch: int
) -> list[Tensor]:
    """Read a window patch by patch; return the last state of the top layer, in one or both directions."""
    layers = keras.layers
    joined = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    patches = layers.Reshape((shape.lookback // shape.patch, -1))(joined)

    def last(sequence: Tensor, name: str) -> Tensor:
        recurrent = make_recurrent(config, patches.shape[-1], init, f"{name}_{branch}")
        return (recurrent.over(sequence) if recurrent else sequence)[:, -1]

    read = [last(patches, "recurrent")]
    if config.bidirectional:
        read.append(last(keras.ops.flip(patches, axis=1), "backward"))
    return read


def _decode(
    context: Tensor, given: dict[str, Tensor], config: NetworkConfig, shape: Shape, init: Initializers
) -> Tensor:
    """Write the horizon patch by patch, each with what is known ahead of it; return the corrections."""
    layers = keras.layers
    c, h, n_quantiles = shape.channels, shape.steps, len(QUANTILES)
    blocks = -(-h // shape.patch)
    ahead = [given[name] for name in ("anchor", "ahead") if name in given]
    joined = layers.Concatenate()(ahead) if len(ahead) > 1 else ahead[0]
    padded = layers.ZeroPadding1D((0, blocks * shape.patch - h))(joined)
    steps = layers.Reshape((blocks, -1))(padded)
    read = layers.Concatenate()([steps, layers.RepeatVector(blocks)(context)])
    cell = make_cell(config, 0, init)
    memory = []
    for k, width in enumerate(state_sizes(cell)):
        if k < free_memory(cell):
            carry = layers.Dense(width, "tanh", kernel_initializer=init("kernel"), name=f"carry_{k}")
            memory.append(carry(context))
        else:
            memory.append(keras.ops.zeros_like(context[:, :1]) * np.zeros((1, width), dtype=np.float32))
    states = over_sequences(cell, "decoder")(read, initial_state=memory)[..., : state_width(cell)]
    n_out = shape.patch * c * n_quantiles
    out = layers.Dense(n_out, config.output_activation, kernel_initializer="zeros", name="correction")(states)
    corrections: Tensor = layers.Reshape((blocks * shape.patch, c, n_quantiles))(out)
    return corrections[:, :h]


def build_own_model(own: OwnNetwork, shape: Shape, seed: int) -> Model:
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
    output = model(one if not further else read if isinstance(model.input, dict) else [one, *further])
    _check_output(output, shape)
    corrections = layers.Reshape(shape.outputs, name="corrections")(output)
    anchor = layers.Reshape((shape.steps, shape.channels, 1))(given["anchor"])
    return make_model(list(given.values()), layers.Add(name="total")([corrections, anchor]), "series")


def _read(model: Model, given: dict[str, Tensor], shape: Shape) -> dict[str, Tensor]:
    """Return what the model reads, by the names and in the order of its inputs."""
    asked = {tensor.name: tuple(tensor.shape) for tensor in model.inputs}
    if len(asked) == 1 and not set(asked) <= set(given):
        window = keras.layers.Concatenate(name="window")([given[name] for name in shape.window])
        given = dict.fromkeys(asked, window)
    for name, size in asked.items():
        if name not in given:
            raise ParameterError(
                f"the network reads an input {name!r}; expected a single window, or names among "
                f"{sorted(given)}"
            )
        expected = tuple(given[name].shape)
        if len(size) != len(expected) or any(
            a not in {None, b} for a, b in zip(size[1:], expected[1:], strict=True)
        ):
            raise ParameterError(
                f"the network's input {name!r} has the shape {size}; expected {expected}: build it by a "
                "function of the shape, with keras.Input((shape.lookback, shape.n_columns)) or "
                "keras.Input(shape.inputs[name], name=name)"
            )
    return {name: given[name] for name in asked}


def _check_output(output: Tensor, shape: Shape) -> None:
    several = isinstance(output, (list, tuple, dict))
    if several or int(np.prod(output.shape[1:])) != shape.n_outputs:
        shown = f"{len(output)} outputs" if several else str(tuple(output.shape))
        raise ParameterError(
            f"the network gives {shown}; expected {(None, *shape.outputs)}, which are steps, channels and "
            f"quantiles, or {(None, shape.n_outputs)}: end it with keras.layers.Dense(shape.n_outputs)"
        )
