"""What is known of customers whenever they come: in the log's own rows, or in a table of customers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.data.amounts import Numbers
from foretell.data.covariate_values import covariate, customer_values
from foretell.data.covariates import Covariates
from foretell.data.log import joined_names
from foretell.data.report import Tally
from foretell.data.rows import ID, ROW, CustomerColumns, ReadOptions, Rows, encode, static_roles
from foretell.data.sources import read_rows
from foretell.errors import DataError, ParameterError

_MEND: Final = (
    " ({bad:,} of {given:,} rows); expected numbers, or names in all rows; numbers that are names go to "
    "categorical="
)


Known: TypeAlias = Callable[[pl.DataFrame, Rows, pl.Series, Tally], Covariates]
"""Says what is known of the customers of a log: of its rows in order, whose ids are places among all ids."""


def known_of(
    names: tuple[str, ...],
    categorical: tuple[str, ...],
    customers: object,
    id_column: str,
    encoding: str | None,
) -> Known | None:
    """Return what reads some columns of the log, or of a table of customers; None where none are named."""
    repeated = [name for k, name in enumerate(names) if name in names[:k]]
    if repeated:
        raise ParameterError(f"static= names {repeated[0]!r} more than once; name each column once")
    strange = [name for name in categorical if name not in names]
    if strange:
        raise ParameterError(
            f"categorical= names {strange[0]!r}, which static= does not; name it there as well"
        )
    if customers is None:
        return functools.partial(_of_rows, names, categorical) if names else None
    if not names:
        raise ParameterError(
            "customers= is a table of what is known of customers; name its columns by static=, such as "
            "static=['channel']"
        )
    rows = read_rows(customers, CustomerColumns(id_column, static=names), ReadOptions(encoding=encoding))
    return functools.partial(_of_table, names, categorical, rows)


def _of_rows(
    names: tuple[str, ...],
    categorical: tuple[str, ...],
    frame: pl.DataFrame,
    rows: Rows,
    ids: pl.Series,
    tally: Tally,
) -> Covariates:
    roles = static_roles(names)
    values = _values(frame, rows, roles, categorical, tally)
    return _told(customer_values(values, roles, len(ids), tally), tally)


def _of_table(
    names: tuple[str, ...],
    categorical: tuple[str, ...],
    table: Rows,
    frame: pl.DataFrame,
    rows: Rows,
    ids: pl.Series,
    tally: Tally,
) -> Covariates:
    del frame, rows
    known = table.frame.with_row_index(ROW, offset=1).drop_nulls(ID)
    places = _places(known[ID], table, ids)
    found = places >= 0
    tally.note(f"rows of {table.origin} of nobody in the log", int((~found).sum()))
    known = known.with_columns(pl.Series(ID, places)).filter(pl.Series(found))
    return _of_rows(names, categorical, known, table, ids, tally)


def _values(
    frame: pl.DataFrame, rows: Rows, roles: Mapping[str, str], categorical: Sequence[str], tally: Tally
) -> pl.DataFrame:
    read = Numbers(frame[ROW], tally, _MEND, "kept as missing", decimal_comma=rows.decimal_comma)
    return frame.select(ID).with_columns(
        covariate(frame[role], name, "static", read, forced=name in categorical, untyped=rows.untyped)
        for role, name in roles.items()
    )


def _places(given: pl.Series, rows: Rows, ids: pl.Series) -> IntArray:
    """Return the place of each id among the log's, -1 where it is none."""
    names, codes = encode(given, untyped=rows.untyped)
    try:
        known, theirs = joined_names(ids, names, "ids")
    except ParameterError as error:
        raise DataError(
            f"the ids of {rows.origin} are {names.dtype}, such as {names.head(2).to_list()}, and the log's "
            f"{ids.dtype}, such as {ids.head(2).to_list()}: nobody would be found; write both alike"
        ) from error
    table = known.to_frame(ID).with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
    place = theirs.to_frame(ID).join(table, on=ID, how="left", maintain_order="left")["place"].fill_null(-1)
    if len(place) and (place < 0).all():
        raise DataError(
            f"none of the {len(names):,} customers of {rows.origin}, such as {names.head(2).to_list()}, is "
            f"in the log, whose ids are such as {ids.head(2).to_list()}; expected the same ids in both"
        )
    places: IntArray = place.to_numpy()[codes.to_numpy()]
    return places


def _told(static: Covariates, tally: Tally) -> Covariates:
    for name, column in zip(static.names, static.values.T, strict=True):
        tally.note(f"customers of whom {name!r} is not known", int(np.isnan(column).sum()))
    return static
