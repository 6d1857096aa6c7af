"""The values of covariates as they stand in a source: numbers, names, one for each series or customer."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from foretell.data.amounts import NOTHING, Numbers, read_amounts
from foretell.data.covariates import Covariates
from foretell.data.report import Tally, in_rows
from foretell.data.rows import ID, SeriesColumns
from foretell.errors import ColumnError, DataError


def _text(raw: pl.Series, no_values: tuple[str, ...] = ()) -> pl.Series:
    """Return stripped text, null where it is empty or one of ``no_values``."""
    text = raw.cast(pl.String).str.strip_chars()
    nothing = text.is_in(["", *no_values]).fill_null(value=False)
    return text.set(nothing, None) if nothing.any() else text


def covariate(
    raw: pl.Series, name: str, kind: str, read: Numbers, *, forced: bool, untyped: bool
) -> pl.Series:
    """Return a covariate as numbers or, where its values are names, as text."""
    named = raw.dtype == pl.Boolean or isinstance(raw.dtype, (pl.String, pl.Categorical, pl.Enum))
    if raw.null_count() == len(raw):
        names = forced or (named and not untyped)
        return pl.repeat(None, len(raw), dtype=pl.String if names else pl.Float64, eager=True).alias(raw.name)
    if forced and raw.dtype.is_float() and (raw.drop_nulls() % 1 == 0).all():
        raw = raw.cast(pl.Int64)
    if not forced and not named:
        return read(raw, name, kind)
    if raw.dtype.is_nested() or raw.dtype.is_temporal() or raw.dtype in (pl.Object, pl.Binary):
        raise ColumnError(f"the {kind} column {name!r} is of type {raw.dtype}; expected numbers or text")
    if forced or not untyped:
        return _text(raw)
    # CSV knows text only: what reads as a number is meant as one.
    amounts = read_amounts(raw, decimal_comma=read.decimal_comma)
    text, bad = _text(raw, NOTHING), raw.filter(amounts.unreadable)
    given = len(text) - text.null_count()
    if not len(bad):
        return read(raw, name, kind)
    if 2 * len(bad) < given:
        shown = in_rows(bad, read.rows.filter(amounts.unreadable))
        raise ColumnError(
            f"the {kind} column {name!r} holds text among numbers, such as {shown}; mend "
            f"it, or take its values as names of categories by categorical=[{name!r}]"
        )
    return _text(raw)


def customer_values(
    frame: pl.DataFrame, roles: Mapping[str, str], n_customers: int, tally: Tally
) -> Covariates:
    """Return what is known of each customer, whose place the column of ids holds: the first value given.

    Customers with several are counted.
    """
    columns = {}
    for role, name in roles.items():
        given = frame.select(ID, role).drop_nulls()
        first = given.unique(ID, keep="first", maintain_order=True)
        several = given.unique().group_by(ID).len().filter(pl.col("len") > 1).height
        tally.note(f"customers with several values of {name!r}, of which the first counts", several)
        everyone = pl.int_range(n_customers, eager=True).cast(frame.schema[ID]).alias(ID).to_frame()
        columns[name] = everyone.join(first, on=ID, how="left", maintain_order="left")[role]
    return Covariates.of(columns)


def static_values(frame: pl.DataFrame, columns: SeriesColumns, ids: pl.Series) -> pl.DataFrame:
    """Return the one value that each series has of each static column, in the order of ``ids``."""
    roles = columns.of_kind("static")
    if not roles:
        return pl.DataFrame({ID: pl.int_range(len(ids), dtype=pl.UInt32, eager=True)})
    distinct = frame.group_by(ID, maintain_order=True).agg(
        pl.col(role).drop_nulls().unique() for role in roles
    )
    for role, name in roles.items():
        torn = distinct.filter(pl.col(role).list.len() > 1)
        if torn.height:
            shown = [
                f"{ids[owner]} ({', '.join(map(str, sorted(values)[:3]))})"
                for owner, values in torn.select(ID, role).head(3).iter_rows()
            ]
            raise DataError(
                f"the static column {name!r} has several values within {torn.height:,} series: "
                f"{'; '.join(shown)}; expected one for each series: mend it, or name it by past= or future="
            )
    return distinct.with_columns(pl.col(role).list.first() for role in roles)
