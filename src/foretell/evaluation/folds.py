"""Where a rolling-origin backtest is cut, and when its models are fitted anew."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Collection, Sequence
from typing import Any, Literal

from foretell.core.constraints import Constraint, Either, Maybe, OneOf, Whole, check, check_fields
from foretell.core.estimator import Estimator
from foretell.errors import ParameterError

Refit = Literal["always", "never", "warm"] | int
Training = Literal["expanding", "sliding"]


@dataclasses.dataclass(frozen=True)
class BacktestConfig:
    """How a backtest goes from fold to fold.

    Parameters
    ----------
    step : str or int, optional
        From one cut-off to the next; by default the horizon, so that no day is forecast twice.
    refit : {"always", "never", "warm"} or int
        Fit at every cut-off; at the first only; from the last fold's weights with few epochs (of models that
        can: ours); or at every k-th.
    training : {"expanding", "sliding"}
        All that lies before a cut-off, or a period as long as the first fold's. Of visits a sliding period
        holds the customers who first came in it, with their whole histories. Forecasts are made for all.
    season : int, optional
        Of series: steps of the season by which errors are scaled; by default it is found in what the first
        fold sees.
    seeds : int
        Fit our models again with other seeds, so many in all, to see how far the figures differ.

    Examples
    --------
    >>> BacktestConfig(refit="sometimes")
    Traceback (most recent call last):
    foretell.errors.ParameterError: refit='sometimes'; expected 'always', 'never' or 'warm', or a whole \
number of folds of at least 1
    """

    step: str | int | None = None
    refit: Refit = "always"
    training: Training = "expanding"
    season: int | None = None
    seeds: int = 1

    def __post_init__(self) -> None:
        rules: dict[str, Constraint] = {
            "refit": Either((OneOf(("always", "never", "warm")), Whole(of="folds"))),
            "training": OneOf(("expanding", "sliding")),
            "season": Maybe(Whole(of="steps")),
            "seeds": Whole(),
        }
        check_fields(self, rules)

    def is_refitted(self, fold: int) -> bool:
        """Return whether models are fitted in a fold, or asked as they are.

        Examples
        --------
        >>> [BacktestConfig(refit=2).is_refitted(fold) for fold in range(4)]
        [True, False, True, False]
        """
        if isinstance(self.refit, int):
            return fold % self.refit == 0
        return fold == 0 or self.refit != "never"


def origins_back(last: int, first: int, n_folds: int, step: int, unit: str) -> tuple[int, ...]:
    """Return ``n_folds`` origins, ``step`` apart, the last one at ``last``.

    Examples
    --------
    >>> origins_back(100, 0, 3, 10, "days")
    (80, 90, 100)
    """
    check("cutoffs", n_folds, Whole(1))
    check("step", step, Whole(1))
    origins = tuple(last - step * back for back in range(n_folds - 1, -1, -1))
    if origins[0] < first:
        most = max((last - first) // step + 1, 0)
        raise ParameterError(
            f"{n_folds} folds, {step} {unit} apart, reach back before the data begin: {most} would fit; ask "
            "for fewer folds, a smaller step or a shorter horizon"
        )
    return origins


def ascending(origins: Sequence[int], shown: Sequence[object]) -> tuple[int, ...]:
    """Refuse cut-offs that do not go forward."""
    if not origins:
        raise ParameterError("cutoffs is empty; name at least one date, or how many folds there are to be")
    if list(origins) != sorted(set(origins)):
        raise ParameterError(
            f"cutoffs={list(shown)!r}; expected dates that go forward, each of them once: sort them"
        )
    return tuple(origins)


def fresh(model: Any) -> Any:
    """Return a model of the same settings that has seen nothing, and shares nothing with the given one."""
    if isinstance(model, Estimator):
        return type(model)(**model.get_params())
    return copy.deepcopy(model)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered if taken: two settings of one model are often what is compared."""
    candidates = [name] + [f"{name} ({k})" for k in range(2, len(taken) + 2)]
    return next(candidate for candidate in candidates if candidate not in taken)


# Apart from each other by more than the members of an ensemble, which count up from the seed.
_SEEDS_APART = 1_000


def other_seeds(model: Any, seeds: int) -> list[Any]:
    """Return ``seeds - 1`` unfitted models that differ by their seed; none of a model without one."""
    if not hasattr(model, "set_params") or not hasattr(model, "seed"):
        return []
    return [fresh(model).set_params(seed=model.seed + _SEEDS_APART * k) for k in range(1, seeds)]
