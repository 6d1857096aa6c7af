"""What numpy and JAX do differently, under one name: formulas that use it take the arrays of either.

Whether numpy answers a request or a compiled program is decided by its size: a program is quicker for many
customers, but JAX takes a second to import, and longer to compile.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from foretell.nn.backend import jax, jnp

Array = Any  # of numpy or of JAX
# Customers whose questions numpy answers in less time than it takes to import JAX.
_FEW = 512
Carry = TypeVar("Carry")


def namespace(values: Array) -> Any:
    """Return numpy for numpy's arrays, else jax.numpy."""
    return np if isinstance(values, (np.ndarray, np.generic)) else jnp


def namespace_for(customers: int) -> Any:
    """Return the module that answers for so many customers: numpy for few, else jax.numpy."""
    return np if customers <= _FEW else jnp


def in_single(values: npt.ArrayLike, xp: Any) -> Array:
    """Return numbers as float32, which numpy converts them to, so that nothing has to be compiled."""
    single = np.asarray(values, dtype=np.float32)
    return single if xp is np else to_device(single)


def to_device(values: npt.ArrayLike) -> Array:
    """Return numbers of numpy for compiled programs: `jax.numpy.asarray` compiles one for each new shape."""
    return jax.device_put(np.asarray(values), may_alias=False)


@functools.cache
def _pools() -> Any:
    import threadpoolctl  # noqa: PLC0415  # formulas that are not run need none

    return threadpoolctl.ThreadpoolController()


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let numpy multiply on one thread.

    The networks' products are small: to share them out takes longer than they do, and many times as long
    where the other cores are busy. Of several Python threads the first to ask has its way, the others go on
    as they were (see threadpoolctl).
    """
    with _pools().limit(limits=1, user_api="blas"):
        yield


def product(inputs: Array, kernel: Array) -> Array:
    """Return ``inputs @ kernel``; of numpy's arrays row by row.

    On some processors the last bits that BLAS returns for a row depend on how many rows there are beside it.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inputs, kernel = rng.normal(size=(20, 7)), rng.normal(size=(7, 5))
    >>> bool((product(inputs, kernel)[3:4] == product(inputs[3:4], kernel)).all())
    True
    """
    return (inputs[..., None, :] @ kernel)[..., 0, :] if namespace(inputs) is np else inputs @ kernel


def sigmoid(values: Array) -> Array:
    """Return 1 / (1 + e^−x)."""
    return 0.5 + 0.5 * np.tanh(0.5 * values) if namespace(values) is np else jax.nn.sigmoid(values)


def softplus(values: Array) -> Array:
    """Return log(1 + e^x)."""
    return namespace(values).logaddexp(values, 0.0)


def log_sigmoid(values: Array) -> Array:
    """Return −log(1 + e^−x)."""
    return -softplus(-values)


def logsumexp(values: Array, axis: int) -> Array:
    """Return log Σ e^x."""
    xp = namespace(values)
    most = values.max(axis=axis, keepdims=True)
    if xp is not np:
        # The shift cancels, in the gradient too. A maximum's gradient divides by how many values equal it:
        # none, where a compiler computes the values twice and rounds them differently.
        most = jax.lax.stop_gradient(most)
    return xp.log(xp.exp(values - most).sum(axis=axis)) + most.squeeze(axis)


def log_softmax(values: Array) -> Array:
    """Return log(e^x / Σ e^x) along the last axis."""
    return values - logsumexp(values, axis=-1)[..., None]


ACTIVATIONS: Final[Mapping[str | None, Callable[[Array], Array]]] = {
    None: lambda x: x,
    "linear": lambda x: x,
    "relu": lambda x: namespace(x).maximum(x, 0.0),
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": lambda x: x / (1.0 + abs(x)),
    "tanh": lambda x: namespace(x).tanh(x),
}
"""Keras' activations that need no Keras."""


def repeat_while(goes_on: Callable[[Carry], Array], body: Callable[[Carry], Carry], carry: Carry) -> Carry:
    """Return what a body makes of a carry, as long as it goes on."""
    first = goes_on(carry)
    if namespace(first) is not np:
        end: Carry = jax.lax.while_loop(goes_on, body, carry)
        return end
    while goes_on(carry):
        carry = body(carry)
    return carry


def repeat(times: int | Array, body: Callable[[Any, Carry], Carry], carry: Carry, xp: Any) -> Carry:
    """Return what a body makes of a carry, so many times; it is called with the number of the round."""
    if xp is not np:
        end: Carry = jax.lax.fori_loop(0, times, body, carry)
        return end
    for k in range(int(times)):
        carry = body(k, carry)
    return carry


def added_at(values: Array, places: Array, more: Array) -> Array:
    """Return values, or numpy's very array, with more added at some places of the first axis."""
    if namespace(values) is not np:
        return values.at[places].add(more)
    np.add.at(values, places, more)
    return values
