"""Integrated gradients: how much each input of a network has moved its output away from a base line."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from foretell.nn.backend import Array

Inputs = TypeVar("Inputs")  # a pytree of arrays

# Nodes of the Gauss-Legendre rule along the path.
_NODES = 64


def integrated_gradients(function: Callable[[Inputs], Array], inputs: Inputs) -> Inputs:
    """Attribute the difference of a function's values to its inputs (Sundararajan, Taly and Yan 2017).

    The gradient is integrated along the straight path from zero, which standardised inputs have at their
    mean, to the inputs. The contributions add up to the difference, but for the error of the integration.

    Parameters
    ----------
    function : callable
        Inputs → a scalar; differentiable by JAX.
    inputs : pytree of arrays

    Returns
    -------
    pytree of arrays
        A contribution of each number of the inputs.

    Examples
    --------
    >>> parts = integrated_gradients(lambda x: x[0] * x[1] + 1.0, jnp.array([2.0, 3.0]))
    >>> [round(float(part), 4) for part in parts]
    [3.0, 3.0]
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    shares = jnp.asarray((nodes + 1.0) / 2.0, jnp.float32), jnp.asarray(weights / 2.0, jnp.float32)
    gradient = jax.grad(function)

    def add(total: Inputs, node: tuple[Array, Array]) -> tuple[Inputs, None]:
        share, weight = node
        slope = gradient(jax.tree.map(lambda part: share * part, inputs))
        return jax.tree.map(lambda t, g: t + weight * g, total, slope), None

    zero = jax.tree.map(jnp.zeros_like, inputs)
    mean, _ = jax.lax.scan(add, zero, shares)
    parts: Inputs = jax.tree.map(jnp.multiply, mean, inputs)
    return parts
