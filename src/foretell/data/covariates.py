"""Covariates: columns of numbers and of categories, of steps, series or customers."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.errors import DataError

Vocabulary = tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Covariates:
    """Columns of covariates.

    Attributes
    ----------
    names : tuple of str
    values : float64 array, shape (n_rows, n_columns)
        Numbers, or codes of categories (0, 1, 2 …); NaN where nothing is known.
    categories : dict of str to tuple of str
        Of each categorical column, what its codes stand for.

    Examples
    --------
    >>> known = Covariates.of({"price": pl.Series([1.5, None]), "promo": pl.Series(["no", "yes"])})
    >>> known.values
    array([[1.5, 0. ],
           [nan, 1. ]])
    >>> known.column("promo").to_list()
    ['no', 'yes']
    """

    names: tuple[str, ...]
    values: FloatArray
    categories: dict[str, Vocabulary] = dataclasses.field(default_factory=dict)

    @classmethod
    def none(cls, n_rows: int) -> Covariates:
        """Return no columns for so many rows."""
        return cls((), np.zeros((n_rows, 0)))

    @classmethod
    def of(cls, columns: Mapping[str, pl.Series]) -> Covariates:
        """Return columns as covariates: text as categories, the rest as numbers."""
        values, categories = [], {}
        for name, column in columns.items():
            if column.dtype == pl.String:
                categories[name] = tuple(column.drop_nulls().unique().sort())
                column = column.cast(pl.Enum(categories[name])).to_physical()  # noqa: PLW2901
            values.append(column.cast(pl.Float64).to_numpy())
        stacked = np.stack(values, axis=1) if values else np.zeros((0, 0))
        return cls(tuple(columns), stacked, categories)

    def with_unknown(self) -> Covariates:
        """Return the rows, and one more of which nothing is known."""
        return dataclasses.replace(self, values=np.pad(self.values, [(0, 1), (0, 0)], constant_values=np.nan))

    def __len__(self) -> int:
        return len(self.values)

    def __bool__(self) -> bool:
        return bool(self.names)

    def take(self, rows: IntArray | BoolArray | slice) -> Covariates:
        """Return some rows, in the order given."""
        return dataclasses.replace(self, values=self.values[rows])

    def column(self, name: str) -> pl.Series:
        """Return a column as it came: numbers, or the names of categories."""
        values = self.values[:, self.names.index(name)]
        if name not in self.categories:
            return pl.Series(name, values).fill_nan(None)
        codes = pl.Series(values).fill_nan(None).cast(pl.Int64)
        return pl.Series(name, self.categories[name], dtype=pl.String).gather(codes).alias(name)

    def recoded(self, categories: Mapping[str, Vocabulary]) -> Covariates:
        """Return the columns with the codes of another vocabulary; what it does not know becomes NaN.

        What a model has learned about a category goes by the code that it had then.
        """
        values = self.values.copy()
        for k, name in enumerate(self.names):
            if name in self.categories:
                values[:, k] = _replaced(values[:, k], self.categories[name], categories[name])
        kept = {name: tuple(categories[name]) for name in self.categories}
        return dataclasses.replace(self, values=values, categories=kept)


def seen_only(*parts: Covariates) -> tuple[Covariates, ...]:
    """Return the same columns of several parts with the categories that occur, the first part's first.

    So a category that occurs in a later part only changes no code of an earlier one.
    """
    vocabularies = {}
    for k, name in enumerate(parts[0].names):
        if name not in parts[0].categories:
            continue
        known = parts[0].categories[name]
        order: dict[str, None] = {}
        for part in parts:
            codes = pl.Series(part.values[:, k]).drop_nans().unique().cast(pl.Int64)
            order |= dict.fromkeys(sorted(known[code] for code in codes))
        vocabularies[name] = tuple(order)
    return tuple(part.recoded(vocabularies) for part in parts)


def same_words(first: Covariates, second: Covariates) -> tuple[Covariates, Covariates]:
    """Return the same columns of two sources with one vocabulary, the first one's words first.

    Raises
    ------
    DataError
        A column has numbers in the one and names in the other.
    """
    torn = set(first.categories) ^ set(second.categories)
    known = {name for name in torn if not np.isnan(_column(first, name)).all()}
    torn = {name for name in known if not np.isnan(_column(second, name)).all()}
    if torn:
        name = min(torn)
        raise DataError(
            f"{name!r} holds numbers in one source and names in the other; read both alike, for example by "
            f"categorical=[{name!r}]"
        )
    vocabularies = {
        name: tuple(dict.fromkeys([*first.categories.get(name, ()), *second.categories.get(name, ())]))
        for name in {*first.categories, *second.categories}
    }
    one, other = (
        dataclasses.replace(part, categories={**dict.fromkeys(vocabularies, ()), **part.categories})
        for part in (first, second)
    )
    return one.recoded(vocabularies), other.recoded(vocabularies)


def _column(part: Covariates, name: str) -> FloatArray:
    column: FloatArray = part.values[:, part.names.index(name)]
    return column


def _replaced(codes: FloatArray, old: Vocabulary, new: Vocabulary) -> FloatArray:
    """Return codes of one vocabulary as codes of another."""
    if old == new:
        return codes
    places = {name: float(place) for place, name in enumerate(new)}
    table = np.array([*(places.get(name, np.nan) for name in old), np.nan])
    replaced: FloatArray = table[np.where(np.isnan(codes), len(old), codes).astype(np.int64)]
    return replaced
