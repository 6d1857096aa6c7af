"""Whether a gain is more than chance, and weights by which forecasts are mixed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np
import numpy.typing as npt

from foretell.core import FloatArray
from foretell.errors import DataError

# How sure one has to be of a gain.
_SURE = 0.95


def surely_positive(gains: npt.ArrayLike) -> bool:
    """Return whether gains of separate units (customers, series, folds) are above 0 by more than chance.

    A one-sided t test at 95 %; of a single unit nothing is known of chance.

    Examples
    --------
    >>> surely_positive([1.0, 1.2, 0.9, 1.1]), surely_positive([1.0, -1.2, 0.9, -0.1]), surely_positive([1.0])
    (True, False, False)
    """
    from scipy.special import stdtrit  # noqa: PLC0415  # who blends needs it

    values = np.asarray(gains, dtype=np.float64)
    n = len(values)
    if n < 2:
        return False
    return bool(values.mean() > stdtrit(n - 1, _SURE) * values.std(ddof=1) / np.sqrt(n))


_ROUNDS = 20


def blend_weights(
    losses: Callable[[FloatArray], FloatArray],
    members: Mapping[str, FloatArray],
    rounds: int = _ROUNDS,
    start: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Return convex weights of forecasts, chosen greedily so that their mean has a small loss.

    The best single member comes first; then, round by round, the one is added (again) with which the mean of
    all so far errs least; the best mean on the way is kept, if it is better than the best single member by
    more than chance (a paired t test over the units); else that one gets all the weight.

    Parameters
    ----------
    losses : callable
        Of a forecast: its loss for each unit, such as a customer or a series, shape (n_units,); lower is
        better.
    members : mapping of name to array
        Forecasts of the same things; those with weight 0 are left out of the answer.
    start : mapping of name to float, optional
        Convex weights to start from, in place of the best single member. They count as many rounds as follow,
        so that what is chosen lies at most half-way from them.

    References
    ----------
    Caruana, Niculescu-Mizil, Crew, Ksikes (2004), "Ensemble selection from libraries of models", ICML.

    Examples
    --------
    >>> truth = np.array([1.0, 2.0, 3.0, 4.0])
    >>> error = np.array([1.0, -1.0, 1.0, -1.0])
    >>> members = {"a": truth + error, "b": truth - error, "c": truth + 9.0}
    >>> blend_weights(lambda forecast: (forecast - truth) ** 2, members)
    {'a': 0.5, 'b': 0.5}
    """
    names = list(members)
    shares = {} if start is None else start
    begun = 0 if start is None else rounds
    counts = {name: begun * shares.get(name, 0.0) for name in names}
    total: FloatArray | float = sum((counts[name] * members[name] for name in shares), 0.0)
    steps: list[tuple[FloatArray, dict[str, float]]] = []
    if start is not None:
        steps.append((losses(np.asarray(total / begun)), dict(counts)))
    for k in range(begun, begun + rounds):
        tried = [losses((total + members[name]) / (k + 1)) for name in names]
        chosen = int(np.nanargmin([loss.mean() for loss in tried]))
        total = total + members[names[chosen]]
        counts[names[chosen]] += 1
        steps.append((tried[chosen], dict(counts)))
    (alone, single), (blended, best) = steps[0], min(steps, key=lambda step: float(step[0].mean()))
    picks = best if surely_positive(alone - blended) else single
    return {name: count / sum(picks.values()) for name, count in picks.items() if count}


def check_weights(weights: Mapping[str, float], known: Collection[str]) -> None:
    """Refuse weights that are not convex, or of models that are not known.

    Raises
    ------
    DataError
        Names the weights.
    """
    shares = np.array(list(weights.values()))
    if (
        shares.dtype.kind != "f"
        or not set(weights) <= set(known)
        or (not (shares >= 0.0).all() or abs(shares.sum() - 1.0) > 1e-6)
    ):
        raise DataError(f"{dict(weights)} are no weights of {sorted(known)} that add up to 1")
