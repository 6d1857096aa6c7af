"""Some rows of a table of answers: those that meet conditions, in an order, no more than asked for."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Sequence

import polars as pl

from foretell.core.constraints import Maybe, Whole, check, did_you_mean, is_list
from foretell.core.time import to_moment
from foretell.errors import ParameterError

_CONDITION = re.compile(r"\s*(?P<column>.+?)\s*(?P<sign><=|>=|!=|==|=|<|>)\s*(?P<value>.*?)\s*")
_SIGNS = {"=": "eq", "==": "eq", "!=": "ne_missing", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}


@dataclasses.dataclass(frozen=True)
class Condition:
    """What a row has to meet: a column, a sign and a value, as in ``p_return_30d>=0.2``."""

    column: str
    sign: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read a condition.

        Examples
        --------
        >>> Condition.parse("n_events >= 3")
        Condition(column='n_events', sign='>=', value='3')
        """
        found = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise ParameterError(
                f"where={text!r}; expected a column, one of {', '.join(_SIGNS)} and a value, such as "
                "'n_events>=3' or 'group=north'"
            )
        return cls(**found.groupdict())

    def expression(self, table: pl.DataFrame) -> pl.Expr:
        """Return the condition as an expression, with the value in the type of the table's column."""
        check_column("where", self.column, table.columns)
        dtype = table.schema[self.column]
        try:
            value = self._as(dtype)
        except ParameterError:
            raise
        except (KeyError, ValueError, pl.exceptions.PolarsError) as error:
            raise ParameterError(
                f"where='{self.column}{self.sign}{self.value}': {self.value!r} cannot be compared with "
                f"{self.column}, which holds {str(dtype).lower()} values"
            ) from error
        holds: pl.Expr = getattr(pl.col(self.column), _SIGNS[self.sign])(value)
        return holds

    def _as(self, dtype: pl.DataType) -> object:
        if dtype.is_temporal():
            return pl.lit(to_moment(self.value).astype("datetime64[us]").item()).cast(dtype)
        if dtype.is_numeric():
            return float(self.value)
        if dtype == pl.Boolean:
            return {"true": True, "false": False}[self.value.lower()]
        return pl.lit(self.value).cast(dtype)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Conditions, an order and a limit.

    Attributes
    ----------
    where : sequence of str
        Conditions that all have to hold, such as ``"n_events>=3"`` or ``"group=north"``.
    sort : str or None
        Column to sort by, the largest first; with ``-`` before it the smallest first. Nulls come last.
    top : int or None
        No more rows than that.

    Examples
    --------
    >>> table = pl.DataFrame({"unique_id": ["a", "b", "c"], "n_events": [3, 1, 7]})
    >>> Selection(where=["n_events>=2"], sort="n_events", top=1).of(table)["unique_id"].to_list()
    ['c']
    """

    where: Sequence[str] = ()
    sort: str | None = None
    top: int | None = None

    def __post_init__(self) -> None:
        check("top", self.top, Maybe(Whole()))
        if not is_list(self.where):
            raise ParameterError(f"where={self.where!r}; expected a list of conditions: [{self.where!r}]")
        for text in self.where:
            Condition.parse(text)

    def of(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of one table."""
        for condition in map(Condition.parse, self.where):
            table = table.filter(condition.expression(table))
        if self.sort is not None:
            column = self.sort.removeprefix("-")
            check_column("sort", column, table.columns)
            table = table.sort(column, descending=column == self.sort, nulls_last=True, maintain_order=True)
        return table if self.top is None else table.head(self.top)

    def of_all(self, tables: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        """Return the rows of tables that come one after the other, without holding them all.

        What has to be sorted is held: with ``top`` no more than that, and one table.
        """
        if self.sort is None:
            left = self.top
            for table in tables:
                part = dataclasses.replace(self, top=left).of(table)
                yield part
                if left is not None:
                    left -= part.height
                    if left == 0:
                        return
            return
        kept: pl.DataFrame | None = None
        for table in tables:
            part = self.of(table)
            kept = part if kept is None else dataclasses.replace(self, where=()).of(pl.concat([kept, part]))
        if kept is not None:
            yield kept


def check_column(argument: str, name: str, available: Sequence[str]) -> None:
    """Refuse a column that a table does not have."""
    if name not in available:
        raise ParameterError(
            f"{argument}: there is no column {name!r}{did_you_mean(name, available)}; "
            f"expected one of {', '.join(available)}"
        )
