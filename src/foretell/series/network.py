"""The series network: its model of normalised windows, their scale, their anchor, and the loss."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from foretell.nn.backend import Array, Model, Variable, Weights, keras
from foretell.nn.custom import OwnNetwork, generators
from foretell.nn.settings import SERIES, NetworkConfig
from foretell.series.architecture import Shape, build_series_model
from foretell.series.quantiles import MIDDLE, QUANTILES
from foretell.series.scale import last_observed, mean_change, window_scale
from foretell.series.windows import Batch, Flat, Spans, Windows, gather

# What follows a window counts no more than this many scales.
_FARTHEST = 50.0
# A window that hardly changes from season to season counts as if it changed by so many scales.
_LEAST_CHANGE = 0.05
# Of its weight: 1 is the loss that MASE counts, 0 the loss on the network's own scale.
_POWER = 0.75
# Seasons back in which the anchor looks for a value that was observed.
_MOST_SEASONS = 4


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
    def __reduce__(self) -> tuple[object, ...]:
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
    def whole(self) -> Model:
        """The Keras model."""
        return self.model

    @property
    def variables(self) -> list[Variable]:
        """Trainable variables."""
        return list(self.model.trainable_variables)

    def initial(self) -> list[npt.NDArray[np.float32]]:
        """Return the weights before training, which forecast the anchor."""
        return [np.asarray(variable.value) for variable in self.variables]

    def quantiles(
        self, weights: Weights, batch: Batch, noise: Array | None = None
    ) -> tuple[Array, Array, Array, Array]:
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
        filled, mask = batch.values[:, :lookback], batch.mask[:, :lookback]
        whole = (batch.loc, batch.scale)
        loc, scale = window_scale(shape.normalise, filled * mask, mask, filled[:, -1], whole, shape.season)
        values = (filled - loc) / scale * mask
        start = anchor = seasonal_anchor(values, mask, shape.season, steps)
        so_far, ahead = batch.known[:, :lookback], batch.known[:, lookback : lookback + steps]
        rest = (batch.past, so_far, ahead, batch.static)
        n, c = values.shape[0], shape.n_targets
        if shape.variables == "shared" and c > 1:
            values, mask, anchor = (_apart(part) for part in (values, mask, anchor))
            own = jnp.tile(jnp.eye(c), (n, 1))
            # Parts without a column stay as they are: ONNX cannot repeat nothing.
            past, so_far, ahead, static = (
                jnp.repeat(part, c, axis=0) if part.shape[-1] else part for part in rest
            )
            rest = (past, so_far, ahead, jnp.concatenate([static, own], axis=-1) if static.shape[-1] else own)
        names = ("values", "mask", "past", "so_far", "ahead", "static", "anchor")
        inputs = dict(zip(names, [values, mask, *rest, anchor], strict=True))
        given = {name: part for name, part in inputs.items() if part.shape[-1]}
        return given, loc, scale, start

    def output(self, weights: Weights, given: dict[str, Array], noise: Array | None = None) -> Array:
        """Return normalised quantiles of `inputs`, shape (batch, steps, n_targets, n_quantiles)."""
        shape = self.shape
        fixed, parts = generators(self.model, noise), list(given.values())
        out: Array = self.model.stateless_call(weights, fixed, parts, training=noise is not None)[0]
        if self.point_loss and noise is None:
            out = around_the_middle(out)
        if shape.variables == "shared" and shape.n_targets > 1:
            out = jnp.moveaxis(out.reshape(-1, shape.n_targets, shape.steps, out.shape[-1]), 1, 2)
        return out

    def loss(
        self, weights: Weights, data: tuple[Flat, Windows | Spans], chosen: Array, noise: Array | None
    ) -> tuple[Array, Array]:
        """Return `batch_loss` of some windows, which are gathered here, inside the compiled step."""
        flat, windows = data
        batch = gather(flat, windows.at(chosen), self.shape.lookback, self.shape.steps)
        return self.batch_loss(weights, batch, noise)

    def batch_loss(self, weights: Weights, batch: Batch, noise: Array | None) -> tuple[Array, Array]:
        """Return the summed loss of gathered windows, and how many values it sums.

        It is the pinball loss in units of the window's mean change from season to season, which is what MASE
        counts, but for a power. Windows in which nothing was observed have nothing to teach.
        """
        quantiles, loc, scale, _ = self.quantiles(weights, batch, noise)
        truth, mask = self.truth(batch, loc, scale)
        truth = jnp.clip(truth, -_FARTHEST, _FARTHEST)
        history, seen = batch.values[:, : self.shape.lookback], batch.mask[:, : self.shape.lookback]
        mask = mask * jnp.max(seen, axis=1, keepdims=True)
        change = mean_change(history, seen, self.shape.season)
        weight = jnp.clip(change / scale, _LEAST_CHANGE, 1.0) ** -_POWER
        if self.point_loss:
            middle = quantiles[..., MIDDLE, None]
            value = keras.losses.get(self.point_loss)(truth[..., None], middle)
            quantiles = quantiles.at[..., MIDDLE].set(
                truth
            )  # which costs nothing: the named loss has its place
            value = value + pinball(truth, quantiles)
        else:
            value = pinball(truth, quantiles)
        return jnp.sum(value * mask * weight), jnp.sum(mask)

    def truth(self, batch: Batch, loc: Array, scale: Array) -> tuple[Array, Array]:
        """Return the normalised values of the steps ahead, and which are observed."""
        lookback = self.shape.lookback
        return (batch.values[:, lookback:] - loc) / scale, batch.mask[:, lookback:]


def pinball(truth: Array, quantiles: Array) -> Array:
    """Return the pinball loss, averaged over `QUANTILES`: the last axis of ``quantiles``."""
    levels = jnp.asarray(QUANTILES, dtype=jnp.float32)
    error = truth[..., None] - quantiles
    return jnp.mean(jnp.maximum(levels * error, (levels - 1.0) * error), axis=-1)


def around_the_middle(quantiles: Array) -> Array:
    """Return quantiles that do not cross the middle one: sorted, it stays in the middle."""
    middle = quantiles[..., MIDDLE : MIDDLE + 1]
    low, high = quantiles[..., :MIDDLE], quantiles[..., MIDDLE + 1 :]
    return jnp.concatenate([jnp.minimum(low, middle), middle, jnp.maximum(high, middle)], axis=-1)


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
