"""What is far from all others: amounts a thousand times as large, a customer with a third of all rows."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from foretell.core import BoolArray, FloatArray, IntArray
from foretell.core.journal import warn
from foretell.data.report import Tally, brief
from foretell.errors import OutlierWarning

FACTOR: Final = 1_000
_FEW: Final = 1e-3  # of all values, or one: so many may be stray
SURE: Final = 30  # values, below which nothing can be told
_SHARE: Final = 1 / 3
_CUSTOMERS: Final = 10  # of fewer, one has a third by chance
REASON: Final = f"more than {FACTOR:,} times as large as any other"


def stray(values: FloatArray) -> BoolArray:
    """Tell which values are more than 1,000 times as large as all others, of either sign.

    Examples
    --------
    >>> np.flatnonzero(stray(np.array([5.0] * 30 + [5e6, -7.0]))).tolist()
    [30]
    """
    size = np.nan_to_num(np.abs(values), nan=0.0)
    given = size[size > 0]
    few = max(int(_FEW * len(given)), 1)
    if len(given) < SURE:
        return np.zeros(len(values), dtype=bool)
    top = np.sort(np.partition(given, len(given) - few - 1)[-few - 1 :])
    apart = np.flatnonzero(top[1:] > FACTOR * top[:-1])
    return size >= (top[apart[0] + 1] if len(apart) else np.inf)


def without_stray_values(
    values: pl.Series, name: str, rows: pl.Series, tally: Tally, *, missing: bool
) -> pl.Series:
    """Return a column with stray values missing, or as it is with a warning."""
    mask = pl.Series(stray(values.to_numpy()))
    if not mask.any():
        return values
    if missing:
        tally.adjust(f"with {name!r} {REASON}, missing", mask, values, rows)
        return values.set(mask, None)
    tell_stray(
        name, tally.origin, int(mask.sum()), f"{values.filter(mask)[0]:.15g} in row {rows.filter(mask)[0]:,}"
    )
    return values


def tell_stray(name: str, origin: str, count: int, example: str) -> None:
    """Warn of values that stay though they are far from all others."""
    warn(
        f"{count} of the values of {name!r} in {origin} {'is' if count == 1 else 'are'} {REASON}, such as "
        f"{example}: kept; correct them, or take them for missing by strays='missing'",
        OutlierWarning,
        stacklevel=5,
    )


def tell_crowd(owner: IntArray, ids: pl.Series, tally: Tally) -> None:
    """Warn where one customer has a third of all rows: guests, a till, a word for nobody."""
    counts = np.bincount(owner, minlength=len(ids))
    most = int(counts.argmax())
    if np.count_nonzero(counts) < _CUSTOMERS or counts[most] < max(_SHARE * len(owner), SURE):
        return
    customer = ids[most]
    warn(
        f"{counts[most]:,} of the {len(owner):,} rows of {tally.origin} are of one customer, "
        f"{brief(customer)!r}: kept; if that is no customer, but guests or a till, leave it out by "
        f"exclude=[{customer!r}]",
        OutlierWarning,
        stacklevel=4,
    )
