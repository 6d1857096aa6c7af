"""The options that the commands share."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer


class Unit(enum.StrEnum):
    """The clock's tick."""

    day = "day"
    hour = "hour"


class Merge(enum.StrEnum):
    """Which events of a customer become one."""

    auto = "auto"
    none = "none"
    hour = "hour"
    day = "day"
    week = "week"


class HeadName(enum.StrEnum):
    """What is learned of the next visit's time."""

    mixture = "mixture"
    bins = "bins"
    gap = "gap"
    hazard = "hazard"


class Kind(enum.StrEnum):
    """Pictures of a model."""

    next = "next"
    tracking = "tracking"
    activity = "activity"
    reliability = "reliability"


READ, LEARN = "What to read", "How to learn"
Source = Annotated[
    list[str],
    typer.Argument(
        help="CSV, TSV, NDJSON or Parquet files, or one database URL (with --query or --table).",
        metavar="SOURCE",
    ),
]
Model = Annotated[Path, typer.Argument(help="A directory that fit wrote.", metavar="MODEL")]
Id = Annotated[
    str,
    typer.Option(
        "--id", help="Column of the customer or series; empty for a single series.", rich_help_panel=READ
    ),
]
Time = Annotated[str, typer.Option("--time", help="Column of the time.", rich_help_panel=READ)]
Mark = Annotated[
    list[str] | None,
    typer.Option("--mark", help="Numeric column, such as the amount; repeatable.", rich_help_panel=READ),
]
Group = Annotated[
    str | None, typer.Option("--group", help="Column of the place (store).", rich_help_panel=READ)
]
Query = Annotated[
    str | None, typer.Option("--query", help="SELECT statement, for a database.", rich_help_panel=READ)
]
Table = Annotated[str | None, typer.Option("--table", help="Table of a database.", rich_help_panel=READ)]
UnitOption = Annotated[Unit, typer.Option("--unit", help="The clock's tick.", rich_help_panel=READ)]
MergeOption = Annotated[
    Merge,
    typer.Option(
        "--merge", help="One customer's events in the same period count as one.", rich_help_panel=READ
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format", help="How times are written: strptime, or s, ms, us, ns.", rich_help_panel=READ
    ),
]
TimeZone = Annotated[
    str | None,
    typer.Option("--time-zone", help="Zone whose days count, such as Europe/Berlin.", rich_help_panel=READ),
]
Start = Annotated[
    str | None,
    typer.Option("--start", help="First observed day; by default the first event's.", rich_help_panel=READ),
]
AsOf = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="Last observed day, inclusive; by default the last event's.", rich_help_panel=READ
    ),
]
MinEvents = Annotated[
    int,
    typer.Option("--min-events", min=1, help="Leave out customers with fewer.", rich_help_panel=READ),
]
SERIES = "Regular series, with --target"
Target = Annotated[
    list[str] | None,
    typer.Option("--target", help="Column to forecast; repeatable.", rich_help_panel=SERIES),
]
Steps = Annotated[int | None, typer.Option("--h", min=1, help="Steps to forecast.", rich_help_panel=SERIES)]
Past = Annotated[
    list[str] | None,
    typer.Option("--past", help="Covariate known up to now; repeatable.", rich_help_panel=SERIES),
]
Future = Annotated[
    list[str] | None,
    typer.Option("--future", help="Covariate known ahead; repeatable.", rich_help_panel=SERIES),
]
Static = Annotated[
    list[str] | None,
    typer.Option("--static", help="Covariate of a whole series; repeatable.", rich_help_panel=SERIES),
]
Freq = Annotated[
    str | None,
    typer.Option("--freq", help="Step, such as 1d, 1w, 15m; by default inferred.", rich_help_panel=SERIES),
]
Ensemble = Annotated[
    int, typer.Option("--ensemble", min=1, help="Networks that are averaged.", rich_help_panel=LEARN)
]
Seed = Annotated[int, typer.Option("--seed", help="Same seed, same answers.", rich_help_panel=LEARN)]
Epochs = Annotated[
    int | None,
    typer.Option("--epochs", min=1, help="Passes over the data at the most.", rich_help_panel=LEARN),
]
Seasonal = Annotated[
    bool,
    typer.Option(help="Run on the shop's own weekly and yearly rhythm.", rich_help_panel=LEARN),
]


HeadOption = Annotated[
    HeadName,
    typer.Option("--head", help="What is learned of the next visit's time.", rich_help_panel=LEARN),
]
