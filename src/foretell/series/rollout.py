"""From one pass of the network to any number of steps: in blocks of medians, or along sample paths."""

from __future__ import annotations

import dataclasses
from statistics import NormalDist
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from foretell.core import FloatArray
from foretell.core.ragged import flat_ranges, to_offsets
from foretell.data.panel import Panel
from foretell.nn.arrays import to_device
from foretell.nn.backend import Array, jitted
from foretell.nn.streams import streams_of, uniforms
from foretell.series.calibration import calibrated
from foretell.series.fitting import SeriesModel
from foretell.series.network import SeriesNetwork
from foretell.series.quantiles import MIDDLE, QUANTILES
from foretell.series.reading import carried
from foretell.series.scale import Units
from foretell.series.windows import Batch, Flat, Windows, at_ends, gather

Normalised: TypeAlias = tuple[Array, Array, Array, Array]
"""Quantiles, location and scale, anchor."""
Carry: TypeAlias = tuple[Array, Array, Array]
# Sample paths of one series.
_PATHS = 200
# Series that are forecast at once, filled up to as many: the last bits of a product depend on its size, and
# so no series' forecast depends on how many are asked for with it.
BLOCK = 16


def block_quantiles(model: SeriesModel, panel: Panel, h: int) -> FloatArray:
    """Return quantiles of ``h`` steps, shape (n_series, h, n_targets, n_quantiles).

    Beyond the network's own horizon, each block is forecast from the medians of those before; its distances
    to the median grow by those of the block before, in quadrature.

    Parameters
    ----------
    model : SeriesModel
    panel : Panel
        Of at most `BLOCK` series.
    h : int
    """
    steps, units = model.network.shape.steps, model.reading.units(panel)
    blocks: list[FloatArray] = []
    spread: FloatArray | float = 0.0
    while len(blocks) * steps < h:
        block = units.back(_one_block(model, panel, units))
        median = block[..., MIDDLE : MIDDLE + 1]
        reach = np.sign(block - median) * np.hypot(block - median, spread)
        blocks.append(median + reach)
        if len(blocks) * steps < h:
            distance = np.abs(reach)
            spread = np.maximum(distance[:, -1:], distance.mean(axis=1, keepdims=True))
            panel = extended(panel, median[..., 0])
    return np.concatenate(blocks, axis=1)[:, :h]


def _one_block(model: SeriesModel, panel: Panel, units: Units) -> FloatArray:
    """Return calibrated quantiles of the steps of one pass, in units of their series."""
    flat, windows = tails(model, panel, units, model.network.shape.steps, BLOCK)
    parts = _mean_quantiles(model.network, model.stacked, flat, windows)
    quantiles, loc, scale, anchor = (np.asarray(part, dtype=np.float64)[: panel.n_series] for part in parts)
    return model.calibration.apply(quantiles, anchor) * scale[..., None] + loc[..., None]


@jitted(0)
def _mean_quantiles(network: SeriesNetwork, members: list[Array], flat: Flat, windows: Windows) -> Normalised:
    batch = gather(flat, windows, network.shape.lookback, network.shape.steps)
    return _over_members(network, members, batch)


def _over_members(network: SeriesNetwork, members: list[Array], batch: Batch) -> Normalised:
    """Return the members' mean quantiles, the normalisation, and the anchor."""
    quantiles, loc, scale, anchor = jax.vmap(lambda weights: network.quantiles(weights, batch))(members)
    return jnp.mean(jnp.sort(quantiles, axis=-1), axis=0), loc[0], scale[0], anchor[0]


def tails(model: SeriesModel, panel: Panel, units: Units, extra: int, size: int) -> tuple[Flat, Windows]:
    """Return the last lookback of each series, and the windows at their ends, filled up to so many series."""
    lookback = model.network.shape.lookback
    kept = np.minimum(panel.lengths, lookback)
    rows = flat_ranges(panel.offsets[1:] - kept, kept)
    tail = dataclasses.replace(
        panel,
        offsets=to_offsets(kept),
        starts=panel.ends + 1 - kept,
        values=panel.values[rows],
        past=panel.past.take(rows),
        future=panel.future.take(rows),
    )
    flat = model.reading.flat(
        tail, units, extra, (size, size * (lookback + extra)), carried(panel, units)[rows]
    )
    starts = tail.offsets[:-1] + np.arange(tail.n_series) * extra
    windows = at_ends(starts, kept, extra)
    return flat, windows.filled(size)


def extended(panel: Panel, values: FloatArray) -> Panel:
    """Return the panel with further steps as if observed, shape (n_series, steps, n_targets)."""
    n, steps = values.shape[:2]
    place = np.repeat(panel.offsets[1:], steps)
    n_ahead = np.diff(panel.ahead_offsets)
    used = np.minimum(n_ahead, steps)
    future = np.full((n, steps, panel.future.values.shape[1]), np.nan)
    known = panel.ahead.values[flat_ranges(panel.ahead_offsets[:-1], used)]
    future[np.repeat(np.arange(n), used), flat_ranges(np.zeros_like(used), used)] = known
    left = flat_ranges(panel.ahead_offsets[:-1] + used, n_ahead - used)

    def longer(rows: FloatArray, more: FloatArray) -> FloatArray:
        return np.insert(rows, place, more.reshape(n * steps, -1), axis=0)

    blank = np.full((n, steps, panel.past.values.shape[1]), np.nan)
    return dataclasses.replace(
        panel,
        offsets=panel.offsets + np.arange(n + 1) * steps,
        values=longer(panel.values, values),
        past=dataclasses.replace(panel.past, values=longer(panel.past.values, blank)),
        future=dataclasses.replace(panel.future, values=longer(panel.future.values, future)),
        ahead=panel.ahead.take(left),
        ahead_offsets=to_offsets(n_ahead - used),
    )


def path_quantiles(model: SeriesModel, panel: Panel, h: int, seed: int) -> FloatArray:
    """Return quantiles over sample paths of a network of one step, fed back ``h`` times.

    Past covariates keep their last value along the paths.
    """
    units = model.reading.units(panel)
    flat, windows = tails(model, panel, units, h, BLOCK)
    streams = np.resize(streams_of(panel.ids, seed), BLOCK)
    quantiles = _paths(
        model.network, h, model.stacked, flat, windows, model.calibration.on_device(), to_device(streams)
    )
    return units.back(np.asarray(quantiles, dtype=np.float64)[: panel.n_series])


@jitted(0, 1)
def _paths(
    network: SeriesNetwork,
    h: int,
    members: list[Array],
    flat: Flat,
    windows: Windows,
    calibration: tuple[Array, Array, Array],
    streams: Array,
) -> Array:
    shape = network.shape
    whole = gather(flat, windows, shape.lookback, h)
    many = jax.tree.map(lambda part: jnp.repeat(part, _PATHS, axis=0), whole)

    def step(carry: Carry, drawn: tuple[Array, Array]) -> tuple[Carry, Array]:
        values, mask, past = carry
        t, noise = drawn
        known = jax.lax.dynamic_slice_in_dim(many.known, t, shape.lookback + 1, axis=1)
        batch = many._replace(values=values, mask=mask, past=past, known=known)
        quantiles, loc, scale, anchor = _over_members(network, members, batch)
        quantiles = calibrated(quantiles, anchor, calibration)
        drawn_value = _at(quantiles[:, 0], noise) * scale[:, 0] + loc[:, 0]
        after = (
            jnp.concatenate([values[:, 1:], drawn_value[:, None]], axis=1),
            jnp.concatenate([mask[:, 1:], jnp.ones_like(mask[:, :1])], axis=1),
            jnp.concatenate([past[:, 1:], past[:, -1:]], axis=1),
        )
        return after, drawn_value

    history = (many.values[:, : shape.lookback], many.mask[:, : shape.lookback], many.past)
    noise = _normal_draws(streams, h, shape.n_targets)
    _, drawn = jax.lax.scan(step, history, (jnp.arange(h), noise))
    paths = jnp.moveaxis(drawn, 0, 1).reshape(-1, _PATHS, h, shape.n_targets)
    return jnp.moveaxis(jnp.quantile(paths, jnp.asarray(QUANTILES), axis=1), 0, -1)


def _normal_draws(streams: Array, h: int, n_targets: int) -> Array:
    """Return standard normal draws by step, path and target, from the stream of each series."""
    stream = jnp.repeat(streams, _PATHS)[:, None]
    path = jnp.tile(jnp.arange(_PATHS, dtype=jnp.uint32), len(streams))[:, None] * np.uint32(n_targets)
    target = jnp.arange(n_targets, dtype=jnp.uint32)
    step = jnp.arange(h, dtype=jnp.uint32)[:, None, None]
    uniform = uniforms(stream, path + target, step, kind=jnp.float32)[0]
    return jax.scipy.special.ndtri(uniform + 2.0**-25)  # never 0 nor 1


def _at(quantiles: Array, normal: Array) -> Array:
    """Return the values at standard normal draws, between and beyond quantiles linearly on the normal scale.

    Parameters
    ----------
    quantiles : array, shape (n, n_targets, n_quantiles)
    normal : array, shape (n, n_targets)
    """
    scale = jnp.asarray([NormalDist().inv_cdf(level) for level in QUANTILES], dtype=jnp.float32)
    k = jnp.clip(jnp.searchsorted(scale, normal), 1, len(QUANTILES) - 1)
    low, high = (jnp.take_along_axis(quantiles, (k - i)[..., None], axis=-1)[..., 0] for i in (1, 0))
    share = (normal - scale[k - 1]) / (scale[k] - scale[k - 1])
    return low + jnp.clip(share, -1.5, 2.5) * (high - low)
