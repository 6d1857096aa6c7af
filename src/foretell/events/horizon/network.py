"""The network of the horizon head: an LSTM over gaps, dense layers, and a correction of the anchor."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np

from foretell.core import FloatArray
from foretell.events.horizon.counts import CountCurves
from foretell.events.horizon.features import GRID, Float32Array, Inputs, log_odds
from foretell.events.horizon.rates import Curves
from foretell.nn.arrays import product

Weights: TypeAlias = dict[str, Any]
"""Arrays by name: of numpy, or of JAX while they are trained."""

_PIVOT: Final = 5  # the knot from which the curves are laid out to both sides
_LEAST_RISE: Final = 0.003  # of the anchor's curves from knot to knot
_STEEPEST: Final = 4.0  # logarithm of how many times as steep as its anchor's a curve may be
_FURTHER: Final = (3.0, 1.2)  # logarithms of how far below and above its anchor m may lie
_RISES: Final = len(GRID) - 2  # the last rise, beyond what simulated shops last, is like the one before
N_OUTPUTS: Final = 2 * (1 + _RISES) + 1


def initial_weights(
    rng: np.random.Generator, n_features: int, n_context: int, units: int = 48, dense: int = 160
) -> dict[str, Float32Array]:
    """Return the weights of a network that forecasts its anchor."""

    def draw(rows: int, columns: int) -> Float32Array:
        drawn: Float32Array = rng.standard_normal((rows, columns), dtype=np.float32) / np.float32(rows**0.5)
        return drawn

    bias = np.zeros(4 * units, dtype=np.float32)
    bias[units : 2 * units] = 1.0  # remember
    shapes = {"dense1": (units + n_context, dense), "dense2": (dense, dense), "dense3": (dense, dense)}
    weights = {"input": draw(n_features, 4 * units), "memory": 0.7 * draw(units, 4 * units), "gates": bias}
    for name, shape in shapes.items():
        weights |= {name: draw(*shape), f"{name}_bias": np.zeros(dense, dtype=np.float32)}
    last = np.zeros((dense, N_OUTPUTS), dtype=np.float32)
    return weights | {"output": last, "output_bias": np.zeros(N_OUTPUTS, dtype=np.float32)}


def lstm_step(weights: Weights, state: tuple[Any, Any], projected: Any, xp: ModuleType) -> tuple[Any, Any]:
    """Return hidden and cell state after a step, of its projected features."""
    hidden, cell = state
    i, f, g, o = xp.split(projected + product(hidden, weights["memory"]), 4, axis=-1)
    cell = _sigmoid(f, xp) * cell + _sigmoid(i, xp) * xp.tanh(g)
    return _sigmoid(o, xp) * xp.tanh(cell), cell


def corrections(weights: Weights, hidden: Any, context: Any, xp: ModuleType) -> Any:
    """Return the outputs of the dense layers, shape (n, N_OUTPUTS)."""
    x = xp.concatenate([hidden, xp.clip(context, -4.0, 4.0)], axis=-1)
    x = _silu(product(x, weights["dense1"]) + weights["dense1_bias"], xp)
    for name in ("dense2", "dense3"):
        x = x + _silu(product(x, weights[name]) + weights[f"{name}_bias"], xp)
    return product(x, weights["output"]) + weights["output_bias"]


def anchor_knots(anchor: Curves) -> tuple[FloatArray, FloatArray]:
    """Return log odds of a return and log of the further visits, at the grid, by the anchor."""
    more = np.maximum(anchor.expected / np.maximum(anchor.p_return, 1e-12) - 1.0, 1e-4)
    return log_odds(anchor.p_return), np.maximum.accumulate(np.log(more), axis=1)


def corrected(outputs: Any, odds: Any, more: Any, xp: ModuleType) -> tuple[Any, Any, Any]:
    """Return the knots of `CountCurves`, from the anchor's: shifted, and steeper or flatter, but rising."""
    half = 1 + _RISES
    further = _laid_out(more, outputs[:, half : 2 * half], xp)
    return (
        _laid_out(odds, outputs[:, :half], xp),
        # How often those come who hardly ever return, few visits have taught: it stays near the anchor.
        xp.clip(further, more - _FURTHER[0], more + _FURTHER[1]),
        xp.clip(outputs[:, -1], -3.0, 5.0),
    )


def _laid_out(knots: Any, output: Any, xp: ModuleType) -> Any:
    rises = xp.maximum(knots[:, 1:] - knots[:, :-1], 0.0) + _LEAST_RISE
    steeper = xp.concatenate([output[:, 1:], output[:, -1:]], axis=1)
    rises = rises * xp.exp(xp.clip(steeper, -_STEEPEST, _STEEPEST))
    total = xp.concatenate([xp.zeros_like(rises[:, :1]), xp.cumsum(rises, axis=1)], axis=1)
    middle = knots[:, _PIVOT : _PIVOT + 1] + output[:, :1]
    return middle + total - total[:, _PIVOT : _PIVOT + 1]


def forward(weights: Weights, given: Inputs) -> CountCurves:
    """Return the curves of n customers, by numpy alone."""
    n, steps, _ = given.steps.shape
    units = weights["memory"].shape[0]
    order = np.argsort(-given.n_steps, kind="stable")
    begun = np.searchsorted(-given.n_steps[order], np.arange(-steps, 0), side="right")
    hidden, cell = (np.zeros((n, units), dtype=np.float32) for _ in range(2))
    features = given.steps[order]
    for step, m in enumerate(begun):  # who has a long history begins first
        if m:
            projected = product(features[:m, step], weights["input"]) + weights["gates"]
            hidden[:m], cell[:m] = lstm_step(weights, (hidden[:m], cell[:m]), projected, np)
    last = np.empty_like(hidden)
    last[order] = hidden
    outputs = corrections(weights, last, given.context, np).astype(np.float64)
    return CountCurves(*corrected(outputs, *anchor_knots(given.anchor), np))


def read_weights(path: Path) -> dict[str, Float32Array]:
    """Read weights that were written, in single precision."""
    with np.load(path) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _sigmoid(x: Any, xp: ModuleType) -> Any:
    return 0.5 * (xp.tanh(0.5 * x) + 1.0)


def _silu(x: Any, xp: ModuleType) -> Any:
    return x * _sigmoid(x, xp)
