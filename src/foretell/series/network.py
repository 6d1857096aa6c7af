"""The series network: patches of a window through residual recurrent layers, a linear skip, and an anchor."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from foretell.nn.backend import keras
from foretell.nn.cells import free_memory, over_sequences, state_sizes, state_width
from foretell.nn.custom import OwnNetwork, generators
from foretell.nn.layers import Initializers, make_dropout
from foretell.nn.networks import dense_layers, make_cell, make_recurrent
from foretell.nn.settings import SERIES, NetworkConfig
from foretell.series.custom import build_own_model
from foretell.series.scaling import last_observed, mean_change, window_scale
from foretell.series.windows import Batch, Flat, Windows, gather

Array = Any

QUANTILES = (0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975)
_MIDDLE = QUANTILES.index(0.5)
# A window that was constant has no scale of its own: what follows counts no more than this many scales.
_FARTHEST = 50.0
# A window that hardly changes from season to season counts as if it changed by so many scales.
_LEAST_CHANGE = 0.05
# Of its weight: 1 is the loss that MASE counts, 0 the loss on the network's own scale.
_POWER = 0.75
# Seasons back in which the anchor looks for a value that was observed.
_MOST_SEASONS = 4


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


class SeriesNetwork:
    """A Keras model of normalised windows, and what surrounds it: gathering, normalisation, anchor, loss.

    Parameters
    ----------
    config : NetworkConfig or OwnNetwork
    shape : Shape
    seed : int
    loss : str, optional
        By which the middle quantile, the point forecast, is trained, see `foretell.TrainConfig`.
    """

    def __init__(
        self, config: NetworkConfig | OwnNetwork, shape: Shape, seed: int = 0, loss: str | None = None
    ) -> None:
        complete = config if isinstance(config, OwnNetwork) else SERIES.complete_network(config)
        self.config, self.shape, self.point_loss = complete, shape, loss
        self.model = build_series_model(complete, shape, seed)

    # Trained weights stand beside the network: a copy is built anew from what it was built with.
    def __reduce__(self) -> tuple[Any, ...]:
        return SeriesNetwork, (self.config, self.shape, 0, self.point_loss)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SeriesNetwork):
            return NotImplemented
        return self._build() == other._build()

    def __hash__(self) -> int:
        return hash(self._build())

    def _build(self) -> tuple[object, ...]:
        return getattr(self.config, "program", self.config), self.shape, self.point_loss

    @property
    def whole(self) -> Any:
        """The Keras model."""
        return self.model

    @property
    def variables(self) -> list[Any]:
        """Trainable variables."""
        return list(self.model.trainable_variables)

    def initial(self) -> list[np.ndarray[Any, Any]]:
        """Return the weights before training, which forecast the anchor."""
        return [np.asarray(variable.value) for variable in self.variables]

    def quantiles(self, weights: Sequence[Array], batch: Batch, noise: Array | None = None) -> Array:
        """Return normalised quantiles and the normalisation.

        Returns
        -------
        quantiles : array, shape (batch, steps, n_targets, n_quantiles)
        loc, scale : array, shape (batch, 1, n_targets)
        anchor : array, shape (batch, steps, n_targets)
            What the quantiles are before training.
        """
        given, loc, scale, start = self.inputs(batch)
        return self.output(weights, given, noise), loc, scale, start

    def inputs(self, batch: Batch) -> tuple[dict[str, Array], Array, Array, Array]:
        """Return what the Keras model reads, by name, and location, scale and anchor as of `quantiles`."""
        shape = self.shape
        lookback, steps = shape.lookback, shape.steps
        values, mask = batch.values[:, :lookback], batch.mask[:, :lookback]
        values = transformed(values, log=shape.log) * mask
        loc, scale = window_scale(shape.normalise, values, mask, batch.loc, batch.scale, shape.season)
        values = (values - loc) / scale * mask
        start = anchor = seasonal_anchor(values, mask, shape.season, steps)
        so_far, ahead = batch.known[:, :lookback], batch.known[:, lookback : lookback + steps]
        rest = (batch.past, so_far, ahead, batch.static)
        n, c = values.shape[0], shape.n_targets
        if shape.variables == "shared" and c > 1:
            values, mask, anchor = (_apart(part) for part in (values, mask, anchor))
            past, so_far, ahead, static = (jnp.repeat(part, c, axis=0) for part in rest)
            rest = (past, so_far, ahead, jnp.concatenate([static, jnp.tile(jnp.eye(c), (n, 1))], axis=-1))
        names = ("values", "mask", "past", "so_far", "ahead", "static", "anchor")
        inputs = dict(zip(names, [values, mask, *rest, anchor], strict=True))
        given = {name: part for name, part in inputs.items() if part.shape[-1]}
        return given, loc, scale, start

    def output(self, weights: Sequence[Array], given: dict[str, Array], noise: Array | None = None) -> Array:
        """Return normalised quantiles of `inputs`, shape (batch, steps, n_targets, n_quantiles)."""
        shape = self.shape
        fixed, parts = generators(self.model, noise), list(given.values())
        out = self.model.stateless_call(weights, fixed, parts, training=noise is not None)[0]
        if self.point_loss and noise is None:
            out = around_the_middle(out)
        if shape.variables == "shared" and shape.n_targets > 1:
            out = jnp.moveaxis(out.reshape(-1, shape.n_targets, shape.steps, out.shape[-1]), 1, 2)
        return out

    def loss(
        self, weights: Sequence[Array], data: tuple[Flat, Windows], chosen: Array, noise: Array | None
    ) -> tuple[Array, Array]:
        """Return `batch_loss` of some windows, which are gathered here, inside the compiled step."""
        flat, windows = data
        drawn = Windows(*(part[chosen] for part in windows))
        return self.batch_loss(weights, gather(flat, drawn, self.shape.lookback, self.shape.steps), noise)

    def batch_loss(self, weights: Sequence[Array], batch: Batch, noise: Array | None) -> tuple[Array, Array]:
        """Return the summed loss of gathered windows, and how many values it sums.

        It is the pinball loss in units of the window's mean change from season to season, which is what MASE
        counts, but for a power.
        """
        found, loc, scale, _ = self.quantiles(weights, batch, noise)
        truth, mask = self.truth(batch, loc, scale)
        truth = jnp.clip(truth, -_FARTHEST, _FARTHEST)
        history, seen = batch.values[:, : self.shape.lookback], batch.mask[:, : self.shape.lookback]
        change = mean_change(transformed(history, log=self.shape.log), seen, self.shape.season)
        weight = jnp.clip(change / scale, _LEAST_CHANGE, 1.0) ** -_POWER
        if self.point_loss:
            middle = found[..., _MIDDLE, None]
            value = keras.losses.get(self.point_loss)(truth[..., None], middle)
            found = found.at[..., _MIDDLE].set(truth)  # which costs nothing: the named loss has its place
            value = value + pinball(truth, found)
        else:
            value = pinball(truth, found)
        return jnp.sum(value * mask * weight), jnp.sum(mask)

    def truth(self, batch: Batch, loc: Array, scale: Array) -> tuple[Array, Array]:
        """Return the normalised values of the steps ahead, and which are observed."""
        values = transformed(batch.values[:, self.shape.lookback :], log=self.shape.log)
        return (values - loc) / scale, batch.mask[:, self.shape.lookback :]


def pinball(truth: Array, quantiles: Array) -> Array:
    """Return the pinball loss, averaged over `QUANTILES`: the last axis of ``quantiles``."""
    levels = jnp.asarray(QUANTILES, dtype=jnp.float32)
    error = truth[..., None] - quantiles
    return jnp.mean(jnp.maximum(levels * error, (levels - 1.0) * error), axis=-1)


def around_the_middle(quantiles: Array) -> Array:
    """Return quantiles that do not cross the middle one: sorted, it stays in the middle."""
    middle = quantiles[..., _MIDDLE : _MIDDLE + 1]
    low, high = quantiles[..., :_MIDDLE], quantiles[..., _MIDDLE + 1 :]
    return jnp.concatenate([jnp.minimum(low, middle), middle, jnp.maximum(high, middle)], axis=-1)


def transformed(values: Array, *, log: bool) -> Array:
    """Return log(1 + y), or the values as they are."""
    return jnp.log1p(values) if log else values


def seasonal_anchor(values: Array, mask: Array, season: int, steps: int) -> Array:
    """Return the last observed value of each step's place in the season, shape (batch, steps, n_targets).

    Where none was observed in the last seasons it is the window's last observed value.
    """
    lookback = values.shape[1]
    last = jnp.broadcast_to(last_observed(values, mask), (values.shape[0], steps, values.shape[2]))
    anchor = last
    for back in range(min(lookback // season, _MOST_SEASONS) if season > 1 else 0, 0, -1):
        place = lookback - back * season + np.arange(steps) % season
        anchor = jnp.where(mask[:, place] > 0, values[:, place], anchor)
    return anchor


def _apart(part: Array) -> Array:
    """Return each target as a series of its own: (batch, steps, targets) → (batch × targets, steps, 1)."""
    return jnp.moveaxis(part, 2, 1).reshape(-1, part.shape[1], 1)


def build_series_model(config: NetworkConfig | OwnNetwork, shape: Shape, seed: int) -> Any:
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

    def flat(*names: str) -> list[Any]:
        return [layers.Flatten(name=f"flat_{name}")(given[name]) for name in names if name in given]

    def join(parts: list[Any], name: str) -> Any:
        return layers.Concatenate(name=name)(parts) if len(parts) > 1 else parts[0]

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
    return keras.Model(list(given.values()), total, name="series")


def _linear_maps(window: Any, context: Any, n_maps: int, width: int, init: Any) -> Any:
    """Map a window linearly to all steps, by a mixture of maps whose shares its context chooses."""
    layers = keras.layers
    maps = layers.Dense(n_maps * width, kernel_initializer="zeros", use_bias=False, name="skip")(window)
    if n_maps == 1:
        return maps
    shares = layers.Dense(n_maps, "softmax", kernel_initializer=init("kernel"), name="shares")(context)
    return layers.Dot(axes=1, name="skips")([shares, layers.Reshape((n_maps, width))(maps)])


def _branches(given: dict[str, Any], shape: Shape) -> list[list[Any]]:
    """Return the histories that each recurrent branch reads."""
    known = [given["so_far"]] if "so_far" in given else []
    if shape.variables != "branches":
        return [[given[name] for name in ("values", "mask", "past") if name in given] + known]
    targets = [
        [given["values"][..., k : k + 1], given["mask"][..., k : k + 1]] for k in range(shape.n_targets)
    ]
    drivers = [[given["past"][..., k : k + 1]] for k in range(shape.n_past)]
    return [branch + known for branch in targets + drivers]


def _encode(parts: list[Any], config: NetworkConfig, shape: Shape, init: Any, branch: int) -> list[Any]:
    """Read a window patch by patch; return the last state of the top layer, in one or both directions."""
    layers = keras.layers
    joined = layers.Concatenate()(parts) if len(parts) > 1 else parts[0]
    patches = layers.Reshape((shape.lookback // shape.patch, -1))(joined)

    def last(sequence: Any, name: str) -> Any:
        recurrent = make_recurrent(config, patches.shape[-1], init, f"{name}_{branch}")
        return (recurrent.over(sequence) if recurrent else sequence)[:, -1]

    read = [last(patches, "recurrent")]
    if config.bidirectional:
        read.append(last(keras.ops.flip(patches, axis=1), "backward"))
    return read


def _decode(context: Any, given: dict[str, Any], config: NetworkConfig, shape: Shape, init: Any) -> Any:
    """Write the horizon patch by patch, each with what is known ahead of it; return the corrections."""
    layers = keras.layers
    c, h, n_quantiles = shape.channels, shape.steps, len(QUANTILES)
    blocks = -(-h // shape.patch)
    ahead = [given[name] for name in ("anchor", "ahead") if name in given]
    joined = layers.Concatenate()(ahead) if len(ahead) > 1 else ahead[0]
    padded = layers.ZeroPadding1D((0, blocks * shape.patch - h))(joined)
    steps = layers.Reshape((blocks, -1))(padded)
    told = layers.Concatenate()([steps, layers.RepeatVector(blocks)(context)])
    cell = make_cell(config, 0, init)
    memory = []
    for k, width in enumerate(state_sizes(cell)):
        if k < free_memory(cell):
            carry = layers.Dense(width, "tanh", kernel_initializer=init("kernel"), name=f"carry_{k}")
            memory.append(carry(context))
        else:
            memory.append(keras.ops.zeros_like(context[:, :1]) * np.zeros((1, width), dtype=np.float32))
    states = over_sequences(cell, "decoder")(told, initial_state=memory)[..., : state_width(cell)]
    n_out = shape.patch * c * n_quantiles
    out = layers.Dense(n_out, config.output_activation, kernel_initializer="zeros", name="correction")(states)
    corrections = layers.Reshape((blocks * shape.patch, c, n_quantiles))(out)
    return corrections[:, :h]
