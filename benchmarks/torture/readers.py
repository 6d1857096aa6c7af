"""Files and frames of every kind, some harmed, read as visits and as series, beside what DuckDB reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from benchmarks.torture.harms import harmed
from benchmarks.torture.harness import FAULT, raised
from benchmarks.torture.oracle import as_marks, difference, last_of_each, rows_of, steps_of, visits_of
from benchmarks.torture.tables import ID, OTHER, TIME, VALUE, pick, some_table, written

import foretell as ft
from foretell.errors import ForetellError

# All rows are kept as they are, so that they can be compared one by one.
AS_WRITTEN = {
    "merge": None, "duplicates": "keep", "refunds": "keep", "start": "1900-01-01", "as_of": "2199-12-31",
}  # fmt: skip
_OPTIONS = {
    "time_zone": ("Europe/Berlin", "UTC"),
    "time_format": ("%Y-%m-%d", "%d.%m.%Y", "ms", "s"),
    "start": ("2023-03-01", "1900"),
    "as_of": ("2023-09", "2199-12-31"),
    "ids": ([17850], ["C-1", "C-2"], [1.5], ["17850", 3]),
    "exclude": (["C-0"], [17851]),
    "strays": ("missing",),
}  # fmt: skip
_OF_VISITS = {
    "unit": ("hour",),
    "merge": ("week", None),
    "refunds": ("drop",),
    "duplicates": ("sum",),
    "min_events": (2,),
}
_OF_SERIES = {
    "freq": ("1d", "1w", 1),
    "closed": ("keep",),
    "duplicates": ("mean", "last"),
    "past": (OTHER,),
    "static": (OTHER,),
}


def trial(rng: np.random.Generator, place: Path) -> str:
    """Write a table, harm it or not, read it, and compare what was read."""
    regular = bool(rng.random() < 0.4)
    table = some_table(rng, regular=regular)
    how = written(rng, table, place)
    broken = isinstance(how.source, Path) and bool(rng.random() < 0.5)
    if broken:
        how.source.write_bytes(harmed(rng, how.source.read_bytes()))
    known = how.kind != "csv" or how.encoding in ("utf-8", "utf-8-sig")
    said = {} if known or rng.random() < 0.5 else {"encoding": how.encoding}
    compared = bool(rng.random() < 0.7) and (known or bool(said))
    columns = {"id": ID, "time": TIME} | said
    try:
        if regular:
            options = {"duplicates": "last"} if compared else _some(rng, _OPTIONS | _OF_SERIES)
            panel = ft.read_series(how.source, **columns, target=VALUE, **options)
        else:
            options = AS_WRITTEN if compared else _some(rng, _OPTIONS | _OF_VISITS)
            log = ft.read_events(how.source, **columns, marks=[VALUE], **options)
    except ForetellError:
        return "refused"
    except BaseException as error:  # noqa: BLE001  # panics of polars are no Exception
        return f"{raised(error)}; {how}, {table.kinds}, {options}"
    theirs = rows_of(how, table, harmed=broken, place=place) if compared else None
    if theirs is None:
        return "read"
    # Of a spreadsheet's column of numbers and text fastexcel delivers the numbers with nine decimals.
    rtol = 1e-8 if how.kind == "sheet" else 1e-13
    if regular:
        differs = difference(last_of_each(theirs), steps_of(panel, how.kind), rtol=rtol)
    else:
        differs = difference(as_marks(theirs), visits_of(log, how.kind), rtol=rtol)
    return f"{FAULT}: DIFFERS, {differs}; {how}, {table.kinds}, harmed={broken}" if differs else "as DuckDB"


def _some(rng: np.random.Generator, options: dict[str, tuple]) -> dict[str, object]:
    return {name: pick(rng, values) for name, values in options.items() if rng.random() < 0.08}
