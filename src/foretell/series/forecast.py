"""Forecasts as long tables, with the columns that utilsforecast knows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from foretell.data.panel import Panel, flat_ranges
from foretell.errors import ParameterError


def quantiles_for(levels: Sequence[int]) -> list[float]:
    """Return the median and the ends of central intervals, ascending.

    Examples
    --------
    >>> quantiles_for([80])
    [0.1, 0.5, 0.9]
    """
    for level in levels:
        if not 0 < level < 100:
            raise ParameterError(f"levels has {level!r}; expected percentages between 0 and 100, such as 80")
    ends = {round((100 + side * level) / 200, 6) for level in levels for side in (-1, 1)}
    return sorted(ends | {0.5})


def forecast_table(
    panel: Panel, values: npt.NDArray[np.float64], name: str, levels: Sequence[int]
) -> pl.DataFrame:
    """Return forecasts as a table: ``unique_id``, ``ds``, the median by the model's name, its intervals.

    Parameters
    ----------
    panel : Panel
        The histories.
    values : array, shape (n_series, h, n_targets, n_quantiles)
        At the quantiles of `quantiles_for`.
    name : str
    levels : sequence of int

    Returns
    -------
    polars.DataFrame
        With several targets a column ``target`` follows ``ds``.
    """
    n, h, n_targets = values.shape[:3]
    wanted = quantiles_for(levels)
    owner = np.repeat(np.arange(n), h)
    times = panel.time_of(flat_ranges(panel.ends + 1, np.full(n, h)))
    parts = []
    for k in range(n_targets):
        columns: dict[str, object] = {"unique_id": panel.ids.gather(owner), "ds": times}
        if n_targets > 1:
            columns["target"] = pl.repeat(panel.targets[k], n * h, eager=True)
        flat = values[:, :, k].reshape(n * h, -1)
        columns[name] = flat[:, wanted.index(0.5)]
        for level in sorted(levels):
            for side, word in ((-1, "lo"), (1, "hi")):
                column = flat[:, wanted.index(round((100 + side * level) / 200, 6))]
                columns[f"{name}-{word}-{level}"] = column
        parts.append(pl.DataFrame(columns))
    return pl.concat(parts)
