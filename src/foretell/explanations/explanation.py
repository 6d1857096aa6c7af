"""What moved a forecast away from its anchor: the common form for customers and series."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl

from foretell.i18n import Translator
from foretell.nn.backend import Array

Part: TypeAlias = tuple[str, str, float]  # what, its value in words, and by how much it moved the forecast


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A forecast as a sum: the anchor, what all have in common, and what is the one's own.

    Attributes
    ----------
    id : value
        The customer or series.
    quantity : str
        What is forecast.
    anchor : float
        The classical forecast from which the network starts.
    forecast : float
        What the model says.
    parts : tuple of (what, value, contribution)
        What it comes from, its value in words, and by how much it moved the forecast; together they are the
        way from the anchor to the forecast.
    words : tuple of str
        The same in sentences, the most important first.
    share : bool
        The quantity is a probability.
    """

    id: object
    quantity: str
    anchor: float
    forecast: float
    parts: tuple[Part, ...]
    words: tuple[str, ...]
    share: bool = False

    def __str__(self) -> str:
        return "\n".join(self.words)

    def table(self) -> pl.DataFrame:
        """Return ``what``, ``value``, ``contribution``: anchor and parts, and the forecast, their sum."""
        rows = [("anchor", "", self.anchor), *self.parts, ("forecast", "", self.forecast)]
        return pl.DataFrame(rows, schema=["what", "value", "contribution"], orient="row")


def what_moves_it(
    parts: Sequence[Part], least: float, spelled: Callable[[str, str, float], str], say: Translator
) -> list[str]:
    """Return sentences about the parts that raise a forecast most, and that lower it most.

    Parameters
    ----------
    parts : sequence of (what, value, contribution)
    least : float
        Contributions below it are not worth a word.
    spelled : callable
        Returns what a sentence says of what, value and the size of the contribution.
    say : Translator

    Examples
    --------
    >>> parts = [("gap", "8 days", 0.1), ("mark", "20", 0.001), ("calendar", "", -0.2), ("count", "3", 0.3)]
    >>> what_moves_it(parts, 0.01, lambda what, value, size: f"{what} by {size}", Translator())
    ['What raises it: count by 0.3 and gap by 0.1.', 'What lowers it: calendar by 0.2.']
    """
    ordered = sorted((part for part in parts if abs(part[2]) >= least), key=lambda part: -abs(part[2]))
    raising, lowering = (
        [spelled(what, value, abs(by)) for what, value, by in ordered if by * sign > 0][:3]
        for sign in (1, -1)
    )
    sentences = []
    if raising:
        sentences.append(say("What raises it: {parts}.", parts=_listed(raising, say)))
    if lowering:
        sentences.append(say("What lowers it: {parts}.", parts=_listed(lowering, say)))
    return sentences


def _listed(texts: Sequence[str], say: Translator) -> str:
    return say(" and ").join(filter(None, [say(", ").join(texts[:-1]), texts[-1]]))


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
