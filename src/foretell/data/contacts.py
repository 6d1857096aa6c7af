"""Who was contacted when: mailings, coupons, calls."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import polars as pl

from foretell.core import IntArray
from foretell.data.log import EventLog, joined_names
from foretell.data.report import ReadReport
from foretell.data.rows import (
    GROUP,
    ID,
    TIME,
    EventColumns,
    EventOptions,
    encode,
    opened,
    with_ids,
    with_times,
)
from foretell.data.sources import read_rows
from foretell.errors import DataError

_DAY_US: Final = 86_400_000_000
_MOST_KINDS: Final = 12


@dataclasses.dataclass(frozen=True, eq=False)
class Contacts:
    """Who was contacted when, and how.

    Attributes
    ----------
    ids : polars.Series
        Customers, sorted, unique.
    customer : int64 array, shape (n_contacts,)
        Position in ``ids``; in order, and of one customer in order of the days.
    day : int64 array, shape (n_contacts,)
        Days since 1970-01-01.
    kind : int64 array, shape (n_contacts,)
        Position in ``kinds``.
    kinds : tuple of str
    report : ReadReport
        What was read and left out.
    """

    ids: pl.Series
    customer: IntArray
    day: IntArray
    kind: IntArray
    kinds: tuple[str, ...]
    report: ReadReport

    def __repr__(self) -> str:
        return f"Contacts({len(self.day):,} of {len(self.ids):,} customers: {', '.join(self.kinds)})"

    def of(self, log: EventLog) -> IntArray:
        """Return whose each contact is, as a place in the log; -1 for customers that it does not know."""
        known, mine = joined_names(log.ids, self.ids, "ids")
        places = known.to_frame("id").with_row_index("place").with_columns(pl.col("place").cast(pl.Int64))
        place = mine.to_frame("id").join(places, on="id", how="left", maintain_order="left")["place"]
        return np.asarray(place.fill_null(-1).to_numpy())[self.customer]


def read_contacts(
    source: object,
    *,
    id: str = "unique_id",  # noqa: A002  # as in the readers of visits
    time: str = "ds",
    kind: str | None = None,
) -> Contacts:
    """Read a table of contacts, a row each; several of a customer on one day, of one kind, count once.

    Parameters
    ----------
    source : path, frame, or what else `foretell.read_events` reads
    id, time : str
        Columns of the customer and of the day.
    kind : str, optional
        Column of the kind: a mailing, a coupon. Without it all are of one kind.

    Examples
    --------
    >>> import polars as pl
    >>> rows = pl.DataFrame({"unique_id": [7, 9, 7], "ds": ["2024-06-07", "2024-06-07", "2024-06-21"]})
    >>> read_contacts(rows)
    Contacts(3 of 2 customers: contact)
    """
    columns, options = EventColumns(id, time, (), kind), EventOptions()
    rows = read_rows(source, columns, options)
    tally = opened(rows, options, "contact")
    frame = with_times(with_ids(rows, columns, options, tally, "customers"), columns, options, tally)
    ids, codes = encode(frame[ID], untyped=rows.untyped)
    names = (
        pl.Series(["contact"] * len(frame)) if kind is None else frame[GROUP].cast(pl.String).fill_null("")
    )
    kinds = names.unique().sort()
    if len(kinds) > _MOST_KINDS:
        raise DataError(
            f"{rows.origin} has {len(kinds)} kinds of contacts in {kind!r}, such as {kinds[:3].to_list()}; "
            f"expected {_MOST_KINDS} at the most: put those together that are alike"
        )
    table = pl.DataFrame(
        {
            "customer": codes.cast(pl.Int64),
            "day": frame[TIME].cast(pl.Int64) // _DAY_US,
            "kind": pl.Series(kinds.search_sorted(names)).cast(pl.Int64),
        }
    )
    once = table.unique().sort("customer", "day", "kind")
    customer, day, of_kind = (once[name].to_numpy() for name in once.columns)
    return Contacts(ids, customer, day, of_kind, tuple(kinds), tally.report(len(once)))
