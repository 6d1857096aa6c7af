"""How much of a figure is luck of the seed: the same model, started from other seeds."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from foretell.errors import ParameterError
from foretell.evaluation.folds import fresh

# Apart from each other by more than the members of an ensemble, which count up from the seed.
_APART = 1_000


def other_seeds(model: Any, seeds: int) -> list[Any]:
    """Return ``seeds - 1`` unfitted models that differ by their seed; none of a model without one."""
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        raise ParameterError(f"seeds={seeds!r}; expected a whole number of at least 1")
    if not hasattr(model, "set_params") or not hasattr(model, "seed"):
        return []
    return [fresh(model).set_params(seed=model.seed + _APART * k) for k in range(1, seeds)]


def spread_table(rows: Sequence[Any], again: Sequence[Any]) -> pl.DataFrame:
    """Return figures over seeds: ``model``, ``figure``, ``seeds``, ``mean``, ``sd``, ``lowest``, ``highest``.

    Parameters
    ----------
    rows : sequence of Row or SeriesRow
        The leaderboard's rows.
    again : sequence of the same
        Rows of the same models with other seeds.

    Examples
    --------
    >>> @dataclasses.dataclass
    ... class Row:
    ...     model: str
    ...     rmse: float
    >>> found = spread_table([Row("foretell", 1.0), Row("mean gap", 2.0)], [Row("foretell", 1.2)])
    >>> found.select("model", "seeds", "lowest", "highest").rows()
    [('foretell', 2, 1.0, 1.2)]
    """
    out = []
    for name in dict.fromkeys(row.model for row in again):
        mine = [row for row in [*rows, *again] if row.model == name]
        for field in dataclasses.fields(mine[0])[1:]:
            values = [getattr(row, field.name) for row in mine]
            if field.name.endswith("_s") or any(value is None for value in values):
                continue
            figures = {
                "mean": np.mean(values),
                "sd": np.std(values),
                "lowest": min(values),
                "highest": max(values),
            }
            out.append({"model": name, "figure": field.name, "seeds": len(values), **figures})
    schema = {"model": pl.String, "figure": pl.String, "seeds": pl.Int64}
    return pl.DataFrame(out, schema=schema | dict.fromkeys(("mean", "sd", "lowest", "highest"), pl.Float64))


def spread_line(spread: pl.DataFrame, figure: str) -> str | None:
    """Return a sentence about one figure's spread, the first model's; None without other seeds."""
    rows = spread.filter(pl.col("figure") == figure)
    if not len(rows):
        return None
    model, _, seeds, mean, sd, low, high = rows.row(0)
    share = f" ({100 * sd / mean:.1f} % of it)" if mean else ""
    return f"{model} over {seeds} seeds: {figure} {low:.4g} to {high:.4g}, standard deviation {sd:.2g}{share}"
