"""Weights with which forecasts are mixed, by what they would have been worth on held-back data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_ROUNDS = 20


def blend_weights(
    loss: Callable[[FloatArray], float], members: Mapping[str, FloatArray], rounds: int = _ROUNDS
) -> dict[str, float]:
    """Return convex weights of forecasts, chosen greedily so that their mean has a small loss.

    The best single member comes first; then, round by round, the one is added (again) with which the mean of
    all so far errs least; the best mean on the way is kept. So the loss is never larger than that of the best
    single member, and weights are coarse: too few choices to fit noise.

    Parameters
    ----------
    loss : callable
        Of a forecast; lower is better.
    members : mapping of name to array
        Forecasts of the same things; those with weight 0 are left out of the answer.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models", ICML.

    Examples
    --------
    >>> truth = np.array([1.0, 2.0, 3.0, 4.0])
    >>> error = np.array([1.0, -1.0, 1.0, -1.0])
    >>> members = {"a": truth + error, "b": truth - error, "c": truth + 9.0}
    >>> blend_weights(lambda found: float(np.mean((found - truth) ** 2)), members)
    {'a': 0.5, 'b': 0.5}
    """
    names = list(members)
    counts = dict.fromkeys(names, 0)
    total: FloatArray | float = 0.0
    best_loss, best = np.inf, dict(counts)
    for k in range(rounds):
        losses = [loss((total + members[name]) / (k + 1)) for name in names]
        chosen = names[int(np.nanargmin(losses))]
        total = total + members[chosen]
        counts[chosen] += 1
        if min(losses) < best_loss:
            best_loss, best = min(losses), dict(counts)
    picks = sum(best.values())
    return {name: count / picks for name, count in best.items() if count}
