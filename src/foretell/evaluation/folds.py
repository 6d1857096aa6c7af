"""Folds of a rolling-origin backtest: where they are cut, and when models are fitted anew."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Protocol

import polars as pl

from foretell.core.estimator import Estimator
from foretell.errors import ParameterError

Refit = Literal["always", "never", "warm"] | int
Training = Literal["expanding", "sliding"]


class Folds(Protocol):
    """How one kind of data is cut, shown to models, asked, and scored.

    Attributes
    ----------
    origins : tuple of int
        Last tick or step that the models see in each fold, ascending.
    unit : str
        What a tick is.
    units : tuple of str
        Columns of the table that name what is resampled by the referee: the customer, the series.
    loss : polars.Expr
        What the referee compares, of one row of the table.
    order : str
        The figure by which models are ranked.
    root : bool
        Whether losses are compared by the root of their mean.
    figures : dict of str to polars.Expr
        Scores as aggregations of rows of the table.
    """

    origins: tuple[int, ...]
    unit: str
    units: tuple[str, ...]
    loss: pl.Expr
    order: str
    root: bool
    figures: ClassVar[dict[str, pl.Expr]]

    def label(self, fold: int) -> Any:
        """Return the time of a cut-off."""

    def models(self, named: Sequence[Any] | None) -> dict[str, Any]:
        """Return the models by free names; by default those that have to be compared."""

    def training(self, fold: int, *, sliding: bool) -> Any:
        """Return what a model is fitted to."""

    def answers(self, fold: int, name: str, model: Any) -> pl.DataFrame:
        """Ask a fitted model at the cut-off, and set the truth beside."""


def origins_back(last: int, first: int, n_folds: int, step: int, unit: str) -> tuple[int, ...]:
    """Return ``n_folds`` origins, ``step`` apart, the last one at ``last``.

    Examples
    --------
    >>> origins_back(100, 0, 3, 10, "days")
    (80, 90, 100)
    """
    for name, value in (("n_folds", n_folds), ("step", step)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ParameterError(f"{name}={value!r}; expected a whole number of at least 1")
    origins = tuple(last - step * back for back in range(n_folds - 1, -1, -1))
    if origins[0] < first:
        most = max((last - first) // step + 1, 0)
        raise ParameterError(
            f"{n_folds} folds, {step} {unit} apart, reach back before the data begin: {most} would fit; ask "
            "for fewer folds, a smaller step or a shorter horizon"
        )
    return origins


def ascending(origins: Sequence[int], shown: Sequence[Any]) -> tuple[int, ...]:
    """Refuse cut-offs that do not go forward."""
    if not origins:
        raise ParameterError("cutoffs is empty; name at least one date, or leave it out and give n_folds")
    if list(origins) != sorted(set(origins)):
        raise ParameterError(
            f"cutoffs={list(shown)!r}; expected dates that go forward, each of them once: sort them"
        )
    return tuple(origins)


def check_policy(refit: Any, training: Any) -> None:
    """Refuse unknown policies."""
    whole = isinstance(refit, int) and not isinstance(refit, bool) and refit >= 1
    if not whole and refit not in {"always", "never", "warm"}:
        raise ParameterError(
            f"refit={refit!r}; expected 'always', 'never', 'warm', or a whole number k: every k-th fold"
        )
    if training not in {"expanding", "sliding"}:
        raise ParameterError(f"training={training!r}; expected 'expanding' or 'sliding'")


def is_refitted(fold: int, refit: Refit) -> bool:
    """Return whether models are fitted in a fold, or asked as they are.

    Examples
    --------
    >>> [is_refitted(fold, 2) for fold in range(4)]
    [True, False, True, False]
    """
    if isinstance(refit, int):
        return fold % refit == 0
    return fold == 0 or refit != "never"


def fresh(model: Any) -> Any:
    """Return a model of the same settings that has seen nothing, and shares nothing with the given one."""
    if isinstance(model, Estimator):
        return type(model)(**model.get_params())
    return copy.deepcopy(model)


def free_name(name: str, taken: dict[str, Any]) -> str:
    """Return the name, numbered if taken: two settings of one model are often what is compared."""
    candidates = [name] + [f"{name} ({k})" for k in range(2, len(taken) + 2)]
    return next(candidate for candidate in candidates if candidate not in taken)
