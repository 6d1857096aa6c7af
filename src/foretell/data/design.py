"""Columns of numbers made of what is known of customers, as models read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final, Self

import numpy as np

from foretell.core import FloatArray
from foretell.core.contracts import Described
from foretell.data.covariates import Covariates
from foretell.errors import DataError, ParameterError

_CATEGORIES: Final = 40  # of one column; rarer ones count as not known
_LEAST: Final = 5  # customers of a category
_FURTHEST: Final = 3.0  # standard deviations from the mean, to which numbers are brought


@dataclasses.dataclass(frozen=True)
class Design:
    """Columns of numbers made of what is known: a number each, or one for each category; 0 is the average.

    Attributes
    ----------
    names : tuple of str
    categories : dict of str to tuple of str
        Of the columns that hold names.
    centre, spread : array, shape (n_columns,)
    """

    names: tuple[str, ...]
    categories: dict[str, tuple[str, ...]]
    centre: FloatArray
    spread: FloatArray

    @classmethod
    def fit(cls, static: Covariates) -> Self:
        """Learn the columns of the customers of a log."""
        categories = {name: _frequent(static, name) for name in static.categories}
        blank = cls(static.names, categories, np.zeros(0), np.ones(0))
        raw = blank._raw(static)
        known = ~np.isnan(raw)
        n = np.maximum(known.sum(axis=0), 1)
        centre = np.where(known, raw, 0.0).sum(axis=0) / n
        spread = np.sqrt(np.where(known, (raw - centre) ** 2, 0.0).sum(axis=0) / n)
        is_number = np.array([word is None for _, word in blank.labels], dtype=bool)
        spread = np.where(is_number & (spread > 0), spread, 1.0)
        return dataclasses.replace(blank, centre=centre, spread=spread)

    @property
    def labels(self) -> list[tuple[str, str | None]]:
        """What each column stands for: a name and a category, or a name alone."""
        return [(name, word) for name in self.names for word in self.categories.get(name, (None,))]

    def matrix(self, static: Covariates) -> FloatArray:
        """Return the columns of customers, shape (n, n_columns); 0 of what is not known."""
        scaled = (self._raw(static) - self.centre) / self.spread
        return np.clip(np.where(np.isnan(scaled), 0.0, scaled), -_FURTHEST, _FURTHEST)

    def _raw(self, static: Covariates) -> FloatArray:
        parts = [np.zeros((len(static), 0))]
        for name in self.names:
            values = _column(static, name, named=name in self.categories)
            if name not in self.categories:
                parts.append(values[:, None])
                continue
            words = static.categories.get(name, ())
            places = np.array([*map(_place_in(self.categories[name]), words), -1])
            codes = places[np.where(np.isnan(values), len(words), values).astype(np.int64)]
            shown = (codes[:, None] == np.arange(len(self.categories[name]))).astype(np.float64)
            parts.append(np.where(codes[:, None] < 0, np.nan, shown))
        return np.concatenate(parts, axis=1)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.labels)

    def describe(self) -> dict[str, object]:
        """Return what JSON keeps of it."""
        words = {name: list(known) for name, known in self.categories.items()}
        numbers = {"centre": self.centre.tolist(), "spread": self.spread.tolist()}
        return {"names": list(self.names), "categories": words} | numbers

    @classmethod
    def from_description(cls, described: Described) -> Self:
        """Return the design that `describe` described; refuse numbers that do not fit each other."""
        words = {str(name): tuple(map(str, known)) for name, known in described["categories"].items()}
        centre, spread = (np.array(described[name], dtype=np.float64) for name in ("centre", "spread"))
        design = cls(tuple(map(str, described["names"])), words, centre, spread)
        shape = (design.width,)
        if (
            not (centre.shape == spread.shape == shape and np.isfinite(centre).all())
            or not (np.isfinite(spread) & (spread > 0)).all()
        ):
            raise DataError("what is known of customers has columns of another shape than this version reads")
        return design


def _column(static: Covariates, name: str, *, named: bool) -> FloatArray:
    """Return a column; refuse numbers where the design has names, or names where it has numbers."""
    if name not in static.names:
        raise ParameterError(f"{name!r} is not known of these customers; read it by static=[{name!r}]")
    values: FloatArray = static.values[:, static.names.index(name)]
    if named != (name in static.categories) and not np.isnan(values).all():
        held, expected = ("numbers", "names") if named else ("names", "numbers")
        mend = f"read it by categorical=[{name!r}]" if named else "mend its values"
        raise ParameterError(
            f"{name!r} holds {held} here and {expected} in the log that the model was fitted to; {mend}"
        )
    return values


def _frequent(static: Covariates, name: str) -> tuple[str, ...]:
    """Return the categories of a column that enough customers have, the most frequent first."""
    codes = static.values[:, static.names.index(name)]
    words = static.categories[name]
    count = np.bincount(codes[~np.isnan(codes)].astype(np.int64), minlength=len(words))
    order = np.argsort(-count, kind="stable")[:_CATEGORIES]
    return tuple(words[k] for k in order if count[k] >= _LEAST)


def _place_in(words: tuple[str, ...]) -> Callable[[str], int]:
    places = {word: place for place, word in enumerate(words)}
    return lambda word: places.get(word, -1)
