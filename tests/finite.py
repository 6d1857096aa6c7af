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
            return [jnp.zeros(equation.outvars[0].aval.shape, dtype=bool)]
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


def infinite_steps(function: Callable[..., Any], *arguments: Any, equal: bool = True) -> list[str]:
    """Return the steps of a function's program that turn finite values into an infinity, or any into NaN.

    Parameters
    ----------
    function : callable
        Of arrays; traced by JAX.
    arguments : pytrees of arrays
    equal : bool
        False: no two floats are equal, as where a compiler computes one of them twice.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    run = _Run(equal=equal)
    run.program(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
    return run.infinite
