"""`Evaluation`: what models forecast at some cut-offs and what came, the figures and the verdict of it."""

from __future__ import annotations

import dataclasses
import html
import json
import math
import shutil
import weakref
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl

from foretell.core import FloatArray
from foretell.core.contracts import Folds, Task
from foretell.core.paths import as_path, writing
from foretell.errors import ParameterError, StorageError
from foretell.evaluation.referee import FEW, Verdict, judge


class Model(Protocol):
    """What is evaluated: a forecaster of ours, a statistic or rule, or a user's own that does as much."""

    @property
    def name(self) -> str:
        """The model's name in tables."""

    @property
    def fit(self) -> Callable[..., object]:
        """Learns from a log or a panel."""


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Models side by side at one cut-off or several: what each forecast, and what came.

    The rows lie in files, one for each fold, and are read when they are asked for: memory does not grow with
    the folds. Temporary files go with this object.

    Attributes
    ----------
    task : Task
        Whether it is about events or series, and what goes with that.
    folds : Folds
        How the data were cut.
    models : dict of str to forecaster
        As they were fitted for the last fold, by name.
    seconds : polars.DataFrame
        ``cutoff``, ``model``, ``refitted``, ``fit_s``, ``predict_s``.
    totals : polars.DataFrame
        Of visits, all customers together by week: ``cutoff``, ``model``, ``period``, ``y``, ``forecast``.
    directory : Path
        Where the rows are.
    other_seeds : Evaluation or None
        The same of our models with other seeds, where these were asked for; their names end in the seed.
    """

    task: Task
    folds: Folds
    models: Mapping[str, Model]
    seconds: pl.DataFrame
    totals: pl.DataFrame
    directory: Path
    other_seeds: Evaluation | None = None

    def __repr__(self) -> str:
        return f"Evaluation({len(self.cutoffs)} folds, {', '.join(self.names)})"

    def __str__(self) -> str:
        lines = [self.headline, text_table(self.table()), str(self.verdict()), self._spread_line()]
        return "\n".join(filter(None, lines))

    def _repr_html_(self) -> str:
        return self.to_html()

    @property
    def names(self) -> tuple[str, ...]:
        """The models."""
        return tuple(self.models)

    @property
    def ours(self) -> tuple[str, ...]:
        """The models that are networks of ours."""
        return tuple(name for name, model in self.models.items() if getattr(model, "is_ours", False))

    @property
    def cutoffs(self) -> tuple[object, ...]:
        """Date (time) of each cut-off."""
        return tuple(self.folds.label(fold) for fold in range(len(self.folds.origins)))

    @property
    def unit(self) -> str:
        """What one tick is: ``"day"`` or ``"hour"`` of visits, ``"step"`` of series."""
        return self.folds.unit

    @property
    def horizon(self) -> int:
        """Ticks or steps that were forecast."""
        return self.folds.horizon

    @property
    def train(self) -> Any:
        """The log or panel as it stood at the last cut-off."""
        return self.folds.seen(len(self.folds.origins) - 1)

    @property
    def cutoff(self) -> str:
        """Date (time) of the last cut-off."""
        return str(self.folds.summary()["cutoff"])

    @property
    def end(self) -> str:
        """Date (time) at which the last forecast ends."""
        return str(self.folds.summary()["end"])

    @property
    def columns(self) -> list[str]:
        """Names of the columns of `rows`."""
        return self.scan().collect_schema().names()

    @property
    def headline(self) -> str:
        """What was forecast, in a sentence."""
        if len(self.cutoffs) == 1:
            return self.folds.headline()
        return (
            f"{len(self.cutoffs)} cut-offs from {self.cutoffs[0]} to {self.cutoffs[-1]}, all folds together"
        )

    def rows(self) -> pl.DataFrame:
        """Return all rows: ``cutoff``, ``unique_id``, ``model``, ``y``, ``forecast`` and more.

        Of visits one row per customer: ``y`` and ``forecast`` count the events within the horizon;
        ``returned`` and ``p_return`` are of 30 days, ``next_event`` comes with its 80 % interval, ``crps``
        and, of who came, the probability integral transform, known to lie from ``pit_lo`` to ``pit_hi``.
        Of series one row per step ``ds`` (and ``target``): the median ``forecast``, its 80 % interval, the
        other quantiles ``q0.2`` …, the ``scale`` of MASE, and the ``weight`` with which a series counts as
        one. What is not known is null.
        """
        return self.scan().collect()

    def scan(self) -> pl.LazyFrame:
        """Return `rows` to be reduced before they are read; keep this object until it is collected."""
        files = sorted(self.directory.glob("fold_*.parquet"))
        if len(files) < len(self.cutoffs):
            raise StorageError(f"the rows in {self.directory} are gone; compare the models again")
        return pl.scan_parquet(files)

    def fold(self, number: int) -> pl.DataFrame:
        """Return the rows of one fold, counted from 0."""
        return pl.read_parquet(self.directory / fold_file(number))

    def table(self) -> pl.DataFrame:
        """Return one row per model over all folds, the best first; missing figures are null."""
        return self._aggregated(["model"])

    def scores(self) -> pl.DataFrame:
        """Return one row per cut-off and model, the best of each cut-off first."""
        return self._aggregated(["cutoff", "model"])

    def figures(self, model: str) -> dict[str, Any]:
        """Return one model's row of `table`, by figure.

        Raises
        ------
        ParameterError
            There is no such model.
        """
        self.check_names([model])
        return self.table().row(by_predicate=pl.col("model") == model, named=True)

    def check_names(self, names: list[str]) -> None:
        """Refuse names of models that were not evaluated."""
        for name in names:
            if name not in self.models:
                raise ParameterError(
                    f"there is no model {name!r} in the evaluation; it has {', '.join(self.names)}"
                )

    def losses(self) -> dict[str, FloatArray]:
        """Return each model's mean loss by customer (series), over the folds, in one order."""
        rows = self.scan()
        units = [name for name in self.task.units if name in self.columns]
        if rows.select(pl.struct(units).n_unique()).collect().item() < FEW:
            units.append("cutoff")  # of few series, each is resampled fold by fold
            if len(self.cutoffs) == 1 and self.task.part is not None:
                rows = rows.with_columns(part=self.task.part)
                units.append("part")
        means = (
            rows.group_by([*units, "model"])
            .agg(loss=self.task.loss.mean())
            .collect(engine="streaming")
            .pivot("model", index=units, values="loss")
            .sort(units)
        )
        return {name: means[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in self.names}

    def verdict(self) -> Verdict:
        """Say which model to use, and how sure that is; see `foretell.evaluation.referee.judge`."""
        verdict = judge(self.losses(), self.ours, root=self.task.root)
        shell_name = getattr(self.models.get(verdict.use or ""), "shell_name", None)
        if shell_name is None:
            return verdict
        return dataclasses.replace(verdict, command=f"foretell fit … --model {shell_name}")

    def seed_spread(self) -> pl.DataFrame:
        """Return how far figures differ with the seed.

        One row per model of ours and figure: ``model``, ``figure``, ``seeds``, ``mean``, ``sd``, ``lowest``,
        ``highest``; empty where no other seeds were asked for.
        """
        return spread_table(self.table(), None if self.other_seeds is None else self.other_seeds.table())

    def forecasts(self) -> pl.DataFrame:
        """Return all forecasts with the truth in wide form, as utilsforecast's functions take them.

        Columns ``unique_id``, of series ``ds`` and with several targets ``target``, ``y``, and per model its
        name, and of series ``…-lo-80`` and ``…-hi-80``; with several folds also ``cutoff``.
        """
        rows = self.rows()
        known = ["cutoff", "unique_id", "ds", "target", "y"]
        keys = [
            name for name in known if name in rows.columns and (name != "cutoff" or len(self.cutoffs) > 1)
        ]
        wide = rows.filter(pl.col("model") == self.names[0]).select(keys)
        values = [name for name in ("forecast", "forecast-lo-80", "forecast-hi-80") if name in rows.columns]
        # The rows of all models have one order.
        parts = [
            rows.filter(pl.col("model") == name).select(
                pl.col(value).alias(value.replace("forecast", name, 1)) for value in values
            )
            for name in self.names
        ]
        return pl.concat([wide, *parts], how="horizontal")

    def error_by_step(self) -> pl.DataFrame:
        """Return each model's mean loss by step ahead: ``model``, ``step``, ``mase``; of series only."""
        if "step" not in self.columns:
            raise ParameterError("only forecasts of series are made step by step; evaluate a panel")
        order = pl.DataFrame({"model": self.names, "order": range(len(self.names))})
        means = self.scan().group_by("model", "step").agg(mase=self.task.loss.mean()).collect()
        return means.join(order, on="model").sort("order", "step").select("model", "step", "mase")

    def to_json(self) -> str:
        """Return ``{"rows", "by_cutoff", "cutoffs", sizes, "cutoff", "end", "verdict"}``; with null for NaN.

        ``rows`` holds the figures of each model over all folds, ``by_cutoff`` those of each fold; with other
        seeds ``seeds`` holds their spread.
        """
        content: dict[str, object] = {
            "rows": _plain(self.table()),
            "by_cutoff": _plain(self.scores()),
            "cutoffs": [str(cutoff) for cutoff in self.cutoffs],
            **self.folds.summary(),
            "verdict": str(self.verdict()),
        }
        if self.other_seeds is not None:
            content["seeds"] = _plain(self.seed_spread())
        return json.dumps(content, indent=2, ensure_ascii=False)

    def save_json(self, path: str | Path) -> None:
        """Write `to_json` to a file."""
        target = as_path(path)
        with writing(target):
            target.write_text(self.to_json() + "\n", encoding="utf-8")

    def to_html(self) -> str:
        """Return headline, verdict, table and the spread over seeds as a piece of HTML."""
        parts = [
            f'<p class="about">{html.escape(self.headline)}</p>',
            f'<p class="verdict">{html.escape(str(self.verdict()))}</p>',
            html_table(self.table(), self.ours),
        ]
        if self.other_seeds is not None:
            parts.append(html_table(self.seed_spread()))
        return "\n".join(parts)

    def _spread_line(self) -> str:
        """Return a sentence about the spread of the first figure of the first of our models."""
        spread = self.seed_spread().filter(pl.col("figure") == self.task.rank[0])
        if not len(spread):
            return ""
        model, figure, seeds, mean, sd, low, high = spread.row(0)
        share = f" ({100 * sd / mean:.1f} % of it)" if mean else ""
        return (
            f"{model} over {seeds} seeds: {figure} {low:.4g} to {high:.4g}, "
            f"standard deviation {sd:.2g}{share}"
        )

    def _aggregated(self, keys: list[str]) -> pl.DataFrame:
        """Return all figures by some keys, the best first."""
        figures = self.task.figures.values()
        table = (
            self.scan()
            .group_by(keys)
            .agg(*(f.expression.alias(f.name) for f in figures if not f.of_totals), n=pl.col("y").count())
            .collect()
        )
        of_totals = [figure.expression.alias(figure.name) for figure in figures if figure.of_totals]
        if of_totals:
            table = table.join(self.totals.group_by(keys).agg(of_totals), on=keys, how="left")
        table = table.with_columns(
            pl.when(pl.col(f.name).is_finite()).then(pl.col(f.name)).alias(f.name) for f in figures
        )
        table = table.join(self.seconds.group_by(keys).agg(pl.col("fit_s", "predict_s").sum()), on=keys)
        order = pl.DataFrame({"model": self.names, "order": range(len(self.names))})
        table = table.join(order, on="model").sort([*keys[:-1], *self.task.rank, "order"], nulls_last=True)
        return table.select(*keys, *(figure.name for figure in figures), "fit_s", "predict_s", "n")


def spread_table(table: pl.DataFrame, again: pl.DataFrame | None) -> pl.DataFrame:
    """Return figures over seeds: ``model``, ``figure``, ``seeds``, ``mean``, ``sd``, ``lowest``, ``highest``.

    Parameters
    ----------
    table : polars.DataFrame
        Figures by ``model``.
    again : polars.DataFrame or None
        The same with other seeds: the models' names are followed by ``" #"`` and a number.

    Examples
    --------
    >>> first = pl.DataFrame({"model": ["foretell", "mean gap"], "rmse": [1.0, 2.0]})
    >>> again = pl.DataFrame({"model": ["foretell #2"], "rmse": [1.2]})
    >>> spread_table(first, again).select("model", "seeds", "lowest", "highest").rows()
    [('foretell', 2, 1.0, 1.2)]
    """
    schema = {"model": pl.String, "figure": pl.String, "seeds": pl.Int64}
    schema |= dict.fromkeys(("mean", "sd", "lowest", "highest"), pl.Float64)
    out = []
    if again is not None:
        again = again.with_columns(pl.col("model").str.replace(r" #\d+$", ""))
        for name in again["model"].unique(maintain_order=True):
            rows = pl.concat([table, again], how="vertical_relaxed").filter(pl.col("model") == name)
            for figure in [c for c in rows.columns if c not in {"model", "n"} and not c.endswith("_s")]:
                values = rows[figure].to_numpy()
                if rows[figure].null_count():
                    continue
                row = (name, figure, len(values), values.mean(), values.std(), values.min(), values.max())
                out.append(row)
    return pl.DataFrame(out, schema=schema, orient="row")


def shown(value: object) -> str:
    """Return a value as people read it; what is missing as a dash.

    Examples
    --------
    >>> shown(None), shown(0.00004), shown(3.14159), shown(1234567)
    ('–', '< 0.001', '3.142', '1,234,567')
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        if 0.0 < abs(value) < 0.001:
            return "< 0.001" if value > 0 else "> −0.001"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 100_000 else str(value)


def text_table(frame: pl.DataFrame) -> str:
    """Return a table as lines of text, numbers to the right."""
    table = [frame.columns, *([shown(value) for value in row] for row in frame.iter_rows())]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    left = [not dtype.is_numeric() for dtype in frame.dtypes]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(line, widths, left, strict=True)
        ).rstrip()
        for line in table
    )


def html_table(frame: pl.DataFrame, bold: Collection[str] = (), *, long: str = "") -> str:
    """Return a table for a page; rows whose first cell is among some names in bold.

    The cells of the column ``long`` may break into lines.
    """
    classes = ["" if dtype.is_numeric() else ' class="text"' for dtype in frame.dtypes]
    if long:
        classes[frame.columns.index(long)] = ' class="text long"'
    names = [html.escape(name.replace("_", " ")) for name in frame.columns]
    head = "".join(f"<th{kind}>{name}</th>" for kind, name in zip(classes, names, strict=True))
    rows = []
    for row in frame.iter_rows():
        cells = "".join(
            f"<td{kind}>{html.escape(shown(value))}</td>" for kind, value in zip(classes, row, strict=True)
        )
        kind = ' class="ours"' if row[0] in bold else ""
        rows.append(f"<tr{kind}>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def fold_file(fold: int) -> str:
    """Return the name of the file of a fold's rows."""
    return f"fold_{fold:04d}.parquet"


def remove_with(evaluation: Evaluation) -> None:
    """Let an evaluation's files go when it does."""
    weakref.finalize(evaluation, shutil.rmtree, evaluation.directory, ignore_errors=True)


def _plain(frame: pl.DataFrame) -> list[dict[str, object]]:
    """Return rows for JSON: dates as text, what is not finite as null."""

    def plain(value: object) -> object:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return value if value is None or isinstance(value, (int, str)) else str(value)

    return [{key: plain(value) for key, value in row.items()} for row in frame.to_dicts()]
