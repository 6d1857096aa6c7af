"""The prior's network: a recurrent layer over a series' past, and one small network for every step ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np

from foretell.nn.arrays import product
from foretell.series.prior_features import ANCHORS
from foretell.series.quantiles import QUANTILES
from foretell.series.smoothing import Singles

Weights: TypeAlias = Mapping[str, Any]
"""Arrays by name, of NumPy or of JAX."""
Recurrence: TypeAlias = Callable[[Any, Any], Any]


def shapes(tokens: int, static: int, steps: int, units: int, width: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of weights, for so many features of tokens, of series, and of steps."""
    outputs = len(ANCHORS) + len(QUANTILES) + 1
    return {
        "embed": (tokens, units),
        "embed.bias": (units,),
        "lstm": (units, 4 * units),
        "lstm.recurrent": (units, 4 * units),
        "lstm.bias": (4 * units,),
        "context": (units + static, width),
        "context.bias": (width,),
        "from_context": (width, width),
        "from_steps": (steps, width),
        "first.bias": (width,),
        "second": (width, width),
        "second.bias": (width,),
        "third": (width, width),
        "third.bias": (width,),
        "out": (width, outputs),
        "out.bias": (outputs,),
    }


def lstm(gates: Singles, recurrent: Singles) -> Singles:
    """Return the last state of an LSTM, from its gates before recurrence, shape (n, steps, 4 units).

    With the gates i, f, g, o: c ← σ(f) c + σ(i) tanh(g), h ← σ(o) tanh(c) (Gers et al. 2000).
    """
    units = len(recurrent)
    state = np.zeros((len(gates), units), gates.dtype)
    memory = np.zeros_like(state)
    for t in range(gates.shape[1]):
        sums = product(state, recurrent)
        sums += gates[:, t]
        i, f, g, o = np.split(sums, 4, axis=1)
        memory = _sigmoid(f) * memory + _sigmoid(i) * np.tanh(g)
        state = _sigmoid(o) * np.tanh(memory)
    return state


def forecast(
    weights: Weights, parts: tuple[Any, Any, Any, Any], recurrence: Recurrence = lstm, ops: ModuleType = np
) -> Any:
    """Return quantiles, shape (n, h, len(QUANTILES)), in units of the series' scale about its base.

    A quantile is a mean of the anchors, weighted for each step, and a distance from it.

    Parameters
    ----------
    weights : mapping
    parts : tokens, static, steps, anchors
        See `foretell.series.prior_features.Reading`.
    recurrence : callable
        Reads gates before recurrence and the recurrent weights, gives the last state.
    ops : module
        NumPy, or what has its functions.
    """
    tokens, static, steps, anchors = parts

    def swish(x: Any) -> Any:
        return x / (1.0 + ops.exp(-x))

    embedded = ops.tanh(tokens @ weights["embed"] + weights["embed.bias"])
    gates = embedded @ weights["lstm"] + weights["lstm.bias"]
    state = recurrence(gates, weights["lstm.recurrent"])
    read = ops.concatenate([state, static], axis=1)
    context = swish(product(read, weights["context"]) + weights["context.bias"])
    context = product(context, weights["from_context"])
    x = swish(context[:, None] + steps @ weights["from_steps"] + weights["first.bias"])
    for layer in ("second", "third"):
        x = x + swish(x @ weights[layer] + weights[layer + ".bias"])
    out = x @ weights["out"] + weights["out.bias"]
    n_anchors, n_quantiles = len(ANCHORS), len(QUANTILES)
    shares = ops.exp(out[..., :n_anchors] - out[..., :n_anchors].max(axis=-1, keepdims=True))
    middle = (shares * anchors).sum(axis=-1) / shares.sum(axis=-1)
    distances = ops.sort(out[..., n_anchors : n_anchors + n_quantiles], axis=-1)
    return middle[..., None] + ops.exp(out[..., -1:]) * distances


def _sigmoid(x: Singles) -> Singles:
    return np.asarray(1.0 / (1.0 + np.exp(-x)))
