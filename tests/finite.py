"""An oracle of gradients: a program runs step by step, and every value on its way has to be finite.

Whether a compiler simplifies 0 · ∞ away, or computes a number twice and rounds it differently, depends on its
settings and on the processor. Where no step gives an infinity or NaN, with equal numbers equal and with no
two of them equal, there is nothing that a compiler could rescue or spoil.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
import numpy as np

# The plain steps, by numpy: a program for each of their shapes would take far longer to compile than to run.
_OF_ELEMENTS: dict[str, Callable[..., Any]] = {
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "neg": np.negative,
    "abs": np.abs, "max": np.maximum, "min": np.minimum, "exp": np.exp, "log": np.log, "log1p": np.log1p,
    "tanh": np.tanh, "eq": np.equal, "ne": np.not_equal, "lt": np.less, "gt": np.greater,
    "ge": np.greater_equal, "select_n": lambda which, *cases: np.choose(which.astype(int), cases),
}  # fmt: skip
_OF_SHAPES: dict[str, Callable[..., Any]] = {
    "reduce_sum": lambda x, axes, **_: x.sum(axes, dtype=x.dtype),
    "reshape": lambda x, new_sizes, **_: x.reshape(new_sizes),
    "transpose": lambda x, permutation: x.transpose(permutation),
    "squeeze": lambda x, dimensions: x.squeeze(dimensions),
    "convert_element_type": lambda x, new_dtype, **_: x.astype(new_dtype),
    "concatenate": lambda *parts, dimension: np.concatenate(parts, dimension),
    "slice": lambda x, start_indices, limit_indices, strides: x[
        tuple(map(slice, start_indices, limit_indices, strides or [None] * x.ndim))
    ],
    "split": lambda x, sizes, axis: np.split(x, np.cumsum(sizes)[:-1], axis),
    "broadcast_in_dim": lambda x, shape, broadcast_dimensions, **_: np.broadcast_to(
        np.expand_dims(x, [k for k in range(len(shape)) if k not in broadcast_dimensions]), shape
    ),
}


def _by_numpy(equation: Any, given: Sequence[Any]) -> list[Any] | None:
    """Return what a plain step gives, None of any other; what is too small is 0, as in compiled programs."""
    name = equation.primitive.name
    parts = [np.asarray(x, v.aval.dtype) for x, v in zip(given, equation.invars, strict=True)]
    with np.errstate(all="ignore"):
        if name in _OF_ELEMENTS:
            results = _OF_ELEMENTS[name](*parts)
        elif name in _OF_SHAPES:
            results = _OF_SHAPES[name](*parts, **equation.params)
        else:
            return None
    results = list(results) if equation.primitive.multiple_results else [results]
    for k, (result, variable) in enumerate(zip(results, equation.outvars, strict=True)):
        assert (result.shape, result.dtype) == (variable.aval.shape, variable.aval.dtype), equation
        if _is_float(result):
            results[k] = np.where(np.abs(result) < np.finfo(result.dtype).tiny, result.dtype.type(0), result)
    return results


class _Run:
    def __init__(self, *, equal: bool) -> None:
        self.equal = equal
        self.infinite: list[str] = []

    def program(self, jaxpr: Any, consts: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
        values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *inputs], strict=True))

        def read(variable: Any) -> Any:
            return variable.val if isinstance(variable, jax.extend.core.Literal) else values[variable]

        for equation in jaxpr.eqns:
            results = self.step(equation, [read(variable) for variable in equation.invars])
            values.update(zip(equation.outvars, results, strict=True))
        return [read(variable) for variable in jaxpr.outvars]

    def step(self, equation: Any, given: list[Any]) -> list[Any]:
        name, params = equation.primitive.name, equation.params
        inner = params.get("jaxpr", params.get("call_jaxpr"))
        if name == "scan":
            return self.scan(params, given)
        if inner is not None:
            return self.program(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), given)
        if name == "eq" and not self.equal and _is_float(given[0]):
            return [np.zeros(equation.outvars[0].aval.shape, dtype=bool)]
        results = _by_numpy(equation, given)
        if results is None:
            results = equation.primitive.bind(*given, **params)
            results = list(results) if equation.primitive.multiple_results else [results]
        # An infinite constant may be spread and passed on, such as what never wins a maximum or fills up what
        # lies outside; it may not become NaN.
        if name in {"broadcast_in_dim", "convert_element_type"}:
            return results
        passed_on = any(_is_float(part) and np.isinf(part).any() for part in given)
        wrong = np.isnan if passed_on else lambda part: ~np.isfinite(part)
        if any(wrong(np.asarray(result)).any() for result in results if _is_float(result)):
            self.infinite.append(str(equation))
        return results

    def scan(self, params: dict[str, Any], given: list[Any]) -> list[Any]:
        n_consts, n_carry, body = params["num_consts"], params["num_carry"], params["jaxpr"]
        consts, carry, rows = given[:n_consts], given[n_consts:][:n_carry], given[n_consts + n_carry :]
        order, outputs = range(params["length"]), []
        for k in reversed(order) if params["reverse"] else order:
            results = self.program(body.jaxpr, body.consts, [*consts, *carry, *(row[k] for row in rows)])
            carry = results[:n_carry]
            outputs.append(results[n_carry:])
        outputs = outputs[::-1] if params["reverse"] else outputs
        return [*carry, *(jnp.stack(parts) for parts in zip(*outputs, strict=True))]


def _is_float(value: Any) -> bool:
    return jnp.issubdtype(jnp.result_type(value), jnp.floating)


def infinite_steps(program: Any, arguments: Sequence[Any]) -> list[str]:
    """Return the steps of a program that turn finite values into an infinity, or any into NaN.

    It runs twice: with equal floats equal, and with no two of them equal, as where a compiler computes one of
    them twice.

    Parameters
    ----------
    program : ClosedJaxpr
        As `jax.make_jaxpr` returns it.
    arguments : sequence of arrays
    """
    infinite = []
    for equal in (True, False):
        run = _Run(equal=equal)
        run.program(program.jaxpr, program.consts, arguments)
        infinite += run.infinite
    return infinite
